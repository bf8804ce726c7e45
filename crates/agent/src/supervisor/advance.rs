//! The machine of one task: looks at where it stands and what is wanted, and makes the next step, one verb at
//! a time. Called after everything that concerns the task; when nothing is to be done it does nothing.

use super::backoff::restart_delay;
use super::io::{Effect, Verb, VerbKind};
use super::live::{Live, Making, Signalled, Slot, SlotState, Stage, Step, Verdict};
use super::memory::{Begun, Record};
use super::orphans::{self, Orphan};
use super::turn::Turn;
use super::{plan, probes};
use plenum_contract::runtime::ContainerKey;
use plenum_model::claim::Desired;
use plenum_model::ids::{Incarnation, TaskId};
use plenum_model::phase::Phase;
use plenum_model::spec::Restart;
use plenum_model::task::{Exit, ExitReason};

/// What a step leads to.
enum Next {
    /// Another step.
    Step,
    /// Nothing until something happens.
    Rest,
    /// Nothing until this tick.
    RestUntil(u64),
    /// The task is gone.
    Gone,
}

/// Makes every step that can be made now. Returns whether the task still exists.
pub(super) fn advance(live: &mut Live, turn: &mut Turn<'_>, id: TaskId) -> bool {
    live.wake = None;
    loop {
        match step(live, turn, id) {
            Next::Step => {}
            Next::Rest => return true,
            Next::RestUntil(tick) => {
                live.wake = Some(tick);
                return true;
            }
            Next::Gone => return false,
        }
    }
}

fn step(live: &mut Live, turn: &mut Turn<'_>, id: TaskId) -> Next {
    match live.stage {
        Stage::Recovering => Next::Rest,
        Stage::Delayed { until } => delayed(live, turn, id, until),
        Stage::Preparing(step) => preparing(live, turn, id, step),
        Stage::Prepared => prepared(live, turn, id),
        Stage::Starting(step) => starting(live, turn, id, step),
        Stage::Running { since } => running(live, turn, id, since),
        Stage::Stopping { kill_at, since } => stopping(live, turn, id, kill_at, since),
        Stage::Clearing => clearing(live, turn, id),
        Stage::Ended => ended(live, turn, id),
        Stage::Removing(step) => removing(live, turn, id, step),
        Stage::Gone => {
            turn.remember(Record::Removed(id));
            Next::Gone
        }
    }
}

/// The verdict stands: what runs is asked to end.
fn condemn(live: &mut Live, turn: &mut Turn<'_>, id: TaskId, verdict: Verdict, since: Option<u64>) -> Next {
    let runs = live
        .slots
        .iter()
        .any(|s| matches!(s.state, SlotState::Started | SlotState::Uncertain));
    if verdict == Verdict::Asked && runs {
        turn.observe(id, Phase::Stopping, None, String::new());
    }
    live.verdict = Some(verdict);
    live.go(Stage::Stopping {
        kill_at: turn.now.tick.saturating_add(turn.grace_ms(id)),
        since,
    });
    Next::Step
}

fn delayed(live: &mut Live, turn: &mut Turn<'_>, id: TaskId, until: u64) -> Next {
    if turn.shall_end(id) {
        return condemn(live, turn, id, Verdict::Asked, None);
    }
    if turn.now.tick < until {
        return Next::RestUntil(until);
    }
    live.go(Stage::Preparing(Making::Sandbox));
    Next::Step
}

fn preparing(live: &mut Live, turn: &mut Turn<'_>, id: TaskId, what: Making) -> Next {
    if turn.shall_end(id) {
        return match live.op {
            Some(VerbKind::Fetch | VerbKind::Prepare) if !live.cancelled => {
                live.cancelled = true;
                turn.effects.push(Effect::Cancel(id));
                Next::Rest
            }
            Some(_) => Next::Rest,
            None => condemn(live, turn, id, Verdict::Asked, None),
        };
    }
    // What an earlier life left under the same name goes first.
    if live.op.is_some() || turn.orphans.keys().any(|k| k.task == id && is_current(turn, k)) {
        return Next::Rest;
    }
    if !live.retry.due(turn.now) {
        return Next::RestUntil(live.retry.at());
    }
    match prepare_verb(turn, id, what) {
        Ok(Some((index, verb))) => {
            live.op = Some(verb.kind());
            turn.work(id, index, verb);
            Next::Rest
        }
        Ok(None) => {
            live.go(Stage::Prepared);
            Next::Step
        }
        Err(why) => {
            let exit = exit(ExitReason::Setup, why);
            condemn(live, turn, id, Verdict::Rejected(exit), None)
        }
    }
}

fn is_current(turn: &Turn<'_>, key: &ContainerKey) -> bool {
    turn.memory
        .tasks
        .get(&key.task)
        .is_some_and(|t| t.incarnation == key.incarnation)
}

fn prepare_verb(turn: &Turn<'_>, id: TaskId, what: Making) -> Result<Option<(usize, Verb)>, String> {
    let Some((task, spec)) = turn.task(id) else {
        return Ok(None);
    };
    match what {
        Making::Sandbox => Ok(Some((0, Verb::MakeSandbox(plan::sandbox(turn.node, id))))),
        Making::Files => Ok(Some((0, Verb::Fetch(plan::files(turn.node, task))))),
        Making::Container(i) => match spec.containers.get(i) {
            None => Ok(None),
            Some(c) => {
                let plan = plan::container(turn.node, task, &spec, c).map_err(|e| e.to_string())?;
                Ok(Some((i, Verb::Prepare(Box::new(plan)))))
            }
        },
    }
}

fn prepared(live: &mut Live, turn: &mut Turn<'_>, id: TaskId) -> Next {
    if turn.shall_end(id) {
        return condemn(live, turn, id, Verdict::Asked, None);
    }
    let Some(task) = turn.memory.tasks.get(&id) else {
        return Next::Gone;
    };
    if task.assigned.desired == Desired::Running {
        live.go(Stage::Starting(Step::Task));
        return Next::Step;
    }
    let said = task
        .newest
        .as_ref()
        .is_some_and(|o| o.progress.incarnation == task.incarnation && o.progress.phase == Phase::Prepared);
    if !said {
        turn.observe(id, Phase::Prepared, None, "held: ready to start".to_owned());
    }
    Next::Rest
}

fn starting(live: &mut Live, turn: &mut Turn<'_>, id: TaskId, step: Step) -> Next {
    wait_for_ends(live, turn, id);
    if live.op.is_some() {
        return Next::Rest;
    }
    if turn.shall_end(id) {
        return condemn(live, turn, id, Verdict::Asked, None);
    }
    if !live.retry.due(turn.now) {
        return Next::RestUntil(live.retry.at());
    }
    let Some((task, spec)) = turn.task(id) else {
        return Next::Gone;
    };
    if task.assigned.desired != Desired::Running && live.slots.iter().all(|s| s.state == SlotState::Idle) {
        live.go(Stage::Prepared);
        return Next::Step;
    }
    let (index, verb) = match step {
        Step::Task => (0, Verb::CheckPorts(plan::ports(turn.node, task))),
        Step::Container(i) if i < spec.containers.len() => (i, Verb::Start),
        Step::Container(_) => {
            live.go(Stage::Running { since: turn.now.tick });
            turn.observe(id, Phase::Running, None, String::new());
            return Next::Step;
        }
    };
    if verb == Verb::Start {
        if !task.started {
            turn.remember(Record::Starting(id));
        }
        // Until the answer comes, and if the agent dies before it, the container may run.
        live.slots[index].state = SlotState::Uncertain;
    }
    live.op = Some(verb.kind());
    turn.work(id, index, verb);
    Next::Rest
}

fn running(live: &mut Live, turn: &mut Turn<'_>, id: TaskId, since: u64) -> Next {
    if let Some((i, exit)) = live.first_ended() {
        let verdict = Verdict::Ended(i, exit.clone());
        return condemn(live, turn, id, verdict, Some(since));
    }
    if turn.shall_end(id) {
        return condemn(live, turn, id, Verdict::Asked, Some(since));
    }
    if let Some(verdict) = live.verdict.take() {
        return condemn(live, turn, id, verdict, Some(since));
    }
    if live.probes.is_none() {
        probes::begin(live, turn, id, since);
    }
    let wake = wait_for_ends(live, turn, id);
    rest(probes::due(live, turn, id).into_iter().chain(wake).min())
}

fn rest(wake: Option<u64>) -> Next {
    wake.map_or(Next::Rest, Next::RestUntil)
}

/// Keeps a wait under way for every container that runs. Returns when to look again, if one must pause.
fn wait_for_ends(live: &mut Live, turn: &mut Turn<'_>, id: TaskId) -> Option<u64> {
    let mut wake = None;
    for i in 0..live.slots.len() {
        let slot = &mut live.slots[i];
        if slot.state != SlotState::Started || slot.waiting {
            continue;
        }
        if slot.wait_retry.due(turn.now) {
            slot.waiting = true;
            turn.work(id, i, Verb::Wait);
        } else {
            wake = earliest(wake, slot.wait_retry.at());
        }
    }
    wake
}

fn earliest(wake: Option<u64>, tick: u64) -> Option<u64> {
    Some(wake.map_or(tick, |w: u64| w.min(tick)))
}

fn stopping(live: &mut Live, turn: &mut Turn<'_>, id: TaskId, kill_at: u64, since: Option<u64>) -> Next {
    let mut wake = wait_for_ends(live, turn, id);
    let mut runs = false;
    for i in 0..live.slots.len() {
        match live.slots[i].state {
            SlotState::Idle | SlotState::Ended(_) => {}
            SlotState::Started => {
                runs = true;
                if let Some(tick) = press(&mut live.slots[i], turn, id, i, kill_at) {
                    wake = earliest(wake, tick);
                }
            }
            SlotState::Uncertain => {
                runs = true;
                if live.op.is_none() && live.retry.due(turn.now) {
                    live.op = Some(VerbKind::Remove);
                    turn.work(id, i, Verb::Remove { kill: true });
                } else if live.op.is_none() {
                    wake = earliest(wake, live.retry.at());
                }
            }
        }
    }
    if runs || live.op.is_some() {
        return rest(wake);
    }
    conclude(live, turn, id, since)
}

/// Sends the signal that is due to one container. Returns when to look again.
fn press(slot: &mut Slot, turn: &mut Turn<'_>, id: TaskId, index: usize, kill_at: u64) -> Option<u64> {
    let due = if turn.now.tick >= kill_at {
        Signalled::Kill
    } else {
        Signalled::Stop
    };
    let more = (due < Signalled::Kill).then_some(kill_at);
    if slot.signalling || slot.signalled >= due {
        return more;
    }
    if !slot.signal_retry.due(turn.now) {
        return Some(slot.signal_retry.at());
    }
    let of_spec = turn
        .task(id)
        .and_then(|(_, spec)| spec.containers.get(index)?.stop_signal.clone());
    slot.signalling = true;
    slot.signalled = due;
    let verb = if due == Signalled::Kill {
        Verb::Kill
    } else {
        Verb::Stop(of_spec)
    };
    turn.work(id, index, verb);
    more
}

/// Nothing of the incarnation runs any more: it is restarted in place, or its end is reported.
fn conclude(live: &mut Live, turn: &mut Turn<'_>, id: TaskId, since: Option<u64>) -> Next {
    let ended = live.first_ended().map(|(_, exit)| exit.clone());
    let verdict = live.verdict.take().unwrap_or(Verdict::Asked);
    let (phase, exit) = match verdict {
        Verdict::Asked => (Phase::Stopped, asked(ended)),
        Verdict::Ended(index, exit) => {
            if restarts(turn, id, index, &exit) {
                return restart(live, turn, id, &exit, since);
            }
            let phase = if is_success(&exit) {
                Phase::Finished
            } else {
                Phase::Failed
            };
            (phase, with_code(exit, ended))
        }
        Verdict::Failed(exit) => (Phase::Failed, with_code(exit, ended)),
        Verdict::Rejected(exit) => (Phase::Rejected, exit),
    };
    let message = words(&exit);
    turn.observe(id, phase, Some(exit), message);
    live.go(Stage::Clearing);
    Next::Step
}

pub(super) fn is_success(exit: &Exit) -> bool {
    exit.code == Some(0) && exit.reason == ExitReason::Exited
}

/// A task that was ended for a cause also tells how its process took it.
pub(super) fn with_code(exit: Exit, ended: Option<Exit>) -> Exit {
    match ended {
        Some(process) if exit.code.is_none() && exit.signal.is_none() => Exit {
            code: process.code,
            signal: process.signal,
            ..exit
        },
        Some(_) | None => exit,
    }
}

/// How it ended, in words: the runtime's, if it found any.
pub(super) fn words(exit: &Exit) -> String {
    match (exit.message.is_empty(), exit.code, exit.signal) {
        (false, _, _) => exit.message.clone(),
        (true, Some(code), None) => format!("exited with code {code}"),
        (true, _, Some(signal)) => format!("ended by signal {signal}"),
        (true, None, None) => "ended".to_owned(),
    }
}

/// The exit of a task that was asked to stop.
pub(super) fn asked(ended: Option<Exit>) -> Exit {
    match ended {
        None => exit(ExitReason::Asked, "stopped before it was started".to_owned()),
        Some(exit) if exit.reason == ExitReason::Exited => Exit {
            reason: ExitReason::Asked,
            ..exit
        },
        Some(exit) => exit,
    }
}

pub(super) fn exit(reason: ExitReason, message: String) -> Exit {
    Exit {
        code: None,
        signal: None,
        reason,
        message,
    }
}

fn restarts(turn: &Turn<'_>, id: TaskId, index: usize, exit: &Exit) -> bool {
    if turn.shall_end(id) {
        return false;
    }
    let Some((task, spec)) = turn.task(id) else {
        return false;
    };
    match spec.containers.get(index).map_or(Restart::Never, |c| c.restart) {
        Restart::Never => false,
        Restart::Always => true,
        Restart::OnFailure { max } => !is_success(exit) && (max == 0 || task.restarts < max),
    }
}

fn restart(live: &mut Live, turn: &mut Turn<'_>, id: TaskId, exit: &Exit, since: Option<u64>) -> Next {
    let Some((task, spec)) = turn.task(id) else {
        return Next::Gone;
    };
    let good_run = since.is_some_and(|s| turn.now.tick.saturating_sub(s) >= spec.backoff.good_run_ms);
    let streak = if good_run {
        1
    } else {
        task.streak.saturating_add(1)
    };
    let begun = Begun {
        task: id,
        incarnation: task.incarnation.next(),
        restarts: task.restarts.saturating_add(1),
        streak,
    };
    begin(live, turn, begun);
    let delay = restart_delay(spec.backoff, streak);
    turn.observe(
        id,
        Phase::Prepared,
        None,
        format!("restarts in {delay} ms: {}", words(exit)),
    );
    live.go(Stage::Delayed {
        until: turn.now.tick.saturating_add(delay),
    });
    Next::Step
}

/// Begins an incarnation. Of those before it the last one stays, with its log.
fn begin(live: &mut Live, turn: &mut Turn<'_>, begun: Begun) {
    turn.remember(Record::Begun(begun));
    if let Some(old) = begun.incarnation.0.checked_sub(2) {
        discard(turn, begun.task, Incarnation(old));
    }
    *live = Live::new(Stage::Preparing(Making::Sandbox), live.slots.len());
}

/// Has every container of an incarnation that is no more destroyed.
fn discard(turn: &mut Turn<'_>, id: TaskId, incarnation: Incarnation) {
    let Some((_, spec)) = turn.task(id) else { return };
    for c in &spec.containers {
        let key = ContainerKey {
            task: id,
            container: c.name.clone(),
            incarnation,
        };
        orphans::take(turn, key, Orphan::new(c.runtime.clone()));
    }
}

/// What the task was given goes with its processes: should it run again, it is fetched again.
fn clearing(live: &mut Live, turn: &mut Turn<'_>, id: TaskId) -> Next {
    if live.op.is_some() {
        return Next::Rest;
    }
    if !live.retry.due(turn.now) {
        return Next::RestUntil(live.retry.at());
    }
    let dirs = turn
        .task(id)
        .map_or_else(Vec::new, |(task, _)| plan::used_dirs(turn.node, task));
    let containers = turn.task(id).map_or(0, |(_, spec)| spec.containers.len());
    if dirs.is_empty() || containers == 0 {
        live.go(Stage::Ended);
        return Next::Step;
    }
    let verb = Verb::RemoveFiles(dirs);
    live.op = Some(verb.kind());
    turn.work(id, 0, verb);
    Next::Rest
}

fn ended(live: &mut Live, turn: &mut Turn<'_>, id: TaskId) -> Next {
    let Some(task) = turn.memory.tasks.get(&id) else {
        return Next::Gone;
    };
    if task.removing {
        if let Some(previous) = task.incarnation.0.checked_sub(1) {
            discard(turn, id, Incarnation(previous));
        }
        live.go(Stage::Removing(Step::Container(0)));
        return Next::Step;
    }
    let is_final = task.newest.as_ref().is_some_and(|o| o.progress.phase.is_final());
    if task.rested && task.assigned.desired == Desired::Running && !is_final {
        run_again(live, turn, id);
        return Next::Step;
    }
    Next::Rest
}

/// A task that had ended shall run again: the next incarnation, with a clean count of restarts.
fn run_again(live: &mut Live, turn: &mut Turn<'_>, id: TaskId) {
    let Some(task) = turn.memory.tasks.get(&id) else {
        return;
    };
    let begun = Begun {
        task: id,
        incarnation: task.incarnation.next(),
        restarts: 0,
        streak: 0,
    };
    begin(live, turn, begun);
    turn.observe(id, Phase::Preparing, None, String::new());
}

fn removing(live: &mut Live, turn: &mut Turn<'_>, id: TaskId, step: Step) -> Next {
    if live.op.is_some() {
        return Next::Rest;
    }
    if !live.retry.due(turn.now) {
        return Next::RestUntil(live.retry.at());
    }
    let containers = turn.task(id).map_or(0, |(_, spec)| spec.containers.len());
    let (index, verb) = match step {
        Step::Container(i) if i < containers => (i, Verb::Remove { kill: false }),
        Step::Container(_) => {
            // The directory is shared by all incarnations: it goes last.
            if turn.orphans.keys().any(|k| k.task == id) {
                return Next::Rest;
            }
            live.go(Stage::Removing(Step::Task));
            return Next::Step;
        }
        Step::Task => (0, Verb::RemoveSandbox(plan::sandbox(turn.node, id))),
    };
    live.op = Some(verb.kind());
    turn.work(id, index, verb);
    Next::Rest
}
