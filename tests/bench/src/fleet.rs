//! Agents that run nothing: what is assigned is reported as done at once, a message for a message. They say of
//! tasks and their containers what real agents say, and keep their lease.

use crate::report::Failed;
use futures::StreamExt;
use plenum_contract::broker::API_VERSIONS;
use plenum_contract::dispatcher::{
    AgentHello, AgentMessage, Assignment, Assignments, BrokerMessage, BrokerStream, Dispatcher,
};
use plenum_model::amounts::Amounts;
use plenum_model::claim::Desired;
use plenum_model::ids::{Incarnation, LeaderEpoch, NodeId, Seq, SpecId, TaskId};
use plenum_model::node::{NodeFacts, PortRange, RuntimeFacts, capability};
use plenum_model::phase::{Phase, Progress};
use plenum_model::spec::RestartUnit;
use plenum_model::task::{
    ContainerEnd, ContainerState, ContainerStatus, Exit, ExitReason, Observation, WaitReason,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_stream::wrappers::ReceiverStream;

/// The runtime that the agents have under every name that a door may ask for.
pub(crate) const RUNTIME: &str = "none";
/// Those names.
const RUNTIMES: [&str; 3] = [RUNTIME, "docker", "process"];

/// What the runtime is said to enforce.
const CAPABILITIES: [&str; 9] = [
    capability::BRIDGE,
    capability::CONTAINERS,
    capability::CPU_LIMIT,
    capability::IMAGES,
    capability::MEMORY_LIMIT,
    capability::PIDS_LIMIT,
    capability::SECRETS,
    capability::SHARED_ADDRESS,
    capability::USER,
];

/// Messages of an agent that may wait: it answers one with one.
const DEPTH: usize = 64;

/// Until the broker says how long a lease is.
const FIRST_BEAT: Duration = Duration::from_secs(5);

/// All agents.
pub(crate) struct Fleet(JoinSet<()>);

impl Fleet {
    /// Attaches so many agents with so many slots each, spread over the dispatchers.
    pub(crate) async fn attach(
        dispatchers: &[Arc<dyn Dispatcher>],
        count: u32,
        slots: u64,
    ) -> Result<Self, Failed> {
        let mut agents = JoinSet::new();
        for (n, dispatcher) in (0..count).zip(dispatchers.iter().cycle()) {
            let (up, messages) = mpsc::channel(DEPTH);
            let hello = AgentHello {
                facts: facts(n, slots)?,
                epoch: LeaderEpoch(0),
                api: API_VERSIONS,
            };
            let down = dispatcher
                .attach(hello, ReceiverStream::new(messages).boxed())
                .await
                .map_err(Failed::in_("attaching"))?;
            agents.spawn(Agent::new(n).run(down, up));
        }
        Ok(Self(agents))
    }

    pub(crate) async fn stop(mut self) {
        self.0.shutdown().await;
    }
}

/// One agent.
struct Agent {
    number: u32,
    seq: Seq,
    /// The containers of the specs whose tasks restart them one by one.
    containers: BTreeMap<SpecId, Vec<String>>,
    addresses: u32,
}

impl Agent {
    fn new(number: u32) -> Self {
        Self {
            number,
            seq: Seq(0),
            containers: BTreeMap::new(),
            addresses: 0,
        }
    }

    async fn run(mut self, mut down: BrokerStream, up: mpsc::Sender<AgentMessage>) {
        let mut beat = beats(FIRST_BEAT);
        loop {
            let answer = tokio::select! {
                message = down.next() => match message {
                    Some(Ok(BrokerMessage::Assignments(batch))) => self.done(batch),
                    Some(Ok(BrokerMessage::Welcome { lease_ms, .. })) => {
                        beat = beats(Duration::from_millis(lease_ms / 3));
                        None
                    }
                    Some(Ok(_)) => None,
                    Some(Err(_)) | None => return,
                },
                _ = beat.tick() => Some(AgentMessage::Heartbeat),
            };
            if let Some(answer) = answer
                && up.send(answer).await.is_err()
            {
                return;
            }
        }
    }

    /// What it has to say after it did as it was told.
    fn done(&mut self, batch: Assignments) -> Option<AgentMessage> {
        let by_container = batch
            .specs
            .iter()
            .filter(|s| s.restart_unit == RestartUnit::Container);
        for spec in by_container {
            let names = spec.containers.iter().map(|c| c.name.clone()).collect();
            self.containers.insert(spec.id(), names);
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let seen: Vec<_> = batch.assign.iter().map(|a| self.observed(a, now)).collect();
        (!seen.is_empty()).then_some(AgentMessage::Observed(seen))
    }

    fn observed(&mut self, assignment: &Assignment, at: u64) -> Observation {
        self.seq = self.seq.next();
        let phase = match assignment.desired {
            Desired::Held { .. } => Phase::Prepared,
            Desired::Running => Phase::Running,
            Desired::Stopped => Phase::Stopped,
        };
        let exit = (phase == Phase::Stopped).then(|| Exit {
            code: Some(0),
            signal: None,
            reason: ExitReason::Asked,
            message: String::new(),
        });
        let names = self.containers.get(&assignment.terms.spec);
        let containers: Vec<_> = names
            .into_iter()
            .flatten()
            .map(|name| container(assignment.seat.id, name, phase, exit.as_ref(), at))
            .collect();
        let address = (!containers.is_empty() && phase == Phase::Running).then(|| self.address());
        Observation {
            task: assignment.seat.id,
            seq: self.seq,
            progress: Progress {
                incarnation: Incarnation(0),
                phase,
            },
            ready: None,
            address,
            exit,
            message: String::new(),
            at,
            checks: Vec::new(),
            containers,
        }
    }

    /// One that no other task has.
    fn address(&mut self) -> String {
        self.addresses += 1;
        let [_, net, high, low] = ((self.number << 12) + self.addresses).to_be_bytes();
        format!("100.{net}.{high}.{low}")
    }
}

fn beats(every: Duration) -> Interval {
    let mut beats = interval(every);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beats
}

/// What is said of one container of a task that is in this phase.
fn container(task: TaskId, name: &str, phase: Phase, exit: Option<&Exit>, at: u64) -> ContainerStatus {
    let id = Some(format!("{task}-{name}"));
    let state = match (phase, exit) {
        (_, Some(exit)) => ContainerState::Ended(ContainerEnd {
            exit: exit.clone(),
            started_at: None,
            ended_at: at,
            id: id.clone(),
        }),
        (Phase::Running, None) => ContainerState::Running { started_at: at },
        (_, None) => ContainerState::Waiting {
            reason: WaitReason::Held,
            message: String::new(),
        },
    };
    let runs = phase == Phase::Running;
    ContainerStatus {
        name: name.to_owned(),
        state,
        restarts: 0,
        last: None,
        ready: runs,
        started: runs,
        id,
        image_id: None,
    }
}

fn facts(n: u32, slots: u64) -> Result<NodeFacts, Failed> {
    let id = NodeId::new(format!("n{n:05}")).map_err(Failed::in_("naming a node"))?;
    let runtime = RuntimeFacts {
        version: "bench".to_owned(),
        capabilities: CAPABILITIES.map(str::to_owned).into(),
    };
    Ok(NodeFacts {
        hostname: id.to_string(),
        address: format!("10.{}.{}.{}", n >> 16 & 255, n >> 8 & 255, n & 255),
        capacity: Amounts {
            slots,
            ..Amounts::task(64_000, 256 << 30, 1 << 40)
        },
        system: Amounts::default(),
        devices: BTreeMap::new(),
        attributes: BTreeMap::from([("rack".to_owned(), format!("r{}", n % 40))]),
        runtimes: RUNTIMES.map(|name| (name.to_owned(), runtime.clone())).into(),
        ports: PortRange {
            low: 31_000,
            high: 32_000,
        },
        agent_version: "bench".to_owned(),
        taints: Vec::new(),
        id,
    })
}
