//! What a step over one task works with: the time, the node, the memory and the effects. The only place that
//! writes down and that reports.

use super::NodeView;
use super::io::{Effect, Now, Verb, Work};
use super::memory::{Memory, Record, Remembered};
use super::orphans::Orphan;
use super::outbox::Outbox;
use super::plan;
use super::probes::{self, ProbeWork};
use plenum_contract::runtime::ContainerKey;
use plenum_model::claim::Desired;
use plenum_model::ids::TaskId;
use plenum_model::phase::{Phase, Progress};
use plenum_model::spec::TaskSpec;
use plenum_model::task::{Exit, Observation};
use std::collections::BTreeMap;
use std::sync::Arc;

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
        self.report(id, phase, has.then_some(false), exit, message);
    }

    /// Reports that a running task has become ready, or is not any more.
    pub(super) fn observe_ready(&mut self, id: TaskId, ready: Option<bool>, message: String) {
        self.report(id, Phase::Running, ready, None, message);
    }

    fn report(&mut self, id: TaskId, phase: Phase, ready: Option<bool>, exit: Option<Exit>, message: String) {
        let Some(task) = self.memory.tasks.get(&id) else {
            return;
        };
        let progress = Progress {
            incarnation: task.incarnation,
            phase,
        };
        let old = task
            .newest
            .as_ref()
            .filter(|o| !o.progress.phase.is_terminal())
            .map(|o| o.seq);
        let seen = Observation {
            task: id,
            seq: self.memory.seq.next(),
            progress,
            ready,
            address: None,
            exit,
            message,
            at: self.now.unix,
            containers: Vec::new(),
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

    /// Milliseconds from the stop signal to the kill.
    pub(super) fn grace_ms(&self, id: TaskId) -> u64 {
        self.task(id).map_or(0, |(task, spec)| {
            let of_spec = spec.containers.iter().map(|c| c.stop_grace_ms).max().unwrap_or(0);
            task.assigned.grace_ms.unwrap_or(of_spec)
        })
    }
}
