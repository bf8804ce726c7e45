//! A core with its log in memory, and short words for what tests say to it.

use plenum_broker::audit::{Audit, audit};
use plenum_broker::input::{Answer, Attachment, Caller, Change, Denied, Effects, Input};
use plenum_broker::view::View;
use plenum_broker::{Core, CoreConfig};
use plenum_contract::broker::{Hello, Refusal};
use plenum_contract::ledger_log::Loaded;
use plenum_model::amounts::Amounts;
use plenum_model::claim::{ClaimBatch, ClaimGroup, Seat, Terms, Workload};
use plenum_model::ids::{Incarnation, LeaderEpoch, NodeId, SchedulerId, Seq, TaskId};
use plenum_model::node::{NodeFacts, PortRange, RuntimeFacts};
use plenum_model::phase::{Phase, Progress};
use plenum_model::rules::Rules;
use plenum_model::spec::{ContainerSpec, TaskSpec};
use plenum_model::task::{Exit, ExitReason, Observation};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) const MIB: u64 = 1 << 20;

/// When the world begins, in Unix milliseconds.
pub(crate) const START: u64 = 1_000_000;

pub(crate) struct World {
    pub(crate) core: Core,
    pub(crate) view: View,
    pub(crate) now: u64,
    pub(crate) records: Vec<Vec<u8>>,
    pub(crate) snapshot: Option<Vec<u8>>,
    pub(crate) agents: BTreeMap<NodeId, Attachment>,
    pub(crate) silent: Vec<NodeId>,
    pub(crate) sessions: BTreeMap<SchedulerId, Caller>,
    pub(crate) config: CoreConfig,
    epoch: LeaderEpoch,
    attachments: u64,
    seq: u64,
}

/// What one input led to.
pub(crate) struct Outcome {
    pub(crate) changes: Vec<Change>,
    pub(crate) answer: Option<Result<Answer, Denied>>,
}

impl Outcome {
    pub(crate) fn refused(&self) -> Vec<Refusal> {
        match &self.answer {
            Some(Ok(Answer::Claimed(claimed))) => claimed.refused.clone(),
            Some(Ok(Answer::Refused(refused))) => refused.clone(),
            _ => Vec::new(),
        }
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(CoreConfig::default())
    }

    pub(crate) fn with(config: CoreConfig) -> Self {
        let mut world = Self {
            core: Core::new(config.clone()),
            view: View::new(1_000, 1_000),
            now: START,
            records: Vec::new(),
            snapshot: None,
            agents: BTreeMap::new(),
            silent: Vec::new(),
            sessions: BTreeMap::new(),
            config,
            epoch: LeaderEpoch(0),
            attachments: 0,
            seq: 0,
        };
        world.lead();
        world
    }

    fn lead(&mut self) -> Outcome {
        self.epoch = self.epoch.next();
        self.step(Input::Lead(self.epoch))
    }

    pub(crate) fn step(&mut self, input: Input) -> Outcome {
        let mut effects = Effects::default();
        self.core.step(self.now, input, &mut effects);
        if !effects.facts.is_empty() {
            self.records.push(self.core.record(&effects.facts));
        }
        for change in &effects.changes {
            self.view.apply(change.clone());
        }
        Outcome {
            changes: effects.changes,
            answer: effects.answer,
        }
    }

    /// What the log gives back now.
    pub(crate) fn restored(&self) -> Core {
        Core::restore(
            self.config.clone(),
            self.snapshot.as_deref(),
            &self.records,
            |_| {},
        )
        .expect("what was logged is a ledger")
    }

    /// What the log gives an auditor.
    pub(crate) fn audit(&self) -> Audit {
        let loaded = Loaded {
            epoch: self.epoch,
            snapshot: self.snapshot.clone(),
            records: self.records.clone(),
        };
        audit(&loaded).expect("what was logged is a ledger")
    }

    /// The broker dies and comes back from its log; agents and schedulers have to come again.
    pub(crate) fn restart(&mut self) -> Outcome {
        let mut view = View::new(1_000, 1_000);
        self.core = Core::restore(
            self.config.clone(),
            self.snapshot.as_deref(),
            &self.records,
            |c| view.apply(c),
        )
        .expect("what was logged is a ledger");
        self.view = view;
        self.agents.clear();
        self.sessions.clear();
        self.lead()
    }

    /// The log is replaced by a snapshot.
    pub(crate) fn compact(&mut self) {
        self.snapshot = Some(self.core.snapshot());
        self.records.clear();
    }

    pub(crate) fn attach(&mut self, facts: NodeFacts) -> Outcome {
        self.attachments += 1;
        let attachment = Attachment(self.attachments);
        self.agents.insert(facts.id.clone(), attachment);
        self.silent.retain(|n| *n != facts.id);
        self.step(Input::Attach {
            facts: Box::new(facts),
            attachment,
        })
    }

    /// Time passes; agents that are attached and not silent send heartbeats.
    pub(crate) fn wait(&mut self, mut millis: u64) -> Vec<Change> {
        let mut changes = Vec::new();
        while millis > 0 {
            let part = millis.min(1_000);
            millis -= part;
            self.now += part;
            let alive: Vec<_> = self
                .agents
                .iter()
                .filter(|(n, _)| !self.silent.contains(n))
                .map(|(n, a)| (n.clone(), *a))
                .collect();
            for (node, attachment) in alive {
                changes.extend(self.step(Input::Heard(node, attachment)).changes);
            }
            changes.extend(self.step(Input::Tick).changes);
        }
        changes
    }

    /// The session of a scheduler, opened if need be.
    pub(crate) fn caller(&mut self, scheduler: &str) -> Caller {
        let scheduler = SchedulerId::new(scheduler).unwrap();
        if let Some(caller) = self.sessions.get(&scheduler) {
            return caller.clone();
        }
        self.open(&scheduler)
    }

    pub(crate) fn open(&mut self, scheduler: &SchedulerId) -> Caller {
        let hello = Hello {
            scheduler: scheduler.clone(),
            kind: "test".into(),
            api: (1, 1),
            watch_nodes: false,
        };
        let outcome = self.step(Input::Open(hello));
        let Some(Ok(Answer::Opened(epoch))) = outcome.answer else {
            panic!("{:?}", outcome.answer)
        };
        let caller = Caller {
            scheduler: scheduler.clone(),
            epoch,
        };
        self.sessions.insert(scheduler.clone(), caller.clone());
        caller
    }

    pub(crate) fn claim(&mut self, scheduler: &str, terms: Terms, seats: Vec<Seat>) -> Outcome {
        let caller = self.caller(scheduler);
        self.step(Input::Claim(caller, batch(terms, seats)))
    }

    /// The agent of a task's node sees it so far.
    pub(crate) fn observe(&mut self, node: &NodeId, id: TaskId, incarnation: u32, phase: Phase) -> Outcome {
        self.seq += 1;
        let exit = phase.is_terminal().then(|| Exit {
            code: Some(i32::from(phase == Phase::Failed)),
            signal: None,
            reason: if phase == Phase::Stopped {
                ExitReason::Asked
            } else {
                ExitReason::Exited
            },
            message: String::new(),
        });
        let seen = Observation {
            task: id,
            seq: Seq(self.seq),
            progress: Progress {
                incarnation: Incarnation(incarnation),
                phase,
            },
            ready: None,
            address: None,
            exit,
            message: String::new(),
            at: self.now,
            containers: Vec::new(),
            checks: Vec::new(),
        };
        let attachment = self.agents.get(node).copied().unwrap_or(Attachment(0));
        self.step(Input::Observed(node.clone(), attachment, vec![seen]))
    }
}

pub(crate) fn batch(terms: Terms, seats: Vec<Seat>) -> ClaimBatch {
    ClaimBatch {
        specs: vec![spec("process")],
        groups: vec![ClaimGroup {
            terms: Arc::new(terms),
            seats,
        }],
        all_or_nothing: false,
    }
}

/// The same, all or nothing.
pub(crate) fn gang(terms: Terms, seats: Vec<Seat>) -> ClaimBatch {
    ClaimBatch {
        all_or_nothing: true,
        ..batch(terms, seats)
    }
}

pub(crate) fn node_id(name: &str) -> NodeId {
    NodeId::new(name).unwrap()
}

/// A node with a process runtime.
pub(crate) fn facts(name: &str, cpu_millis: u64, memory_mib: u64) -> NodeFacts {
    NodeFacts {
        id: node_id(name),
        hostname: name.into(),
        address: "127.0.0.1".into(),
        capacity: Amounts {
            cpu_millis,
            memory_bytes: memory_mib * MIB,
            disk_bytes: 100_000 * MIB,
            slots: 1_000,
            extended: BTreeMap::new(),
        },
        system: Amounts::default(),
        devices: BTreeMap::new(),
        attributes: BTreeMap::new(),
        runtimes: BTreeMap::from([("process".into(), RuntimeFacts::default())]),
        ports: PortRange {
            low: 31_000,
            high: 31_999,
        },
        agent_version: "test".into(),
        taints: Vec::new(),
    }
}

pub(crate) fn spec(runtime: &str) -> Arc<TaskSpec> {
    let container = ContainerSpec {
        name: "main".into(),
        runtime: runtime.into(),
        ..ContainerSpec::default()
    };
    Arc::new(TaskSpec {
        containers: vec![container],
        ..TaskSpec::default()
    })
}

/// Terms of a workload of plain processes.
pub(crate) fn terms(app: &str, cpu_millis: u64, memory_mib: u64) -> Terms {
    Terms {
        workload: Workload {
            uid: app.into(),
            name: app.into(),
            kind: "app".into(),
            version: "1".into(),
        },
        tenant: "default".parse().unwrap(),
        charge: Amounts::task(cpu_millis, memory_mib * MIB, 0),
        devices: BTreeMap::new(),
        ports: Vec::new(),
        spec: spec("process").id(),
        labels: BTreeMap::new(),
        desired: plenum_model::claim::Desired::Running,
        rules: Rules::default(),
        lost_after: plenum_model::claim::LostAfter::default(),
        priority: plenum_model::claim::Priority::default(),
        may_preempt: false,
        budget: None,
        files: Vec::new(),
        keep_ended: 0,
    }
}

pub(crate) fn task_id(scheduler: &str, app: &str, slot: u64, attempt: u32) -> TaskId {
    TaskId::derive(&SchedulerId::new(scheduler).unwrap(), app, slot, attempt)
}

/// Seats of the first attempts of some slots.
pub(crate) fn seats(scheduler: &str, app: &str, slots: std::ops::Range<u64>) -> Vec<Seat> {
    slots
        .map(|slot| Seat::new(task_id(scheduler, app, slot, 1), format!("{app}.{slot}"), slot))
        .collect()
}
