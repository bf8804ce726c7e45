//! From the verdict to the end, and from there to nothing: what runs is ended (the sidecars last), the sandbox goes,
//! the end is reported, and one day all that is left goes.

use super::state::{Clearing, Group, Hook, Making, Next, Removing, Stage, Verdict};
use super::{members, order, status};
use crate::supervisor::advance::{asked, is_success};
use crate::supervisor::io::{Effect, Verb, VerbKind};
use crate::supervisor::live::{Signalled, SlotState};
use crate::supervisor::memory::{Begun, Record};
use crate::supervisor::orphans::{self, Orphan};
use crate::supervisor::plan;
use crate::supervisor::turn::Turn;
use plenum_model::claim::Desired;
use plenum_model::ids::{Incarnation, TaskId};
use plenum_model::phase::Phase;
use plenum_model::spec::{PreStop, Role};

/// The verdict stands: what runs is asked to end, what is being made is given up.
pub(super) fn condemn(group: &mut Group, turn: &mut Turn<'_>, id: TaskId, verdict: Verdict) -> Next {
    group.verdict = Some(verdict);
    let prepares = group.members.iter().any(|m| m.op == Some(VerbKind::Prepare));
    if (prepares || group.op == Some(VerbKind::Fetch)) && !group.cancelled {
        group.cancelled = true;
        turn.effects.push(Effect::Cancel(id));
    }
    group.go(Stage::Stopping {
        kill_at: turn.now.tick.saturating_add(turn.grace_ms(id)),
    });
    Next::Step
}

pub(super) fn stop(group: &mut Group, turn: &mut Turn<'_>, id: TaskId, kill_at: u64) -> Next {
    let Some((_, spec)) = turn.task(id) else {
        return Next::Gone;
    };
    let is_sidecar = |index: usize| {
        spec.containers
            .get(index)
            .is_some_and(|c| c.role == Role::Sidecar)
    };
    let runs = |s: &SlotState| matches!(s, SlotState::Started | SlotState::Uncertain);
    let others_run = group
        .members
        .iter()
        .enumerate()
        .any(|(i, m)| !is_sidecar(i) && runs(&m.slot.state));
    let mut busy = group.op.is_some();
    for index in 0..group.members.len() {
        let member = &group.members[index];
        busy |= member.op.is_some();
        match member.slot.state {
            SlotState::Idle => {}
            SlotState::Ended(_) => members::record_end(group, turn, id, index, true),
            SlotState::Started => {
                busy = true;
                members::wait_for_end(group, turn, id, index);
                if is_sidecar(index) && others_run && turn.now.tick < kill_at {
                    group.look_at(kill_at);
                } else {
                    press(group, turn, id, index, kill_at);
                }
            }
            SlotState::Uncertain => {
                busy = true;
                rid(group, turn, id, index);
            }
        }
    }
    if busy {
        return Next::Rest;
    }
    group.go(Stage::Leaving);
    Next::Step
}

/// Whether it runs is unknown: it is destroyed.
fn rid(group: &mut Group, turn: &mut Turn<'_>, id: TaskId, index: usize) {
    let member = &mut group.members[index];
    if member.op.is_some() {
        return;
    }
    if !member.retry.due(turn.now) {
        let at = member.retry.at();
        return group.look_at(at);
    }
    member.op = Some(VerbKind::Remove);
    turn.work(id, index, Verb::Remove { kill: true });
}

/// Does what is due to end one container: its hook, its signal, the kill.
pub(super) fn press(group: &mut Group, turn: &mut Turn<'_>, id: TaskId, index: usize, kill_at: u64) {
    let kill = turn.now.tick >= kill_at;
    if !kill {
        group.look_at(kill_at);
        if !hook_is_over(group, turn, id, index) {
            return;
        }
    }
    let due = if kill { Signalled::Kill } else { Signalled::Stop };
    let slot = &mut group.members[index].slot;
    if slot.signalling || slot.signalled >= due {
        return;
    }
    if !slot.signal_retry.due(turn.now) {
        let at = slot.signal_retry.at();
        return group.look_at(at);
    }
    slot.signalling = true;
    slot.signalled = due;
    let of_spec = turn
        .task(id)
        .and_then(|(_, spec)| spec.containers.get(index)?.stop_signal.clone());
    let verb = if kill { Verb::Kill } else { Verb::Stop(of_spec) };
    turn.work(id, index, verb);
}

/// Whether what is done before the stop signal is over; begins it if it is due.
fn hook_is_over(group: &mut Group, turn: &mut Turn<'_>, id: TaskId, index: usize) -> bool {
    match group.members[index].hook {
        Hook::Done => true,
        Hook::UnderWay => false,
        Hook::Until(tick) if turn.now.tick >= tick => true,
        Hook::Until(tick) => {
            group.look_at(tick);
            false
        }
        Hook::Due => {
            let begun = match hook(turn, id, index) {
                None => Hook::Done,
                Some(Begin::Sleep(ms)) => Hook::Until(turn.now.tick.saturating_add(ms)),
                Some(Begin::Command(argv)) => {
                    turn.work(id, index, Verb::Hook(argv));
                    Hook::UnderWay
                }
            };
            group.members[index].hook = begun;
            if let Hook::Until(tick) = begun {
                group.look_at(tick);
            }
            begun == Hook::Done
        }
    }
}

enum Begin {
    Command(Vec<String>),
    Sleep(u64),
}

fn hook(turn: &Turn<'_>, id: TaskId, index: usize) -> Option<Begin> {
    let (task, spec) = turn.task(id)?;
    match spec.containers.get(index)?.pre_stop.as_ref()? {
        PreStop::SleepMs(ms) => Some(Begin::Sleep(*ms)),
        // What cannot be filled in was rejected when the container was made.
        PreStop::Exec(words) => plan::command(turn.node, task, &spec, words)
            .ok()
            .map(Begin::Command),
    }
}

/// Its sandbox goes, then its end is reported.
pub(super) fn leave(group: &mut Group, turn: &mut Turn<'_>, id: TaskId) -> Next {
    if group.op.is_some() {
        return Next::Rest;
    }
    if !group.retry.due(turn.now) {
        group.look_at(group.retry.at());
        return Next::Rest;
    }
    let has = turn
        .task(id)
        .is_some_and(|(task, spec)| plan::network(turn.node, task, &spec).is_some());
    if !has {
        conclude(group, turn, id);
        return Next::Step;
    }
    group.op = Some(VerbKind::Remove);
    turn.work_shared(id, Verb::Remove { kill: true });
    Next::Rest
}

/// Nothing of the task runs any more: its end is reported.
pub(super) fn conclude(group: &mut Group, turn: &mut Turn<'_>, id: TaskId) {
    let ended = turn
        .task(id)
        .and_then(|(task, spec)| order::of_mains(task, &spec));
    let (phase, exit) = match group.verdict.take().unwrap_or(Verdict::Asked) {
        Verdict::Asked => (Phase::Stopped, asked(ended)),
        Verdict::Finished(exit) if is_success(&exit) => (Phase::Finished, exit),
        Verdict::Finished(exit) | Verdict::Failed(exit) => (Phase::Failed, exit),
        Verdict::Rejected(exit) => (Phase::Rejected, exit),
    };
    status::tell_end(group, turn, id, phase, exit);
    group.go(Stage::Clearing(Clearing::Files));
}

/// What the task was given goes with its processes, and so does what it holds of memory.
pub(super) fn clear(group: &mut Group, turn: &mut Turn<'_>, id: TaskId, what: Clearing) -> Next {
    if group.op.is_some() {
        return Next::Rest;
    }
    if !group.retry.due(turn.now) {
        group.look_at(group.retry.at());
        return Next::Rest;
    }
    let verb = turn.task(id).and_then(|(task, spec)| match what {
        Clearing::Files => {
            let dirs = plan::dirs_of_files(turn.node, task, &spec);
            (!dirs.is_empty()).then_some(Verb::RemoveFiles(dirs))
        }
        Clearing::Memory => {
            let paths = plan::volumes_in_memory(turn.node, task, &spec);
            (!paths.is_empty()).then_some(Verb::RemoveVolumes(paths))
        }
    });
    let Some(verb) = verb else {
        cleared(group, what);
        return Next::Step;
    };
    group.op = Some(verb.kind());
    turn.work_shared(id, verb);
    Next::Rest
}

/// This went with the end.
pub(super) fn cleared(group: &mut Group, what: Clearing) {
    group.go(match what {
        Clearing::Files => Stage::Clearing(Clearing::Memory),
        Clearing::Memory => Stage::Ended,
    });
}

pub(super) fn ended(group: &mut Group, turn: &mut Turn<'_>, id: TaskId) -> Next {
    let Some(task) = turn.memory.tasks.get(&id) else {
        return Next::Gone;
    };
    if task.removing {
        discard_all(turn, id);
        group.go(Stage::Removing(Removing::Containers));
        return Next::Step;
    }
    let is_final = task.newest.as_ref().is_some_and(|o| o.progress.phase.is_final());
    if task.rested && task.assigned.desired == Desired::Running && !is_final {
        run_again(group, turn, id);
        return Next::Step;
    }
    Next::Rest
}

/// A task that had ended shall run again: everything of it begins anew.
fn run_again(group: &mut Group, turn: &mut Turn<'_>, id: TaskId) {
    let Some(task) = turn.memory.tasks.get(&id) else {
        return;
    };
    let old = plan::sandbox_key(task);
    let begun = Begun {
        task: id,
        incarnation: task.incarnation.next(),
        restarts: 0,
        streak: 0,
    };
    turn.remember(Record::Begun(begun));
    for index in 0..group.members.len() {
        let before = turn
            .run(id, index)
            .and_then(|run| run.incarnation.0.checked_sub(2));
        if let Some(before) = before {
            members::discard(turn, id, index, Incarnation(before));
        }
    }
    if let Some(runtime) = turn.shared_runtime(id) {
        orphans::take(turn, old, Orphan::new(runtime));
    }
    *group = Group::new(Stage::Making(Making::Directory), group.members.len());
}

/// Has every container of the task destroyed, its sandbox last known too.
fn discard_all(turn: &mut Turn<'_>, id: TaskId) {
    let Some((task, spec)) = turn.task(id) else { return };
    let network = plan::network(turn.node, task, &spec).map(|n| n.key);
    for index in 0..spec.containers.len() {
        let Some(run) = turn.run(id, index) else { continue };
        let Incarnation(n) = run.incarnation;
        for incarnation in [Some(n), n.checked_sub(1)].into_iter().flatten() {
            members::discard(turn, id, index, Incarnation(incarnation));
        }
    }
    if let (Some(key), Some(runtime)) = (network, turn.shared_runtime(id)) {
        orphans::take(turn, key, Orphan::new(runtime));
    }
}

pub(super) fn remove(group: &mut Group, turn: &mut Turn<'_>, id: TaskId, what: Removing) -> Next {
    if group.op.is_some() {
        return Next::Rest;
    }
    if !group.retry.due(turn.now) {
        group.look_at(group.retry.at());
        return Next::Rest;
    }
    let verb = match what {
        Removing::Containers if turn.orphans.keys().any(|k| k.task == id) => return Next::Rest,
        Removing::Containers => None,
        Removing::Volumes => turn.task(id).and_then(|(task, spec)| {
            let mut paths: Vec<_> = plan::volumes(turn.node, task, &spec)
                .into_iter()
                .filter_map(|v| v.written.then_some(v.path))
                .collect();
            (!paths.is_empty()).then(|| {
                paths.push(plan::volumes_dir(turn.node, id));
                Verb::RemoveVolumes(paths)
            })
        }),
        Removing::Directory => Some(Verb::RemoveSandbox(plan::sandbox(turn.node, id))),
    };
    let Some(verb) = verb else {
        removed(group, what);
        return Next::Step;
    };
    group.op = Some(verb.kind());
    turn.work_shared(id, verb);
    Next::Rest
}

/// This went with the task.
pub(super) fn removed(group: &mut Group, what: Removing) {
    group.go(match what {
        Removing::Containers => Stage::Removing(Removing::Volumes),
        Removing::Volumes => Stage::Removing(Removing::Directory),
        Removing::Directory => Stage::Gone,
    });
}
