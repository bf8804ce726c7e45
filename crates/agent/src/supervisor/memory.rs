//! What the agent may never forget, as a fold over records. Whoever changes it does so by `apply`, so that the
//! records on disk and the memory of a living agent cannot disagree.

use plenum_contract::dispatcher::Assignment;
use plenum_contract::runtime::ContainerKey;
use plenum_model::claim::{Desired, Seat, Terms};
use plenum_model::ids::{Generation, Incarnation, LeaderEpoch, SchedulerId, Seq, SpecId, TaskId};
use plenum_model::phase::Progress;
use plenum_model::spec::TaskSpec;
use plenum_model::task::{ContainerEnd, Observation};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One change of the memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// Observations are numbered from here. The first record of a journal; later ones only raise it.
    FirstSeq(Seq),
    /// This leader was obeyed; older ones are refused from now on.
    Epoch(LeaderEpoch),
    /// A spec that an assignment refers to.
    Spec(Arc<TaskSpec>),
    /// An assignment was accepted.
    Assigned(Box<Assigned>),
    /// A new incarnation begins.
    Begun(Begun),
    /// The current incarnation of this task is about to be started.
    Starting(TaskId),
    /// What a container of a task that restarts them one by one has come to, whole.
    Container {
        /// Of which task.
        task: TaskId,
        /// Its name.
        name: String,
        /// What it has come to.
        run: Box<Run>,
    },
    /// What the containers of a task share is there.
    Shared {
        /// Of which task.
        task: TaskId,
        /// Its own address, where it has one.
        address: Option<String>,
    },
    /// Something was seen and will be reported.
    Observed(Observation),
    /// The broker keeps everything up to here.
    Acked(Seq),
    /// The task shall go with all it left.
    Removing(TaskId),
    /// The task is gone.
    Removed(TaskId),
}

impl Record {
    /// Whether effects that follow must wait until this is on disk. The others only save repetition.
    #[must_use]
    pub fn must_be_durable(&self) -> bool {
        match self {
            Self::Acked(_) | Self::Removed(_) => false,
            Self::FirstSeq(_)
            | Self::Epoch(_)
            | Self::Spec(_)
            | Self::Assigned(_)
            | Self::Begun(_)
            | Self::Starting(_)
            | Self::Container { .. }
            | Self::Shared { .. }
            | Self::Observed(_)
            | Self::Removing(_) => true,
        }
    }
}

/// An accepted assignment, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assigned {
    /// Whose task.
    pub scheduler: SchedulerId,
    /// What is its own.
    pub seat: Seat,
    /// What it shares.
    pub terms: Arc<Terms>,
    /// The host port given to each port of `terms.ports`.
    pub ports: Vec<u16>,
    /// The generation obeyed.
    pub generation: Generation,
    /// What shall be true of it.
    pub desired: Desired,
    /// Milliseconds from the stop signal to the kill, instead of the spec's.
    pub grace_ms: Option<u64>,
    /// The incarnation after which it was admitted to run again.
    #[serde(default)]
    pub again_after: Option<Incarnation>,
}

impl From<Assignment> for Assigned {
    fn from(a: Assignment) -> Self {
        Self {
            scheduler: a.scheduler,
            seat: a.seat,
            terms: a.terms,
            ports: a.ports,
            generation: a.generation,
            desired: a.desired,
            grace_ms: a.grace_ms,
            again_after: a.again_after,
        }
    }
}

/// The begin of an incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// Of which task.
    pub task: TaskId,
    /// Which one.
    pub incarnation: Incarnation,
    /// Restarts in place since it was last asked to run.
    pub restarts: u32,
    /// Restarts in a row after short runs; the back-off follows from it.
    pub streak: u32,
}

/// What is remembered of one container of a task that restarts them one by one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The newest incarnation of the container.
    pub incarnation: Incarnation,
    /// Restarts in place since the task was last asked to run.
    pub restarts: u32,
    /// Restarts in a row after short runs; the back-off follows from it.
    pub streak: u32,
    /// Whether this incarnation was about to be started, or has been.
    pub started: bool,
    /// Unix milliseconds of its start, once that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<u64>,
    /// Whether its startup check has passed.
    #[serde(default)]
    pub passed: bool,
    /// How this incarnation ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<ContainerEnd>,
    /// How the one before ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<ContainerEnd>,
    /// What the runtime calls the newest one that was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What the runtime calls its image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_id: Option<String>,
}

/// What is remembered of one task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// The newest assignment that was accepted.
    pub assigned: Assigned,
    /// The current incarnation.
    pub incarnation: Incarnation,
    /// Restarts in place since it was last asked to run.
    pub restarts: u32,
    /// Restarts in a row after short runs.
    pub streak: u32,
    /// Whether the current incarnation was about to be started, or has been.
    pub started: bool,
    /// The newest observation.
    pub newest: Option<Observation>,
    /// Whether it was wanted stopped during this incarnation, or was admitted to run again after it: then
    /// running means the next one.
    pub rested: bool,
    /// Whether it shall go.
    pub removing: bool,
    /// Its containers by name, where they are restarted one by one.
    pub runs: BTreeMap<String, Run>,
    /// What its containers share, once that is there: its own address, where it has one.
    pub shared: Option<Option<String>>,
}

impl Remembered {
    /// Whether a container is of the present: of the task's incarnation, or of its own where it has one.
    #[must_use]
    pub fn is_current(&self, key: &ContainerKey) -> bool {
        let run = self.runs.get(&key.container);
        key.incarnation == run.map_or(self.incarnation, |r| r.incarnation)
    }

    /// The newest observation if it is the end of the current incarnation.
    #[must_use]
    pub fn ended(&self) -> Option<&Observation> {
        self.newest
            .as_ref()
            .filter(|o| o.progress.incarnation == self.incarnation && o.progress.phase.is_terminal())
    }
}

/// All that is remembered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    /// The highest leader epoch obeyed.
    pub epoch: LeaderEpoch,
    /// The number of the newest observation.
    pub seq: Seq,
    /// Up to where the broker has acknowledged.
    pub acked: Seq,
    /// Specs by content.
    pub specs: BTreeMap<SpecId, Arc<TaskSpec>>,
    /// Tasks by id.
    pub tasks: BTreeMap<TaskId, Remembered>,
    /// Observations that the broker has not acknowledged. At most one that is not an end per task.
    pub unacked: BTreeMap<Seq, Observation>,
}

impl Memory {
    /// Takes over one record. Records of unknown tasks change nothing: a compacted journal may hold them.
    pub fn apply(&mut self, record: &Record) {
        match record {
            Record::FirstSeq(seq) => self.seq = self.seq.max(*seq),
            Record::Epoch(epoch) => self.epoch = self.epoch.max(*epoch),
            Record::Spec(spec) => {
                self.specs.insert(spec.id(), Arc::clone(spec));
            }
            Record::Assigned(assigned) => self.assigned(assigned),
            Record::Begun(begun) => self.with(begun.task, |t| {
                t.incarnation = begun.incarnation;
                t.restarts = begun.restarts;
                t.streak = begun.streak;
                t.started = false;
                t.rested = false;
                t.shared = None;
                for run in t.runs.values_mut() {
                    *run = Run {
                        incarnation: run.incarnation.next(),
                        ..Run::default()
                    };
                }
            }),
            Record::Container { task, name, run } => self.with(*task, |t| {
                t.runs.insert(name.clone(), Run::clone(run));
            }),
            Record::Shared { task, address } => self.with(*task, |t| t.shared = Some(address.clone())),
            Record::Starting(task) => self.with(*task, |t| t.started = true),
            Record::Observed(seen) => self.observed(seen),
            Record::Acked(seq) => {
                self.acked = self.acked.max(*seq);
                self.unacked.retain(|s, _| s > seq);
            }
            Record::Removing(task) => self.with(*task, |t| t.removing = true),
            Record::Removed(task) => {
                self.tasks.remove(task);
            }
        }
    }

    fn with(&mut self, task: TaskId, change: impl FnOnce(&mut Remembered)) {
        if let Some(t) = self.tasks.get_mut(&task) {
            change(t);
        }
    }

    fn assigned(&mut self, assigned: &Assigned) {
        match self.tasks.get_mut(&assigned.seat.id) {
            Some(t) => {
                let again = assigned.again_after == Some(t.incarnation);
                t.rested |= assigned.desired == Desired::Stopped || again;
                t.assigned = assigned.clone();
            }
            None => {
                let fresh = Remembered {
                    assigned: assigned.clone(),
                    incarnation: Incarnation(0),
                    restarts: 0,
                    streak: 0,
                    started: false,
                    newest: None,
                    rested: assigned.desired == Desired::Stopped,
                    removing: false,
                    runs: BTreeMap::new(),
                    shared: None,
                };
                self.tasks.insert(assigned.seat.id, fresh);
            }
        }
    }

    fn observed(&mut self, seen: &Observation) {
        self.seq = self.seq.max(seen.seq);
        if seen.seq > self.acked {
            self.unacked.insert(seen.seq, seen.clone());
        }
        let Some(task) = self.tasks.get_mut(&seen.task) else {
            return;
        };
        if let Some(old) = task.newest.replace(seen.clone())
            && !old.progress.phase.is_terminal()
        {
            self.unacked.remove(&old.seq);
        }
    }

    /// Records that build this memory again, in the fewest steps.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        let mut out = vec![
            Record::FirstSeq(self.seq),
            Record::Epoch(self.epoch),
            Record::Acked(self.acked),
        ];
        let used: BTreeSet<SpecId> = self.tasks.values().map(|t| t.assigned.terms.spec).collect();
        let specs = self.specs.iter().filter(|(id, _)| used.contains(id));
        out.extend(specs.map(|(_, spec)| Record::Spec(Arc::clone(spec))));
        for (id, task) in &self.tasks {
            let assigned = || Record::Assigned(Box::new(task.assigned.clone()));
            out.push(assigned());
            out.push(Record::Begun(Begun {
                task: *id,
                incarnation: task.incarnation,
                restarts: task.restarts,
                streak: task.streak,
            }));
            if task.rested {
                let stopped = Assigned {
                    desired: Desired::Stopped,
                    ..task.assigned.clone()
                };
                out.push(Record::Assigned(Box::new(stopped)));
                out.extend((task.assigned.desired != Desired::Stopped).then(assigned));
            }
            out.extend(task.started.then_some(Record::Starting(*id)));
            out.extend(task.runs.iter().map(|(name, run)| Record::Container {
                task: *id,
                name: name.clone(),
                run: Box::new(run.clone()),
            }));
            out.extend(task.shared.iter().map(|address| Record::Shared {
                task: *id,
                address: address.clone(),
            }));
            out.extend(task.removing.then_some(Record::Removing(*id)));
        }
        let newest = self
            .tasks
            .values()
            .filter_map(|t| t.newest.as_ref())
            .map(|o| (o.seq, o));
        let seen: BTreeMap<Seq, &Observation> =
            self.unacked.iter().map(|(s, o)| (*s, o)).chain(newest).collect();
        out.extend(seen.into_values().map(|o| Record::Observed(o.clone())));
        out
    }

    /// Forgets specs that no task refers to.
    pub fn forget_unused_specs(&mut self) {
        let used: BTreeSet<SpecId> = self.tasks.values().map(|t| t.assigned.terms.spec).collect();
        self.specs.retain(|id, _| used.contains(id));
    }

    /// How far a task has come, as last seen.
    #[must_use]
    pub fn progress(&self, task: TaskId) -> Option<Progress> {
        self.tasks.get(&task)?.newest.as_ref().map(|o| o.progress)
    }
}
