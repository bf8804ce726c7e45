//! What a step over one task works with: the time, the node, the memory and the effects. The only place that
//! writes down and that reports.

use super::NodeView;
use super::io::{Effect, Now, Verb, Work};
use super::memory::{Memory, Record, Remembered, Run};
use super::orphans::Orphan;
use super::outbox::Outbox;
use super::plan;
use super::probes::{self, ProbeWork};
use plenum_contract::runtime::ContainerKey;
use plenum_model::claim::Desired;
use plenum_model::ids::TaskId;
use plenum_model::phase::{Phase, Progress};
use plenum_model::spec::TaskSpec;
use plenum_model::task::{CheckStatus, ContainerStatus, Exit, Observation};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What was seen of a task.
pub(super) struct Seen {
    pub(super) phase: Phase,
    pub(super) ready: Option<bool>,
    pub(super) address: Option<String>,
    pub(super) exit: Option<Exit>,
    pub(super) message: String,
    pub(super) containers: Vec<ContainerStatus>,
}

/// The surroundings of one step.
pub(super) struct Turn<'a> {
    pub(super) now: Now,
    pub(super) node: &'a NodeView,
    pub(super) memory: &'a mut Memory,
    /// Containers without a task that are to be destroyed.
    pub(super) orphans: &'a mut BTreeMap<ContainerKey, Orphan>,
    pub(super) outbox: &'a mut Outbox,
    /// Probes that are due.
    pub(super) probes: &'a mut Vec<ProbeWork>,
    pub(super) effects: &'a mut Vec<Effect>,
}

impl Turn<'_> {
    /// Changes the memory and has that written down.
    pub(super) fn remember(&mut self, record: Record) {
        self.memory.apply(&record);
        self.effects.push(Effect::Persist(record));
    }

    /// Numbers and reports what was seen; a task with readiness probes is not ready.
    pub(super) fn observe(&mut self, id: TaskId, phase: Phase, exit: Option<Exit>, message: String) {
        let has = self
            .task(id)
            .is_some_and(|(_, spec)| probes::has_readiness(&spec));
        self.put(
            id,
            Seen {
                phase,
                ready: has.then_some(false),
                address: None,
                exit,
                message,
                containers: Vec::new(),
            },
            None,
        );
    }

    /// Reports that a running task has become ready, or is not any more, or how its told probes go.
    pub(super) fn observe_ready(
        &mut self,
        id: TaskId,
        ready: Option<bool>,
        message: String,
        checks: Vec<CheckStatus>,
    ) {
        let seen = Seen {
            phase: Phase::Running,
            ready,
            address: None,
            exit: None,
            message,
            containers: Vec::new(),
        };
        self.put(id, seen, Some(checks));
    }

    /// Reports this, if it differs from what was reported last. The phase goes forward only.
    pub(super) fn observe_if_new(&mut self, id: TaskId, mut seen: Seen) {
        let newest = self.memory.tasks.get(&id).and_then(|task| {
            let of_now = |o: &&Observation| o.progress.incarnation == task.incarnation;
            task.newest.as_ref().filter(of_now)
        });
        if let Some(old) = newest {
            seen.phase = old.progress.phase.next(seen.phase).unwrap_or(old.progress.phase);
            let same = seen.phase == old.progress.phase
                && seen.ready == old.ready
                && seen.address == old.address
                && seen.message == old.message
                && seen.containers == old.containers;
            if same || old.progress.phase.is_terminal() {
                return;
            }
        }
        self.put(id, seen, None);
    }

    /// Told probes of which nothing new is said stay as they were.
    fn put(&mut self, id: TaskId, seen: Seen, checks: Option<Vec<CheckStatus>>) {
        let Some(task) = self.memory.tasks.get(&id) else {
            return;
        };
        let progress = Progress {
            incarnation: task.incarnation,
            phase: seen.phase,
        };
        let newest = task.newest.as_ref();
        let same_run = newest.filter(|o| o.progress.incarnation == task.incarnation);
        let checks = checks.unwrap_or_else(|| same_run.map_or_else(Vec::new, |o| o.checks.clone()));
        let old = newest.filter(|o| !o.progress.phase.is_terminal()).map(|o| o.seq);
        let seen = Observation {
            task: id,
            seq: self.memory.seq.next(),
            progress,
            ready: seen.ready,
            address: seen.address,
            exit: seen.exit,
            message: seen.message,
            at: self.now.unix,
            containers: seen.containers,
            checks,
        };
        self.outbox.put(old, &seen);
        self.remember(Record::Observed(seen));
    }

    /// Asks for work on container `index` of the current incarnation.
    pub(super) fn work(&mut self, id: TaskId, index: usize, verb: Verb) {
        let Some((task, spec)) = self.task(id) else { return };
        let Some(container) = spec.containers.get(index) else {
            return;
        };
        let key = plan::key(task, &spec, index);
        self.effects.push(Effect::Do(Work {
            key,
            runtime: container.runtime.clone(),
            verb,
        }));
    }

    /// Asks for work on what the containers of a task share.
    pub(super) fn work_shared(&mut self, id: TaskId, verb: Verb) {
        let Some((task, _)) = self.task(id) else { return };
        let key = plan::sandbox_key(task);
        if let Some(runtime) = self.shared_runtime(id) {
            self.effects.push(Effect::Do(Work { key, runtime, verb }));
        }
    }

    /// The runtime of what the containers of a task share.
    pub(super) fn shared_runtime(&self, id: TaskId) -> Option<String> {
        let (_, spec) = self.task(id)?;
        spec.containers.first().map(|c| c.runtime.clone())
    }

    /// What is remembered of container `index`, where they are restarted one by one.
    pub(super) fn run(&self, id: TaskId, index: usize) -> Option<&Run> {
        let (_, spec) = self.task(id)?;
        self.memory
            .tasks
            .get(&id)?
            .runs
            .get(&spec.containers.get(index)?.name)
    }

    /// Changes what is remembered of container `index`.
    pub(super) fn change_run(&mut self, id: TaskId, index: usize, change: impl FnOnce(&mut Run)) {
        let Some((_, spec)) = self.task(id) else { return };
        let Some(c) = spec.containers.get(index) else {
            return;
        };
        let mut run = self.run(id, index).cloned().unwrap_or_default();
        change(&mut run);
        self.remember(Record::Container {
            task: id,
            name: c.name.clone(),
            run: Box::new(run),
        });
    }

    /// What is remembered of a task, with its spec.
    pub(super) fn task(&self, id: TaskId) -> Option<(&Remembered, Arc<TaskSpec>)> {
        let task = self.memory.tasks.get(&id)?;
        let spec = self.memory.specs.get(&task.assigned.terms.spec)?;
        Some((task, Arc::clone(spec)))
    }

    /// Whether this incarnation shall not run (any more): one that was wanted stopped ends, whatever is wanted
    /// since; running again is the next one's.
    pub(super) fn shall_end(&self, id: TaskId) -> bool {
        self.memory
            .tasks
            .get(&id)
            .is_none_or(|t| t.removing || t.rested || t.assigned.desired == Desired::Stopped)
    }

    /// Milliseconds from the stop signal to the kill of one container.
    pub(super) fn grace_of(&self, id: TaskId, index: usize) -> u64 {
        self.task(id).map_or(0, |(task, spec)| {
            let of_spec = spec.containers.get(index).map_or(0, |c| c.stop_grace_ms);
            task.assigned.grace_ms.unwrap_or(of_spec)
        })
    }

    /// Milliseconds from the stop signal to the kill.
    pub(super) fn grace_ms(&self, id: TaskId) -> u64 {
        self.task(id).map_or(0, |(task, spec)| {
            let of_spec = spec.containers.iter().map(|c| c.stop_grace_ms).max().unwrap_or(0);
            task.assigned.grace_ms.unwrap_or(of_spec)
        })
    }
}
