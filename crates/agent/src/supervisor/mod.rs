//! The supervisor: makes this node match its assignments and never loses a status. Pure: inputs go in, effects
//! come out; no clock, no I/O. The agent's runner drives one, and so does the testkit.
//!
//! What must survive the process is its [`Memory`], changed only together with an [`Effect::Persist`]; the rest
//! is built again from what the runtimes have. What the driver owes: perform effects in order, nothing behind a
//! `Persist` before it is durable; answer every [`Effect::Do`]; after a start report [`Input::Recovered`] for
//! every runtime; feed [`Input::Wake`] at [`Supervisor::next_wake`]; do what
//! [`Supervisor::take_probes`] gives; send what [`Supervisor::outbox`] gives only
//! after the effects of the steps before were performed.
//!
//! Start at [`Supervisor::step`]; the machine of one task is in `advance`, or in `group` where its containers are
//! restarted one by one.

mod advance;
mod backoff;
mod group;
mod io;
mod life;
mod live;
mod memory;
mod orphans;
mod outbox;
mod plan;
mod probes;
mod recovery;
mod results;
#[cfg(test)]
mod tests;
mod turn;

pub use io::{
    Answer, Done, Effect, FromFile, Input, Now, Piece, PlannedContainer, PlannedFile, PlannedVolume, Saw,
    Verb, VerbKind, Work, WorkError,
};
pub use memory::{Assigned, Begun, Memory, Record, Remembered, Run};
pub use probes::{PlannedCheck, ProbeWork};

use life::Life;
use orphans::Orphan;
use outbox::Outbox;
use plenum_contract::dispatcher::{Assignment, Assignments};
use plenum_contract::runtime::{ContainerKey, Found};
use plenum_contract::streams::Health;
use plenum_model::claim::Protocol;
use plenum_model::ids::{LeaderEpoch, NodeId, SpecId, TaskId};
use plenum_model::spec::{Role, TaskSpec};
use plenum_model::task::Observation;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use turn::Turn;

/// What the supervisor knows of its node. Fixed while it lives.
#[derive(Debug, Clone)]
pub struct NodeView {
    /// Its name.
    pub id: NodeId,
    /// The machine's host name.
    pub hostname: String,
    /// The address on which ports are published.
    pub address: String,
    /// Where tasks get their own directories.
    pub sandboxes: PathBuf,
    /// Where the volumes of tasks are, a directory each.
    pub volumes: PathBuf,
    /// Where the plain files of tasks are, a directory each.
    pub files: PathBuf,
    /// Where the secrets of tasks are, in memory, a directory each.
    pub secrets: PathBuf,
    /// Runtimes that the agent drives, whether they answer at the moment or not.
    pub runtimes: BTreeSet<String>,
}

/// See the module.
#[derive(Debug)]
pub struct Supervisor {
    node: NodeView,
    memory: Memory,
    lives: BTreeMap<TaskId, Life>,
    /// Ticks at which tasks are to be looked at again.
    wakes: BTreeSet<(u64, TaskId)>,
    outbox: Outbox,
    /// Specs of this attachment, whether a task refers to them or not.
    specs: BTreeMap<SpecId, Arc<TaskSpec>>,
    /// Runtimes that have not yet said what they have.
    unasked: BTreeSet<String>,
    /// What they had, for tasks that wait for another runtime.
    found: BTreeMap<ContainerKey, Found>,
    orphans: BTreeMap<ContainerKey, Orphan>,
    /// Probes that are due and were not yet taken out.
    probes: Vec<ProbeWork>,
}

/// Where a container of a task is, for streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// Which container; of the current incarnation, or the one before while nothing of this one is made.
    pub key: ContainerKey,
    /// The run before that one; while nothing of the current one is made, the last one.
    pub previous: Option<ContainerKey>,
    /// The task's own address, where its containers share one.
    pub own_address: Option<String>,
    /// Its runtime.
    pub runtime: String,
    /// The node's address.
    pub address: String,
    /// (port inside, port of the node) of the TCP ports of the task.
    pub ports: Vec<(u16, u16)>,
    /// How its checks went lately, as far as the agent did them.
    pub health: Health,
    /// Whether its runtime does the check of its image.
    pub image_check: bool,
}

impl Supervisor {
    /// A supervisor with what the journal remembers (nothing, the first time).
    #[must_use]
    pub fn new(node: NodeView, memory: Memory) -> Self {
        let lives = memory.tasks.iter().filter_map(|(id, task)| {
            let spec = memory.specs.get(&task.assigned.terms.spec)?;
            Some((*id, Life::before(task, spec)))
        });
        Self {
            lives: lives.collect(),
            wakes: BTreeSet::new(),
            outbox: Outbox::default(),
            specs: BTreeMap::new(),
            unasked: node.runtimes.clone(),
            found: BTreeMap::new(),
            orphans: BTreeMap::new(),
            probes: Vec::new(),
            node,
            memory,
        }
    }

    /// All that must survive.
    #[must_use]
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The highest leader epoch obeyed.
    #[must_use]
    pub fn epoch(&self) -> LeaderEpoch {
        self.memory.epoch
    }

    /// Takes in what happened and says what is to be done, in order.
    pub fn step(&mut self, now: Now, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        match input {
            Input::Attached(epoch) => self.attached(now, epoch, &mut effects),
            Input::Detached => self.outbox.detach(),
            Input::Assignments(batch) => self.assignments(now, batch, &mut effects),
            Input::Acked(seq) => {
                self.outbox.acked(seq);
                if seq > self.memory.acked {
                    self.remember(Record::Acked(seq), &mut effects);
                }
            }
            Input::Recovered { runtime, found } => self.recovered(now, &runtime, found, &mut effects),
            Input::Done(done) => self.done(now, done, &mut effects),
            Input::Probed { key, index, result } => self.probed(now, &key, index, &result, &mut effects),
            Input::Checked { key, index, saw } => self.checked(now, &key, index, saw, &mut effects),
            Input::Wake => self.wake(now, &mut effects),
        }
        effects
    }

    /// The tick at which [`Input::Wake`] is wanted.
    #[must_use]
    pub fn next_wake(&self) -> Option<u64> {
        let tasks = self.wakes.first().map(|(tick, _)| *tick);
        tasks.into_iter().chain(orphans::wake(&self.orphans)).min()
    }

    /// Takes out the next observations to send, at most `limit`. Nothing while no broker is attached.
    pub fn outbox(&mut self, limit: usize) -> Vec<Observation> {
        self.outbox.take(limit)
    }

    /// Whether [`Supervisor::outbox`] would give nothing.
    #[must_use]
    pub fn outbox_is_empty(&self) -> bool {
        self.outbox.is_empty()
    }

    /// Takes out the probes that have become due. A driver that never probes leaves tasks with readiness probes
    /// not ready for ever.
    pub fn take_probes(&mut self) -> Vec<ProbeWork> {
        std::mem::take(&mut self.probes)
    }

    /// Where a container of a task is; no name: its first main one.
    #[must_use]
    pub fn locate(&self, id: TaskId, container: Option<&str>) -> Option<Location> {
        let task = self.memory.tasks.get(&id)?;
        let spec = self.memory.specs.get(&task.assigned.terms.spec)?;
        let index = spec.containers.iter().position(|c| match container {
            Some(name) => c.name == name,
            None => c.role == Role::Main,
        })?;
        let found = spec.containers.get(index)?;
        let (newest, previous) = self.lives.get(&id)?.made(task, &found.name, index);
        let key = |incarnation| ContainerKey {
            task: id,
            container: found.name.clone(),
            incarnation,
        };
        let asks = task
            .assigned
            .terms
            .ports
            .iter()
            .zip(plan::ports(&self.node, task));
        let tcp = asks.filter(|(ask, _)| ask.protocol != Protocol::Udp);
        let ports = tcp.map(|(_, port)| (port.container, port.host)).collect();
        let (health, image_check) = self.lives.get(&id)?.health(spec, index);
        Some(Location {
            key: key(newest),
            previous: previous.map(key),
            own_address: plan::own_address(task).map(str::to_owned),
            health,
            image_check,
            address: self.node.address.clone(),
            runtime: found.runtime.clone(),
            ports,
        })
    }

    fn remember(&mut self, record: Record, effects: &mut Vec<Effect>) {
        self.memory.apply(&record);
        effects.push(Effect::Persist(record));
    }

    fn attached(&mut self, now: Now, epoch: LeaderEpoch, effects: &mut Vec<Effect>) {
        if epoch < self.memory.epoch {
            effects.push(stale(epoch, self.memory.epoch));
            return;
        }
        if epoch > self.memory.epoch {
            self.remember(Record::Epoch(epoch), effects);
        }
        self.specs.clear();
        self.memory.forget_unused_specs();
        self.outbox.attach(&self.memory);
        orphans::press_on(&mut self.orphans, now, effects);
    }

    fn assignments(&mut self, now: Now, batch: Assignments, effects: &mut Vec<Effect>) {
        if batch.epoch < self.memory.epoch {
            effects.push(stale(batch.epoch, self.memory.epoch));
            return;
        }
        if batch.epoch > self.memory.epoch {
            self.remember(Record::Epoch(batch.epoch), effects);
        }
        for spec in batch.specs {
            self.specs.insert(spec.id(), spec);
        }
        let mut gone = batch.remove;
        if batch.full {
            let kept: BTreeSet<TaskId> = batch.assign.iter().map(|a| a.seat.id).collect();
            gone.extend(self.memory.tasks.keys().filter(|id| !kept.contains(id)));
        }
        for assignment in batch.assign {
            self.assign(now, assignment, effects);
        }
        for id in gone {
            self.remove(now, id, effects);
        }
    }

    fn assign(&mut self, now: Now, new: Assignment, effects: &mut Vec<Effect>) {
        let id = new.seat.id;
        let Some(task) = self.memory.tasks.get(&id) else {
            return self.assign_new(now, new, effects);
        };
        let have = &task.assigned;
        let refused = if task.removing {
            Some("it is being removed".to_owned())
        } else if new.generation < have.generation {
            Some(format!(
                "generation {} is older than {}",
                new.generation, have.generation
            ))
        } else if new.terms.spec != have.terms.spec {
            Some("its spec cannot change while it lives".to_owned())
        } else {
            None
        };
        if let Some(why) = refused {
            effects.push(Effect::Refused(format!("assignment of task {id}: {why}")));
            return;
        }
        let new = Assigned::from(new);
        if new == *have {
            return;
        }
        self.remember(Record::Assigned(Box::new(new)), effects);
        self.with_live(id, now, effects, |life, turn| life.shorten(turn, id));
        self.advance(id, now, effects);
    }

    fn assign_new(&mut self, now: Now, new: Assignment, effects: &mut Vec<Effect>) {
        let (id, spec_id) = (new.seat.id, new.terms.spec);
        let known = self
            .specs
            .get(&spec_id)
            .or_else(|| self.memory.specs.get(&spec_id))
            .cloned();
        let Some(spec) = known else {
            let why = format!("task {id} refers to spec {spec_id}, which was not sent");
            effects.push(Effect::Reattach(why));
            return;
        };
        let life = Life::fresh(&spec);
        if !self.memory.specs.contains_key(&spec_id) {
            self.remember(Record::Spec(Arc::clone(&spec)), effects);
        }
        self.remember(Record::Assigned(Box::new(Assigned::from(new))), effects);
        self.lives.insert(id, life);
        self.with_live(id, now, effects, |life, turn| life.take_up(turn, id));
        self.advance(id, now, effects);
    }

    fn remove(&mut self, now: Now, id: TaskId, effects: &mut Vec<Effect>) {
        if self.memory.tasks.get(&id).is_none_or(|t| t.removing) {
            return;
        }
        self.remember(Record::Removing(id), effects);
        self.advance(id, now, effects);
    }

    fn recovered(&mut self, now: Now, runtime: &str, found: Vec<Found>, effects: &mut Vec<Effect>) {
        if !self.unasked.remove(runtime) {
            return;
        }
        for f in found {
            let task = self.memory.tasks.get(&f.key.task);
            if !recovery::belongs(task, &f) {
                self.orphans.insert(f.key, Orphan::new(runtime.to_owned()));
            } else if task.is_some_and(|t| t.is_current(&f.key)) {
                self.found.insert(f.key.clone(), f);
            }
        }
        orphans::press_on(&mut self.orphans, now, effects);
        for id in self.lives.keys().copied().collect::<Vec<_>>() {
            if self.lives.get(&id).is_some_and(Life::is_recovering) && self.is_asked(id) {
                let found = std::mem::take(&mut self.found);
                self.with_live(id, now, effects, |life, turn| life.resume(turn, id, &found));
                self.found = found;
            }
            self.advance(id, now, effects);
        }
        if self.unasked.is_empty() {
            self.found.clear();
        }
    }

    /// Whether every runtime of the task has said what it has.
    fn is_asked(&self, id: TaskId) -> bool {
        let spec = self
            .memory
            .tasks
            .get(&id)
            .and_then(|t| self.memory.specs.get(&t.assigned.terms.spec));
        spec.is_some_and(|s| {
            let mut runtimes = s.containers.iter().map(|c| &c.runtime);
            runtimes.all(|r| self.node.runtimes.contains(r) && !self.unasked.contains(r))
        })
    }

    fn done(&mut self, now: Now, done: Done, effects: &mut Vec<Effect>) {
        let id = done.key.task;
        if done.verb == VerbKind::Remove && self.orphans.contains_key(&done.key) {
            let ok = done.result.is_ok();
            if orphans::done(&mut self.orphans, &done.key, ok, now) {
                self.advance(id, now, effects);
            }
            return;
        }
        let task = self.memory.tasks.get(&id);
        if task.is_some_and(|t| t.is_current(&done.key)) {
            self.with_live(id, now, effects, |life, turn| life.done(turn, id, done));
            self.advance(id, now, effects);
        }
    }

    fn probed(
        &mut self,
        now: Now,
        key: &ContainerKey,
        index: usize,
        result: &Result<(), String>,
        effects: &mut Vec<Effect>,
    ) {
        let id = key.task;
        let task = self.memory.tasks.get(&id);
        if task.is_some_and(|t| t.is_current(key)) {
            let which = (key.container.as_str(), index);
            self.with_live(id, now, effects, |life, turn| {
                life.probed(turn, id, which, result)
            });
            self.advance(id, now, effects);
        }
    }

    fn checked(&mut self, now: Now, key: &ContainerKey, index: usize, saw: Saw, effects: &mut Vec<Effect>) {
        let id = key.task;
        let task = self.memory.tasks.get(&id);
        if task.is_some_and(|t| t.is_current(key)) {
            let which = (key.container.as_str(), index);
            self.with_live(id, now, effects, |life, turn| life.checked(turn, id, which, saw));
            self.advance(id, now, effects);
        }
    }

    fn wake(&mut self, now: Now, effects: &mut Vec<Effect>) {
        orphans::press_on(&mut self.orphans, now, effects);
        while let Some((tick, id)) = self.wakes.first().copied() {
            if tick > now.tick {
                return;
            }
            self.wakes.remove(&(tick, id));
            self.advance(id, now, effects);
        }
    }

    fn advance(&mut self, id: TaskId, now: Now, effects: &mut Vec<Effect>) {
        let old = self.lives.get(&id).and_then(Life::wake);
        let stays = self.with_live(id, now, effects, |life, turn| life.advance(turn, id));
        if let Some(tick) = old {
            self.wakes.remove(&(tick, id));
        }
        match stays {
            Some(true) => {
                let wake = self.lives.get(&id).and_then(Life::wake);
                self.wakes.extend(wake.map(|tick| (tick, id)));
            }
            Some(false) => {
                self.lives.remove(&id);
            }
            None => {}
        }
    }

    fn with_live<T>(
        &mut self,
        id: TaskId,
        now: Now,
        effects: &mut Vec<Effect>,
        f: impl FnOnce(&mut Life, &mut Turn<'_>) -> T,
    ) -> Option<T> {
        let life = self.lives.get_mut(&id)?;
        let mut turn = Turn {
            now,
            node: &self.node,
            memory: &mut self.memory,
            orphans: &mut self.orphans,
            outbox: &mut self.outbox,
            probes: &mut self.probes,
            effects,
        };
        Some(f(life, &mut turn))
    }
}

fn stale(got: LeaderEpoch, have: LeaderEpoch) -> Effect {
    Effect::Refused(format!("leader epoch {got} is older than {have}"))
}
