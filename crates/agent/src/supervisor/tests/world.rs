//! A node in memory: a disk of records, an engine of containers, a broker that takes observations. It performs
//! effects in order, can be cut off at any of them, and checks what must hold at every single one.

use crate::supervisor::*;
use plenum_contract::dispatcher::{Assignment, Assignments};
use plenum_contract::runtime::{ContainerKey, ContainerNames, Found, FoundState, RuntimeError, SandboxFacts};
use plenum_model::amounts::Amounts;
use plenum_model::claim::{Desired, FileRef, Seat, Terms};
use plenum_model::ids::{Generation, LeaderEpoch, NodeId, SchedulerId, Seq, TaskId, TenantPath};
use plenum_model::phase::Phase;
use plenum_model::spec::{
    ContainerSpec, MountSource, Network, Restart, RestartUnit, Role, TaskSpec, Volume, VolumeMount,
    VolumeSource,
};
use plenum_model::task::{Exit, ExitReason, Observation, Status};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

pub(super) const GRACE_MS: u64 = 3000;

/// What every sandbox is reached at.
pub(super) const ADDRESS: &str = "10.1.2.3";

/// The slot whose task refers to [`two_files`].
pub(super) const WITH_FILES: u64 = 2;

pub(super) fn node() -> NodeView {
    NodeView {
        id: NodeId::new("n1").unwrap(),
        hostname: "host".into(),
        address: "127.77.0.1".into(),
        sandboxes: "/sandboxes".into(),
        volumes: "/volumes".into(),
        files: "/files".into(),
        secrets: "/secrets".into(),
        runtimes: BTreeSet::from(["fake".to_owned()]),
    }
}

pub(super) fn task_id(slot: u64) -> TaskId {
    TaskId::derive(&SchedulerId::new("test").unwrap(), "app", slot, 0)
}

pub(super) fn spec(restart: Restart) -> Arc<TaskSpec> {
    Arc::new(TaskSpec {
        containers: vec![ContainerSpec {
            name: "main".into(),
            runtime: "fake".into(),
            restart,
            stop_grace_ms: GRACE_MS,
            ..ContainerSpec::default()
        }],
        ..TaskSpec::default()
    })
}

/// The slot whose task has several containers.
pub(super) const SEVERAL: u64 = 9;

pub(super) fn member(name: &str, role: Role, restart: Restart) -> ContainerSpec {
    ContainerSpec {
        name: name.into(),
        runtime: "fake".into(),
        role,
        restart,
        stop_grace_ms: GRACE_MS,
        ..ContainerSpec::default()
    }
}

/// An init container, a sidecar and two main ones, which share an address and a volume.
pub(super) fn several(restart: Restart) -> Arc<TaskSpec> {
    let data = VolumeMount {
        volume: "data".into(),
        target: "/data".into(),
        sub_path: None,
        read_only: false,
    };
    let mut web = member("web", Role::Main, restart);
    web.volumes.push(data);
    Arc::new(TaskSpec {
        containers: vec![
            member("setup", Role::Init, restart),
            member("proxy", Role::Sidecar, restart),
            web,
            member("log", Role::Main, restart),
        ],
        network: Network::Bridge,
        restart_unit: RestartUnit::Container,
        volumes: vec![Volume {
            name: "data".into(),
            source: VolumeSource::Disk,
        }],
        ..TaskSpec::default()
    })
}

pub(super) fn assignment(slot: u64, spec: &TaskSpec, generation: u64, desired: Desired) -> Assignment {
    let terms = Terms {
        workload: Default::default(),
        tenant: TenantPath::new("t").unwrap(),
        charge: Amounts::task(1, 1, 0),
        devices: BTreeMap::new(),
        ports: vec![],
        spec: spec.id(),
        labels: BTreeMap::new(),
        desired: Desired::Running,
        rules: Default::default(),
        lost_after: Default::default(),
        priority: Default::default(),
        may_preempt: false,
        budget: None,
        files: vec![],
        keep_ended: 0,
    };
    Assignment {
        scheduler: SchedulerId::new("test").unwrap(),
        seat: Seat::new(task_id(slot), format!("app.{slot}"), slot),
        terms: Arc::new(terms),
        ports: vec![],
        generation: Generation(generation),
        desired,
        grace_ms: None,
        again_after: None,
    }
}

/// One plain file and one secret.
pub(super) fn two_files() -> Vec<FileRef> {
    let file = |key: &str, revision, target: &str, secret| FileRef {
        key: key.into(),
        revision,
        target: target.into(),
        mode: 0o400,
        secret,
        volume: None,
    };
    vec![
        file("conf", 7, "etc/conf", false),
        file("password", 9, "/run/secrets/password", true),
    ]
}

pub(super) fn exited(code: i32) -> Exit {
    Exit {
        code: Some(code),
        signal: None,
        reason: ExitReason::Exited,
        message: format!("exited with code {code}"),
    }
}

/// How a piece of work goes.
#[derive(Debug, Clone)]
pub(super) enum Fate {
    Well,
    /// Fails; what was asked may have been done all the same.
    Fails {
        done_anyway: bool,
    },
    Refused(ExitReason),
}

pub(super) struct World {
    pub(super) supervisor: Supervisor,
    pub(super) now: u64,
    disk: Vec<Record>,
    pub(super) engine: BTreeMap<ContainerKey, FoundState>,
    pub(super) work: Vec<Work>,
    pub(super) refused: Vec<String>,
    /// What the broker wants here.
    pub(super) wanted: BTreeMap<TaskId, (Assignment, Arc<TaskSpec>)>,
    pub(super) broker: BTreeMap<TaskId, Status>,
    pub(super) received: Vec<Observation>,
    attached: bool,
    /// Seqs and what they said: one seq says one thing for ever.
    numbered: BTreeMap<Seq, Observation>,
    given_up: Vec<(ContainerKey, VerbKind)>,
    /// Files that were fetched and not removed.
    pub(super) files: BTreeSet<PathBuf>,
    /// Volumes that were made and not removed.
    pub(super) volumes: BTreeSet<PathBuf>,
    /// Commands that were run before a stop.
    pub(super) hooks: Vec<(String, Vec<String>)>,
    /// Whether nothing ends by the stop signal.
    pub(super) stubborn: bool,
    /// The effect of the next step before which the agent dies.
    pub(super) die_at: Option<usize>,
}

/// What the engine calls a container.
fn names(key: &ContainerKey) -> ContainerNames {
    ContainerNames {
        id: Some(format!("id-of-{}-{}", key.container, key.incarnation)),
        image_id: Some("image".to_owned()),
    }
}

impl World {
    pub(super) fn new() -> Self {
        let first = Record::FirstSeq(Seq(100));
        let mut memory = Memory::default();
        memory.apply(&first);
        let mut world = Self {
            supervisor: Supervisor::new(node(), memory),
            now: 0,
            disk: vec![first],
            engine: BTreeMap::new(),
            work: vec![],
            refused: vec![],
            wanted: BTreeMap::new(),
            broker: BTreeMap::new(),
            received: vec![],
            attached: false,
            numbered: BTreeMap::new(),
            given_up: vec![],
            files: BTreeSet::new(),
            volumes: BTreeSet::new(),
            hooks: vec![],
            stubborn: false,
            die_at: None,
        };
        world.recover();
        world.attach();
        world
    }

    fn recover(&mut self) {
        let found = self.engine.iter().map(|(key, state)| Found {
            key: key.clone(),
            state: state.clone(),
            names: names(key),
        });
        let found = found.collect();
        self.input(Input::Recovered {
            runtime: "fake".into(),
            found,
        });
    }

    pub(super) fn attach(&mut self) {
        self.attached = true;
        self.input(Input::Attached(LeaderEpoch(1)));
        if self.attached {
            let batch = Assignments {
                epoch: LeaderEpoch(1),
                full: true,
                specs: self.wanted.values().map(|(_, spec)| Arc::clone(spec)).collect(),
                assign: self.wanted.values().map(|(a, _)| a.clone()).collect(),
                remove: vec![],
            };
            self.input(Input::Assignments(batch));
        }
    }

    pub(super) fn detach(&mut self) {
        self.attached = false;
        self.input(Input::Detached);
    }

    /// The broker wants this of a task, if it is attached and later in any case.
    pub(super) fn want(&mut self, slot: u64, restart: Restart, desired: Desired) {
        let spec = if slot == SEVERAL {
            several(restart)
        } else {
            spec(restart)
        };
        let id = task_id(slot);
        let (spec, generation) = match self.wanted.get(&id) {
            Some((old, spec)) => (Arc::clone(spec), old.generation.0 + 1),
            None => (spec, 1),
        };
        let mut a = assignment(slot, &spec, generation, desired);
        if slot == WITH_FILES {
            Arc::make_mut(&mut a.terms).files = two_files();
        }
        self.broker.entry(id).or_insert_with(|| Status::pending(0));
        self.wanted.insert(id, (a.clone(), Arc::clone(&spec)));
        self.send(vec![spec], vec![a], vec![]);
    }

    /// The broker wants this of a task with this spec.
    pub(super) fn want_spec(&mut self, slot: u64, spec: &Arc<TaskSpec>, desired: Desired) {
        let id = task_id(slot);
        let generation = self.wanted.get(&id).map_or(1, |(old, _)| old.generation.0 + 1);
        let a = assignment(slot, spec, generation, desired);
        self.broker.entry(id).or_insert_with(|| Status::pending(0));
        self.wanted.insert(id, (a.clone(), Arc::clone(spec)));
        self.send(vec![Arc::clone(spec)], vec![a], vec![]);
    }

    /// The broker wants a task to run again after its end.
    pub(super) fn run_again(&mut self, slot: u64) {
        let id = task_id(slot);
        let (mut a, spec) = self.wanted[&id].clone();
        a.generation = Generation(a.generation.0 + 1);
        a.desired = Desired::Running;
        a.again_after = Some(self.broker[&id].progress.incarnation);
        self.wanted.insert(id, (a.clone(), Arc::clone(&spec)));
        self.send(vec![], vec![a], vec![]);
    }

    pub(super) fn remove(&mut self, slot: u64) {
        let id = task_id(slot);
        self.wanted.remove(&id);
        self.send(vec![], vec![], vec![id]);
    }

    fn send(&mut self, specs: Vec<Arc<TaskSpec>>, assign: Vec<Assignment>, remove: Vec<TaskId>) {
        if self.attached {
            let batch = Assignments {
                epoch: LeaderEpoch(1),
                full: false,
                specs,
                assign,
                remove,
            };
            self.input(Input::Assignments(batch));
        }
    }

    pub(super) fn input(&mut self, input: Input) {
        let now = Now {
            tick: self.now,
            unix: self.now,
        };
        let effects = self.supervisor.step(now, input);
        for (i, effect) in effects.into_iter().enumerate() {
            if self.die_at == Some(i) {
                self.die_at = None;
                self.crash();
                return;
            }
            self.perform(effect);
        }
        // Only now are the effects of this step performed.
        self.hear();
        while let Some((key, verb)) = self.given_up.pop() {
            self.answer(key, verb, Err(WorkError::Cancelled));
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Persist(record) => {
                if let Record::Observed(o) = &record {
                    let old = self.numbered.insert(o.seq, o.clone());
                    assert!(old.is_none(), "seq {} is used twice", o.seq);
                }
                self.disk.push(record);
            }
            Effect::Do(work) => {
                if work.verb == Verb::Start {
                    self.check_start(&work.key);
                }
                self.work.push(work);
            }
            Effect::Cancel(task) => {
                let making = |w: &Work| matches!(w.verb, Verb::Fetch(_) | Verb::Prepare(_));
                let given_up = |w: &mut Work| w.key.task == task && making(w);
                let given_up = self.work.extract_if(.., given_up);
                self.given_up
                    .extend(given_up.map(|work| (work.key, work.verb.kind())));
            }
            Effect::Refused(why) | Effect::Reattach(why) => self.refused.push(why),
        }
    }

    /// A container is started only if it shall run, and only after that is on disk.
    fn check_start(&self, key: &ContainerKey) {
        let task = &self.supervisor.memory().tasks[&key.task];
        let wanted = match task.assigned.desired {
            Desired::Running => true,
            Desired::Held { .. } => task.runs.is_empty(),
            Desired::Stopped => false,
        };
        assert!(wanted && !task.removing, "starts what is not wanted");
        assert!(task.is_current(key), "starts what is not current");
        let mut disk = self.disk.iter().rev();
        let intent = match task.runs.get(&key.container) {
            None => disk.any(|r| *r == Record::Starting(key.task)),
            Some(_) => disk.any(|r| match r {
                Record::Container { task, name, run } => {
                    *task == key.task
                        && *name == key.container
                        && run.started
                        && run.incarnation == key.incarnation
                }
                _ => false,
            }),
        };
        assert!(intent, "starts before the intent is on disk");
    }

    /// The agent dies and comes back. Work under way may have been done or not.
    pub(super) fn crash(&mut self) {
        for (i, work) in std::mem::take(&mut self.work).into_iter().enumerate() {
            if i % 2 == 0 {
                let _ = self.act(&work);
            }
        }
        self.given_up.clear();
        let mut memory = Memory::default();
        self.disk.iter().for_each(|r| memory.apply(r));
        // A compaction at any time must change nothing.
        let mut compacted = Memory::default();
        self.disk = memory.records();
        self.disk.iter().for_each(|r| compacted.apply(r));
        memory.forget_unused_specs();
        assert_eq!(compacted, memory, "a compacted journal remembers the same");
        self.supervisor = Supervisor::new(node(), memory);
        self.attached = false;
        self.now += 1;
        self.recover();
        self.attach();
    }

    /// The machine restarts: nothing runs any more, and what ran is gone.
    pub(super) fn reboot(&mut self) {
        self.work.clear();
        self.engine.retain(|_, state| *state != FoundState::Running);
        self.files.retain(|file| !file.starts_with("/secrets"));
        self.crash();
    }

    /// The broker hears what was seen.
    fn hear(&mut self) {
        if !self.attached {
            assert!(self.supervisor.outbox_is_empty(), "speaks to nobody");
            return;
        }
        for seen in self.supervisor.outbox(1000) {
            assert_eq!(
                self.numbered.get(&seen.seq),
                Some(&seen),
                "reports what is not on disk"
            );
            if let Some(status) = self.broker.get_mut(&seen.task) {
                status.observe(&seen);
            }
            self.received.push(seen);
        }
    }

    pub(super) fn ack(&mut self) {
        if let Some(seq) = self.received.iter().map(|o| o.seq).max() {
            self.input(Input::Acked(seq));
        }
    }

    /// Does the `i`th piece of work under way (waits end by themselves).
    pub(super) fn work(&mut self, i: usize, fate: Fate) {
        let doable: Vec<usize> = (0..self.work.len())
            .filter(|i| self.work[*i].verb != Verb::Wait)
            .collect();
        if doable.is_empty() {
            return;
        }
        let work = self.work.remove(doable[i % doable.len()]);
        let kind = work.verb.kind();
        let result = match fate {
            Fate::Well => self.act(&work).map_err(WorkError::from),
            Fate::Fails { done_anyway } => {
                if done_anyway {
                    let _ = self.act(&work);
                }
                Err(WorkError::from(RuntimeError::Failed {
                    runtime: "fake",
                    op: "work",
                    why: "so".into(),
                }))
            }
            Fate::Refused(reason) => Err(WorkError::from(RuntimeError::Refused {
                reason,
                why: "never".into(),
            })),
        };
        self.answer(work.key, kind, result);
        self.settle_waits();
    }

    /// The `i`th piece of work under way needs the broker, which is away.
    pub(super) fn away(&mut self, i: usize) {
        if let Some(i) = (!self.work.is_empty()).then(|| i % self.work.len())
            && matches!(self.work[i].verb, Verb::Fetch(_))
        {
            let work = self.work.remove(i);
            self.answer(work.key, VerbKind::Fetch, Err(WorkError::Away("gone".into())));
        }
    }

    fn answer(&mut self, key: ContainerKey, verb: VerbKind, result: Result<Answer, WorkError>) {
        self.input(Input::Done(Done { key, verb, result }));
    }

    fn act(&mut self, work: &Work) -> Result<Answer, RuntimeError> {
        let key = &work.key;
        let missing = || RuntimeError::NotFound { key: key.clone() };
        match &work.verb {
            Verb::MakeSandbox(_) | Verb::RemoveSandbox(_) | Verb::CheckPorts(_) | Verb::Wait => {}
            Verb::Hook(argv) => self.hooks.push((key.container.clone(), argv.clone())),
            Verb::MakeVolumes(list) => self.volumes.extend(list.iter().map(|v| v.path.clone())),
            Verb::RemoveVolumes(list) => self.volumes.retain(|v| !list.contains(v)),
            Verb::MakeNetwork(plan) => {
                let state = self.engine.entry(plan.key.clone()).or_insert(FoundState::Running);
                if *state != FoundState::Running {
                    return Err(missing());
                }
                let address = ADDRESS.to_owned();
                return Ok(Answer::Network(SandboxFacts { address }));
            }
            Verb::Fetch(files) => self.files.extend(files.iter().map(|f| f.path.clone())),
            Verb::RemoveFiles(dirs) => self.files.retain(|f| !dirs.iter().any(|d| f.starts_with(d))),
            Verb::Prepare(planned) => {
                let plan = &planned.plan;
                let files = plan.mounts.iter().filter_map(|m| match &m.source {
                    MountSource::Host(path) => Some(PathBuf::from(path)),
                    MountSource::Volume(_) | MountSource::Tmpfs(_) => None,
                });
                for path in files {
                    let there =
                        self.files.contains(&path) || self.volumes.iter().any(|v| path.starts_with(v));
                    assert!(there, "prepares before {path:?} is there");
                }
                if let Some(sandbox) = plan.among.as_ref().and_then(|a| a.sandbox.as_ref())
                    && self.engine.get(sandbox) != Some(&FoundState::Running)
                {
                    return Err(RuntimeError::NotFound { key: sandbox.clone() });
                }
                self.engine
                    .entry(plan.key.clone())
                    .or_insert(FoundState::Prepared);
                if plan.among.is_some() {
                    return Ok(Answer::Made(names(key)));
                }
            }
            Verb::Start => {
                let others = self.engine.iter().filter(|(k, s)| {
                    (k.task, &k.container) == (key.task, &key.container)
                        && k.incarnation != key.incarnation
                        && **s == FoundState::Running
                });
                assert_eq!(others.count(), 0, "two live incarnations");
                if key.task == task_id(WITH_FILES) {
                    assert_eq!(self.files.len(), 2, "starts without its files");
                }
                let state = self.engine.get_mut(key).ok_or_else(missing)?;
                if *state == FoundState::Prepared {
                    *state = FoundState::Running;
                }
            }
            Verb::Stop(_) if self.stubborn => {}
            Verb::Stop(_) => self.end(key, exited(143)),
            Verb::Kill => self.end(key, exited(137)),
            Verb::Remove { kill } => {
                if self.engine.get(key) == Some(&FoundState::Running) && !kill {
                    panic!("removes what runs");
                }
                self.engine.remove(key);
            }
        }
        Ok(Answer::Done)
    }

    fn end(&mut self, key: &ContainerKey, exit: Exit) {
        if let Some(state) = self.engine.get_mut(key)
            && *state == FoundState::Running
        {
            *state = FoundState::Ended(exit);
        }
    }

    /// A container of a task, or its sandbox (no name), ends by itself.
    pub(super) fn exit_of(&mut self, slot: u64, container: &str, code: i32) {
        let id = task_id(slot);
        let mut all = self.engine.iter();
        let running = all
            .find(|(k, s)| k.task == id && k.container == container && **s == FoundState::Running)
            .map(|(k, _)| k.clone());
        self.end(&running.expect("it runs"), exited(code));
        self.settle_waits();
    }

    /// One of what runs of a task, its sandbox among it, ends by itself.
    pub(super) fn exit_any(&mut self, slot: u64, n: usize, code: i32) {
        let id = task_id(slot);
        let all = self.engine.iter();
        let running: Vec<_> = all
            .filter(|(k, s)| k.task == id && **s == FoundState::Running)
            .map(|(k, _)| k.container.clone())
            .collect();
        if let Some(name) = running.get(n % running.len().max(1)) {
            self.exit_of(slot, &name.clone(), code);
        }
    }

    /// The running container of a task ends by itself.
    pub(super) fn exit(&mut self, slot: u64, code: i32) {
        let id = task_id(slot);
        let running = self
            .engine
            .iter()
            .find(|(k, s)| k.task == id && **s == FoundState::Running);
        if let Some(key) = running.map(|(k, _)| k.clone()) {
            self.end(&key, exited(code));
            self.settle_waits();
        }
    }

    /// Answers the waits whose container has ended or is not there.
    fn settle_waits(&mut self) {
        while let Some(i) = self.work.iter().position(|w| {
            w.verb == Verb::Wait && !matches!(self.engine.get(&w.key), Some(FoundState::Running))
        }) {
            let key = self.work.remove(i).key;
            let result = match self.engine.get(&key) {
                Some(FoundState::Ended(exit)) => Ok(Answer::Exit(exit.clone())),
                _ => Err(RuntimeError::NotFound { key: key.clone() }.into()),
            };
            self.answer(key, VerbKind::Wait, result);
        }
    }

    /// Lets time pass to `now + ms`, waking where asked.
    pub(super) fn pass(&mut self, ms: u64) {
        let end = self.now + ms;
        while let Some(tick) = self.supervisor.next_wake().filter(|t| *t <= end) {
            self.now = self.now.max(tick);
            self.input(Input::Wake);
            if self.supervisor.next_wake().is_some_and(|t| t <= self.now) {
                // Work was asked for; nothing more without its answer.
                break;
            }
        }
        self.now = end;
    }

    /// Everything goes well until nothing is left to do.
    pub(super) fn settle(&mut self) {
        for _ in 0..10_000 {
            self.settle_waits();
            if self.work.iter().any(|w| w.verb != Verb::Wait) {
                self.work(0, Fate::Well);
            } else if let Some(tick) = self.supervisor.next_wake() {
                self.now = self.now.max(tick);
                self.input(Input::Wake);
            } else {
                return;
            }
        }
        panic!("never comes to rest: {:?}", self.supervisor);
    }

    pub(super) fn phase(&self, slot: u64) -> Phase {
        self.broker[&task_id(slot)].phase()
    }

    pub(super) fn status(&self, slot: u64) -> &Status {
        &self.broker[&task_id(slot)]
    }

    pub(super) fn runs(&self, slot: u64) -> usize {
        let mine = self
            .engine
            .iter()
            .filter(|(k, s)| k.task == task_id(slot) && **s == FoundState::Running);
        mine.count()
    }

    pub(super) fn verbs(&self) -> Vec<VerbKind> {
        self.work.iter().map(|w| w.verb.kind()).collect()
    }
}
