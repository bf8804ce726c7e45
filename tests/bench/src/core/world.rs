//! A core without log, wire and agents, and a scheduler that talks to it: what is measured is deciding alone.

use crate::report::Failed;
use plenum_broker::input::{Answer, Attachment, Caller, Effects, Input};
use plenum_broker::{Core, CoreConfig};
use plenum_contract::broker::Hello;
use plenum_model::amounts::Amounts;
use plenum_model::claim::{ClaimBatch, ClaimGroup};
use plenum_model::ids::{Incarnation, LeaderEpoch, NodeId, SchedulerId, Seq, TaskId};
use plenum_model::node::{NodeFacts, PortRange, RuntimeFacts};
use plenum_model::phase::{Phase, Progress};
use plenum_model::spec::{ContainerSpec, TaskSpec};
use plenum_model::task::{Exit, ExitReason, Observation};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes of a MiB.
pub(super) const MIB: u64 = 1 << 20;
/// What a node has, in millis and MiB.
pub(super) const NODE: (u64, u64) = (32_000, 128 * 1024);
/// Racks of the pool.
pub(super) const RACKS: u32 = 125;
/// One node in so many has the rare attribute; as many others have gpus.
const RARE: u32 = 20;

/// The core and who talks to it.
pub(super) struct World {
    pub(super) core: Core,
    pub(super) scheduler: SchedulerId,
    caller: Caller,
    nodes: Vec<NodeId>,
    effects: Effects,
    now: u64,
    seq: u64,
    /// What the session sends before it refers to it.
    specs: Vec<Arc<TaskSpec>>,
}

impl World {
    /// A pool of so many nodes, of which up to `exact` are looked at one by one.
    pub(super) fn new(nodes: u32, exact: usize) -> Result<Self, Failed> {
        let config = CoreConfig {
            exact_nodes: exact,
            ..CoreConfig::default()
        };
        let scheduler = SchedulerId::new("bench").map_err(Failed::in_("a scheduler's name"))?;
        let mut world = Self {
            core: Core::new(config),
            caller: Caller {
                scheduler: scheduler.clone(),
                epoch: plenum_model::ids::SessionEpoch(0),
            },
            scheduler: scheduler.clone(),
            nodes: Vec::new(),
            effects: Effects::default(),
            now: 1_000_000,
            seq: 0,
            specs: vec![spec()],
        };
        world.step(Input::Lead(LeaderEpoch(1)))?;
        let hello = Hello {
            scheduler,
            kind: "bench".to_owned(),
            api: (1, 1),
            watch_nodes: false,
        };
        if let Some(Answer::Opened(epoch)) = world.step(Input::Open(hello))? {
            world.caller.epoch = epoch;
        }
        for n in 0..nodes {
            let facts = node(n)?;
            world.nodes.push(facts.id.clone());
            world.step(Input::Attach {
                facts: Box::new(facts),
                attachment: Attachment(u64::from(n) + 1),
            })?;
        }
        Ok(world)
    }

    /// One step; what it made looks different is thrown away.
    pub(super) fn step(&mut self, input: Input) -> Result<Option<Answer>, Failed> {
        self.effects.facts.clear();
        self.effects.changes.clear();
        self.core.step(self.now, input, &mut self.effects);
        match self.effects.answer.take() {
            None => Ok(None),
            Some(Ok(answer)) => Ok(Some(answer)),
            Some(Err(denied)) => Err(Failed::in_("a step of the core")(format!("{denied:?}"))),
        }
    }

    /// Claims; every one of them must be taken.
    pub(super) fn claim(&mut self, groups: Vec<ClaimGroup>) -> Result<(), Failed> {
        let batch = ClaimBatch {
            specs: std::mem::take(&mut self.specs),
            groups,
            all_or_nothing: false,
        };
        match self.step(Input::Claim(self.caller.clone(), batch))? {
            Some(Answer::Claimed(claimed)) if claimed.refused.is_empty() => Ok(()),
            other => Err(Failed::in_("a claim")(format!("{other:?}"))),
        }
    }

    /// Tasks are let go, seen to be stopped and forgotten.
    pub(super) fn end(&mut self, ids: &[TaskId]) -> Result<(), Failed> {
        self.step(Input::Release(self.caller.clone(), ids.to_vec(), Some(0)))?;
        for id in ids {
            let at = self.core.ledger().tasks.get(*id).and_then(|row| row.node);
            let Some(at) = at else { continue };
            self.seq += 1;
            let seen = stopped(*id, self.seq, self.now);
            let n = at.0 as usize;
            let attachment = Attachment(u64::from(at.0) + 1);
            self.step(Input::Observed(self.nodes[n].clone(), attachment, vec![seen]))?;
        }
        self.step(Input::Forget(self.caller.clone(), ids.to_vec()))?;
        Ok(())
    }
}

fn stopped(task: TaskId, seq: u64, at: u64) -> Observation {
    Observation {
        task,
        seq: Seq(seq),
        progress: Progress {
            incarnation: Incarnation(0),
            phase: Phase::Stopped,
        },
        ready: None,
        address: None,
        exit: Some(Exit {
            code: Some(0),
            signal: None,
            reason: ExitReason::Asked,
            message: String::new(),
        }),
        message: String::new(),
        at,
        containers: Vec::new(),
        checks: Vec::new(),
    }
}

/// What every task runs.
pub(super) fn spec() -> Arc<TaskSpec> {
    let container = ContainerSpec {
        name: "main".to_owned(),
        runtime: "process".to_owned(),
        ..ContainerSpec::default()
    };
    Arc::new(TaskSpec {
        containers: vec![container],
        ..TaskSpec::default()
    })
}

fn node(n: u32) -> Result<NodeFacts, Failed> {
    let name = format!("n{n:05}");
    let rare = n % RARE == 7;
    let mut attributes = BTreeMap::from([
        ("rack".to_owned(), format!("r{}", n % RACKS)),
        (
            "arch".to_owned(),
            if n % 5 < 4 { "amd64" } else { "arm64" }.to_owned(),
        ),
    ]);
    if rare {
        attributes.insert("licence".to_owned(), "oracle".to_owned());
    }
    let gpus = if n % RARE == 11 { 8 } else { 0 };
    Ok(NodeFacts {
        id: NodeId::new(&name).map_err(Failed::in_("a node's name"))?,
        hostname: name,
        address: "127.0.0.1".to_owned(),
        capacity: Amounts {
            cpu_millis: NODE.0,
            memory_bytes: NODE.1 * MIB,
            disk_bytes: 1 << 40,
            slots: 1_000,
            extended: BTreeMap::from([("gpu".to_owned(), gpus)]),
        },
        system: Amounts::default(),
        devices: BTreeMap::new(),
        attributes,
        runtimes: BTreeMap::from([("process".to_owned(), RuntimeFacts::default())]),
        ports: PortRange {
            low: 20_000,
            high: 29_999,
        },
        agent_version: "bench".to_owned(),
        taints: Vec::new(),
    })
}
