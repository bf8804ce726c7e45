//! The agent as a whole, against a runtime and a broker in memory.
#![allow(clippy::unwrap_used)]

mod adoption;
mod fake_broker;
mod fake_runtime;
mod files;
mod journal;
mod life;
mod streams;

use fake_broker::FakeBroker;
use fake_runtime::FakeRuntime;
use plenum_agent::{AgentConfig, AgentHandle, StartError, start};
use plenum_contract::dispatcher::Assignment;
use plenum_contract::runtime::Runtime;
use plenum_model::amounts::Amounts;
use plenum_model::claim::{Desired, PortAsk, Seat, Terms};
use plenum_model::ids::{Generation, NodeId, SchedulerId, TaskId, TenantPath};
use plenum_model::node::PortRange;
use plenum_model::spec::{Check, ContainerSpec, OnFailure, Probe, TaskSpec};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A machine whose agent can come and go.
struct Machine {
    dir: tempfile::TempDir,
    runtime: Arc<FakeRuntime>,
    broker: Arc<FakeBroker>,
}

impl Machine {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            runtime: Arc::new(FakeRuntime::default()),
            broker: Arc::new(FakeBroker::default()),
        }
    }

    async fn try_agent(&self) -> Result<AgentHandle, StartError> {
        let ports = PortRange {
            low: 31000,
            high: 31099,
        };
        let config = AgentConfig::new(NodeId::new("n1").unwrap(), "127.0.0.1", ports, self.dir.path());
        let runtime: Arc<dyn Runtime> = self.runtime.clone();
        start(config, vec![runtime], self.broker.clone()).await
    }

    async fn agent(&self) -> AgentHandle {
        self.try_agent().await.unwrap()
    }

    fn journal(&self) -> std::path::PathBuf {
        self.dir.path().join("journal")
    }

    fn sandbox(&self, slot: u64) -> bool {
        Path::new(&self.dir.path().join("sandboxes").join(id(slot).to_string())).exists()
    }
}

fn id(slot: u64) -> TaskId {
    TaskId::derive(&SchedulerId::new("test").unwrap(), "app", slot, 0)
}

fn spec() -> Arc<TaskSpec> {
    let container = ContainerSpec {
        name: "main".into(),
        runtime: "fake".into(),
        stop_grace_ms: 60_000,
        ..ContainerSpec::default()
    };
    Arc::new(TaskSpec {
        containers: vec![container],
        ..TaskSpec::default()
    })
}

/// Like the other, with a probe that fails the task.
fn probed_spec() -> Arc<TaskSpec> {
    let mut spec = (*spec()).clone();
    spec.containers[0].probes.push(Probe {
        check: Check::Exec(vec!["check".into()]),
        on_failure: OnFailure::Fail,
        delay_ms: 0,
        period_ms: 10,
        timeout_ms: 10_000,
        failures: 2,
        successes: 1,
        grace_ms: 0,
        told: false,
        once: false,
    });
    Arc::new(spec)
}

fn assignment(slot: u64, generation: u64, desired: Desired, ports: Vec<u16>) -> Assignment {
    assignment_of(&spec(), slot, generation, desired, ports)
}

fn assignment_of(
    spec: &TaskSpec,
    slot: u64,
    generation: u64,
    desired: Desired,
    ports: Vec<u16>,
) -> Assignment {
    let terms = Terms {
        workload: Default::default(),
        tenant: TenantPath::new("t").unwrap(),
        charge: Amounts::task(1, 1, 0),
        devices: BTreeMap::new(),
        ports: ports.iter().map(|_| PortAsk::default()).collect(),
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
        seat: Seat::new(id(slot), format!("app.{slot}"), slot),
        terms: Arc::new(terms),
        ports,
        generation: Generation(generation),
        desired,
        grace_ms: None,
        again_after: None,
    }
}

/// Waits for a condition that something else brings about.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(
        tokio::time::timeout(Duration::from_secs(20), wait).await.is_ok(),
        "never: {what}"
    );
}
