//! Agents that run nothing: what is assigned is reported running at once, a message for a message.

use crate::report::Failed;
use futures::StreamExt;
use plenum_contract::broker::API_VERSIONS;
use plenum_contract::dispatcher::{AgentHello, AgentMessage, BrokerMessage, BrokerStream, Dispatcher};
use plenum_model::amounts::Amounts;
use plenum_model::ids::{Incarnation, LeaderEpoch, NodeId, Seq, TaskId};
use plenum_model::node::{NodeFacts, PortRange, RuntimeFacts};
use plenum_model::phase::{Phase, Progress};
use plenum_model::task::Observation;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;

/// The runtime that the tasks of this benchmark ask for.
pub(super) const RUNTIME: &str = "none";

/// Messages of an agent that may wait: it answers one with one.
const DEPTH: usize = 64;

/// All agents.
pub(super) struct Fleet(JoinSet<()>);

impl Fleet {
    /// Attaches so many agents with so many slots each, spread over the dispatchers.
    pub(super) async fn attach(
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
            agents.spawn(agent(down, up));
        }
        Ok(Self(agents))
    }

    pub(super) async fn stop(mut self) {
        self.0.shutdown().await;
    }
}

async fn agent(mut down: BrokerStream, up: mpsc::Sender<AgentMessage>) {
    let mut seq = Seq(0);
    while let Some(Ok(message)) = down.next().await {
        let BrokerMessage::Assignments(batch) = message else {
            continue;
        };
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let at = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
        let mut seen = Vec::with_capacity(batch.assign.len());
        for assignment in batch.assign {
            seq = seq.next();
            seen.push(running(assignment.seat.id, seq, at));
        }
        if !seen.is_empty() && up.send(AgentMessage::Observed(seen)).await.is_err() {
            return;
        }
    }
}

fn running(task: TaskId, seq: Seq, at: u64) -> Observation {
    Observation {
        task,
        seq,
        progress: Progress {
            incarnation: Incarnation(0),
            phase: Phase::Running,
        },
        ready: None,
        address: None,
        exit: None,
        message: String::new(),
        at,
        containers: Vec::new(),
        checks: Vec::new(),
    }
}

fn facts(n: u32, slots: u64) -> Result<NodeFacts, Failed> {
    let id = NodeId::new(format!("n{n:05}")).map_err(Failed::in_("naming a node"))?;
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
        runtimes: BTreeMap::from([(RUNTIME.to_owned(), RuntimeFacts::default())]),
        ports: PortRange {
            low: 31_000,
            high: 32_000,
        },
        agent_version: "bench".to_owned(),
        id,
    })
}
