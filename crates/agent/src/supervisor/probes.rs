//! Checks of a running task's health: when each is due, and what its results in a row mean. Who does them asks
//! [`super::Supervisor::take_probes`] for those that are due and answers with [`super::Input::Probed`].

use super::advance::exit;
use super::io::Saw;
use super::live::{Live, Stage, Verdict};
use super::memory::Remembered;
use super::plan;
use super::turn::Turn;
use plenum_contract::runtime::ContainerKey;
use plenum_contract::streams::{CheckResult, Health};
use plenum_model::ids::TaskId;
use plenum_model::phase::Phase;
use plenum_model::spec::{Check, ContainerSpec, Network, OnFailure, Probe, ProbePort, RestartUnit, TaskSpec};
use plenum_model::task::{CheckStatus, Exit, ExitReason};
use plenum_model::template::Unfilled;
use std::collections::VecDeque;

/// A check to be done now. Answered by [`super::Input::Probed`] with the same key and index, at the latest when
/// its time is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeWork {
    /// Of which container.
    pub key: ContainerKey,
    /// Which of its probes.
    pub index: usize,
    /// The container's runtime.
    pub runtime: String,
    /// What is asked.
    pub check: PlannedCheck,
    /// Milliseconds it may take.
    pub timeout_ms: u64,
}

/// A check with all placeholders and ports filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlannedCheck {
    /// A command inside the container; exit code 0 passes.
    Exec(Vec<String>),
    /// A GET; the status codes that pass are said.
    Http {
        /// The node's address.
        address: String,
        /// The port of the node that leads to the task.
        port: u16,
        /// Path and query.
        path: String,
        /// Sent with it.
        headers: Vec<(String, String)>,
        /// Over TLS, not verified.
        tls: bool,
        /// The status codes that pass; empty: 200 to 399.
        statuses: Vec<u16>,
    },
    /// A connection that opens passes.
    Tcp {
        /// The node's address.
        address: String,
        /// The port of the node that leads to the task.
        port: u16,
    },
    /// The check that the image names, which its runtime does.
    Image,
}

/// So many results of a probe are remembered.
const RESULTS: usize = 5;

/// Where one probe stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Watched {
    pub(super) container: usize,
    pub(super) index: usize,
    pub(super) next_at: u64,
    pub(super) under_way: bool,
    /// Whether it is asked no more.
    over: bool,
    /// Whether it has ever passed: the end of the grace.
    proven: bool,
    /// The last result, and how often in a row it came.
    row: (bool, u32),
    /// The settled state; none: not settled yet.
    pub(super) passes: Option<bool>,
    /// What was seen lately.
    memory: Memory,
    /// What is told of it, if it is.
    told: CheckStatus,
}

/// So many failures in a row are told one by one; of a longer row only those that double it, so that a check which
/// fails for ever writes ever less.
const TOLD_SINGLY: u32 = 32;

/// What one probe saw lately.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Memory {
    /// Whether there may be no such check: whether an image names one is known once its runtime was asked.
    unsure: bool,
    /// The newest last.
    results: VecDeque<CheckResult>,
    /// Failures in a row, those that do not count included.
    failing: u32,
}

impl Watched {
    /// A probe that is asked first at `next_at`; `passes`: what is known of it from before.
    pub(super) fn new(container: usize, index: usize, next_at: u64, passes: Option<bool>) -> Self {
        Self {
            container,
            index,
            next_at,
            under_way: false,
            over: false,
            proven: passes == Some(true),
            row: (false, 0),
            passes,
            memory: Memory::default(),
            told: CheckStatus::default(),
        }
    }

    /// Goes on from what was told of it before.
    fn resume(&mut self, probe: &Probe, told: &CheckStatus) {
        self.passes = told.passes;
        self.row = (told.failures == 0, told.failures);
        self.over = probe.once && told.passes == Some(true);
        self.proven = told.first_success.is_some();
        self.told = told.clone();
    }

    /// Whether a result counts: failures in the grace do not, until it has passed.
    pub(super) fn counts(&self, passed: bool, in_grace: bool) -> bool {
        passed || !in_grace || self.proven
    }

    /// Notes a result that counts in what is told. Returns whether that is news.
    fn tell(&mut self, result: &Result<(), String>, unix_ms: u64) -> bool {
        let told = &mut self.told;
        told.passes = self.passes;
        let Err(why) = result else {
            let news = told.failures > 0 || told.first_success.is_none();
            told.failures = 0;
            told.first_success.get_or_insert(unix_ms);
            if news {
                told.last_success = Some(unix_ms);
            }
            return news;
        };
        told.failures = told.failures.saturating_add(1);
        told.last_failure = Some(unix_ms);
        told.cause.clone_from(why);
        told.failures <= TOLD_SINGLY || told.failures.is_power_of_two()
    }
}

/// Probes of an incarnation that has just come to run, or was adopted.
pub(super) fn begin(live: &mut Live, turn: &Turn<'_>, id: TaskId, since: u64) {
    let Some((task, spec)) = turn.task(id) else { return };
    // An adopted task that was ready stays so until its probes say otherwise.
    let was = task
        .newest
        .as_ref()
        .filter(|o| o.progress.incarnation == task.incarnation && o.progress.phase == Phase::Running);
    let was_ready = was.is_some_and(|o| o.ready == Some(true));
    let was_checked = was.is_some_and(|o| o.ready.is_some());
    let all = spec.containers.iter().enumerate().flat_map(|(c, container)| {
        container.probes.iter().enumerate().map(move |(index, probe)| {
            let first = since.saturating_add(probe.delay_ms);
            let mut watched = Watched::new(c, index, first, was_ready.then_some(true));
            // Who waits for a check does so until it is known that there is none; who was not waiting does not begin to.
            let waits = was.is_none() && probe.on_failure == OnFailure::Fail;
            watched.memory.unsure = probe.is_of_image() && !was_checked && !waits;
            watched
        })
    });
    let mut all: Vec<Watched> = all.collect();
    let told = all
        .iter_mut()
        .filter_map(|w| Some((of(&spec, w).filter(|p| p.told)?, w)));
    for ((probe, watched), before) in told.zip(was.iter().flat_map(|o| &o.checks)) {
        watched.resume(probe, before);
    }
    live.probes = Some(all);
}

/// What is told of the probes of a task.
fn told(probes: &[Watched], spec: &TaskSpec) -> Vec<CheckStatus> {
    let told = probes.iter().filter(|w| of(spec, w).is_some_and(|p| p.told));
    told.map(|w| w.told.clone()).collect()
}

/// Hands out the probes that are due. Returns when the next one is.
pub(super) fn due(live: &mut Live, turn: &mut Turn<'_>, id: TaskId) -> Option<u64> {
    let mut probes = live.probes.take()?;
    let mut wake: Option<u64> = None;
    for watched in probes.iter_mut().filter(|w| !w.under_way && !w.over) {
        if turn.now.tick >= watched.next_at {
            let work = turn
                .task(id)
                .and_then(|(task, spec)| work(turn, task, &spec, watched));
            watched.under_way = work.is_some();
            turn.probes.extend(work);
        } else {
            wake = Some(wake.map_or(watched.next_at, |w| w.min(watched.next_at)));
        }
    }
    live.probes = Some(probes);
    wake
}

fn work(turn: &Turn<'_>, task: &Remembered, spec: &TaskSpec, watched: &Watched) -> Option<ProbeWork> {
    let container = spec.containers.get(watched.container)?;
    let probe = container.probes.get(watched.index)?;
    // What cannot be filled in was rejected when the task came.
    let check = planned(turn.node, task, spec, plan::own_address(task), &probe.check).ok()?;
    Some(ProbeWork {
        key: plan::key(task, spec, watched.container),
        index: watched.index,
        runtime: container.runtime.clone(),
        check,
        timeout_ms: probe.timeout_ms.max(1),
    })
}

pub(super) fn planned(
    node: &super::NodeView,
    task: &Remembered,
    spec: &TaskSpec,
    own: Option<&str>,
    check: &Check,
) -> Result<PlannedCheck, String> {
    let ports = plan::ports(node, task);
    let at = |port: ProbePort| match port {
        ProbePort::Claim(n) => {
            let missing = || format!("it asks for port {n} of {}", ports.len());
            let port = ports.get(usize::from(n)).ok_or_else(missing)?;
            Ok((port.address.clone(), port.host))
        }
        ProbePort::Inside { inside } => match (own, spec.network) {
            (Some(own), _) => Ok((own.to_owned(), inside)),
            (None, Network::Host) => Ok((node.address.clone(), inside)),
            (None, Network::Bridge) => Err("the task has no address that is known".to_owned()),
        },
    };
    match check {
        Check::Exec(argv) => {
            let fill = |p| plan::value(node, task, spec, &ports, p);
            let argv = argv
                .iter()
                .map(|t| t.expand(fill))
                .collect::<Result<Vec<_>, Unfilled>>();
            match argv {
                Ok(argv) if argv.is_empty() => Err("it has no command".to_owned()),
                Ok(argv) => Ok(PlannedCheck::Exec(argv)),
                Err(unfilled) => Err(unfilled.to_string()),
            }
        }
        Check::Http {
            port,
            path,
            tls,
            headers,
            statuses,
        } => {
            let (address, port) = at(*port)?;
            Ok(PlannedCheck::Http {
                address,
                port,
                path: path.clone(),
                headers: headers.clone(),
                tls: *tls,
                statuses: statuses.clone(),
            })
        }
        Check::Image => Ok(PlannedCheck::Image),
        Check::Tcp { port } => {
            let (address, port) = at(*port)?;
            Ok(PlannedCheck::Tcp { address, port })
        }
    }
}

/// What stands against the probes of a task, in words.
pub(super) fn objection(node: &super::NodeView, task: &Remembered, spec: &TaskSpec) -> Option<String> {
    // A task whose containers share an address has it before the first probe.
    let own = (spec.restart_unit == RestartUnit::Container && spec.network == Network::Bridge).then_some("");
    let of = |c: &ContainerSpec| {
        c.probes
            .iter()
            .chain(&c.startup)
            .enumerate()
            .find_map(|(i, probe)| {
                let alone = spec.restart_unit == RestartUnit::Container && probe.is_of_image();
                let why = match planned(node, task, spec, own, &probe.check) {
                    Ok(_) if alone => "the check of an image needs the restart unit TASK".to_owned(),
                    planned => planned.err()?,
                };
                Some(format!("probe {i} of container {}: {why}", c.name))
            })
    };
    spec.containers.iter().find_map(of)
}

/// Whether the task is ready by its probes that say so; none: it has none.
pub(super) fn ready(live: &Live, spec: &TaskSpec) -> Option<bool> {
    let probes = live.probes.as_ref()?;
    let mut reporting = probes
        .iter()
        .filter(|w| !w.memory.unsure && of(spec, w).is_some_and(|p| p.on_failure.gates()))
        .peekable();
    reporting.peek()?;
    Some(reporting.all(|w| w.passes == Some(true)))
}

/// Whether a task has probes that say whether it is ready. Whether its images name checks is not known before they run;
/// what would fail by one waits until it is.
pub(super) fn has_readiness(spec: &TaskSpec) -> bool {
    let mut probes = spec.containers.iter().flat_map(|c| &c.probes);
    probes.any(|p| p.on_failure.gates() && !(p.is_of_image() && p.on_failure == OnFailure::Report))
}

fn of<'a>(spec: &'a TaskSpec, watched: &Watched) -> Option<&'a Probe> {
    spec.containers.get(watched.container)?.probes.get(watched.index)
}

/// Takes in a result.
pub(super) fn probed(
    live: &mut Live,
    turn: &mut Turn<'_>,
    id: TaskId,
    (container, index): (&str, usize),
    result: &Result<(), String>,
) {
    let Stage::Running { since } = live.stage else {
        return;
    };
    let Some((_, spec)) = turn.task(id) else { return };
    let before = ready(live, &spec);
    let now = turn.now.tick;
    let found = live.probes.as_mut().and_then(|all| {
        all.iter_mut().find(|w| {
            w.under_way
                && w.index == index
                && spec
                    .containers
                    .get(w.container)
                    .is_some_and(|c| c.name == container)
        })
    });
    let Some(watched) = found else { return };
    let Some(probe) = of(&spec, watched) else { return };
    watched.under_way = false;
    watched.next_at = now.saturating_add(probe.period_ms.max(1));
    if !watched.counts(result.is_ok(), now < since.saturating_add(probe.grace_ms)) {
        return;
    }
    let failed = settle(watched, probe, result.is_ok());
    watched.over = probe.once && watched.passes == Some(true);
    let mut news = probe.told && watched.tell(result, turn.now.unix);
    let which = watched.container;
    if let (true, Err(why)) = (failed, result) {
        match probe.on_failure {
            // That it has failed is news even of one that never passed.
            OnFailure::Report => news |= before == Some(false),
            OnFailure::Restart => live.verdict = Some(Verdict::Ended(which, unhealthy(why))),
            OnFailure::Fail => live.verdict = Some(Verdict::Failed(unhealthy(why))),
        }
    }
    let after = ready(live, &spec);
    if live.verdict.is_none() && (before != after || news) {
        tell_ready(live, turn, id, &spec, after, result.as_ref().err());
    }
}

/// Reports readiness and what is told of the probes. In words: what one that fails said last, or this one.
fn tell_ready(
    live: &Live,
    turn: &mut Turn<'_>,
    id: TaskId,
    spec: &TaskSpec,
    ready: Option<bool>,
    failure: Option<&String>,
) {
    let told = told(live.probes.as_deref().unwrap_or_default(), spec);
    let failing = told.iter().find(|c| c.passes == Some(false));
    let why = failure.or(failing.map(|c| &c.cause));
    let message = why.filter(|_| ready == Some(false));
    let message = message.map(|why| format!("not ready: {why}")).unwrap_or_default();
    turn.observe_ready(id, ready, message, told);
}

/// Takes in what a probe saw.
pub(super) fn checked(
    live: &mut Live,
    turn: &mut Turn<'_>,
    id: TaskId,
    (container, index): (&str, usize),
    saw: Saw,
) {
    let Stage::Running { .. } = live.stage else {
        return;
    };
    let Some((_, spec)) = turn.task(id) else { return };
    let before = ready(live, &spec);
    let now = turn.now.tick;
    let Some(probes) = &mut live.probes else { return };
    let asked = |w: &Watched| {
        let of = spec.containers.get(w.container);
        w.under_way && w.index == index && of.is_some_and(|c| c.name == container)
    };
    let Some(at) = probes.iter().position(asked) else {
        return;
    };
    let watched = &mut probes[at];
    let period = of(&spec, watched).map_or(1, |p| p.period_ms.max(1));
    watched.memory.unsure = false;
    match saw {
        Saw::Result(result) => watched.memory.take(result),
        Saw::Unsettled => {
            watched.under_way = false;
            watched.next_at = now.saturating_add(period);
        }
        Saw::NoCheck => drop(probes.remove(at)),
    }
    let after = ready(live, &spec);
    if before != after {
        tell_ready(live, turn, id, &spec, after, None);
    }
}

impl Memory {
    fn take(&mut self, result: CheckResult) {
        self.failing = match result.code {
            0 => 0,
            _ => self.failing.saturating_add(1),
        };
        if self.results.len() == RESULTS {
            self.results.pop_front();
        }
        self.results.push_back(result);
    }
}

/// How the probes of a container went lately, and whether one of them is its image's own check.
pub(super) fn health(spec: &TaskSpec, probes: &[Watched], container: usize) -> (Health, bool) {
    let mut its = probes
        .iter()
        .filter(|w| w.container == container && !w.memory.unsure);
    let Some(first) = its.next() else {
        return (Health::default(), false);
    };
    let health = Health {
        failing: first.memory.failing,
        results: first.memory.results.iter().cloned().collect(),
    };
    (health, of(spec, first).is_some_and(Probe::is_of_image))
}

/// Counts a result. Returns whether the probe has just come to fail.
pub(super) fn settle(watched: &mut Watched, probe: &Probe, passed: bool) -> bool {
    let (last, times) = watched.row;
    watched.row = (
        passed,
        if last == passed {
            times.saturating_add(1)
        } else {
            1
        },
    );
    let needed = if passed { probe.successes } else { probe.failures }.max(1);
    if watched.row.1 < needed || watched.passes == Some(passed) {
        return false;
    }
    watched.passes = Some(passed);
    watched.proven |= passed;
    !passed
}

pub(super) fn unhealthy(why: &str) -> Exit {
    exit(ExitReason::Unhealthy, format!("unhealthy: {why}"))
}
