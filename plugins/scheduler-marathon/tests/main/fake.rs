//! A pool in memory: one node with so much room. What is claimed runs at once where there is room, what is
//! released stops at once, unless a test says otherwise.

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use plenum_contract::broker::*;
use plenum_contract::pool::*;
use plenum_model::amounts::{Amounts, Resource};
use plenum_model::claim::ClaimBatch;
use plenum_model::event::Event;
use plenum_model::ids::*;
use plenum_model::node::*;
use plenum_model::phase::Phase;
use plenum_model::spec::TaskSpec;
use plenum_model::taint::TaintChange;
use plenum_model::task::{CheckStatus, Exit, ExitReason, Status, Task};
use plenum_model::tenant::{Tenant, TenantUsage};
use plenum_model::why::{Cause, NodeVerdict, Why};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;

#[derive(Clone)]
pub(crate) struct Fake(Arc<Mutex<World>>);

struct World {
    tasks: BTreeMap<TaskId, Arc<Task>>,
    highest: BTreeMap<SlotKey, u32>,
    specs: BTreeMap<SpecId, Arc<TaskSpec>>,
    watcher: Option<mpsc::UnboundedSender<Result<WatchBatch, BrokerError>>>,
    epoch: u64,
    cursor: u64,
    /// Tasks that fit.
    room: usize,
    /// Whether placed tasks run by themselves.
    runs: bool,
    /// Whether released tasks end by themselves.
    stops: bool,
    next_port: u16,
    /// Every id that was ever started.
    started: Vec<TaskId>,
    most_live: usize,
}

fn now() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

impl Fake {
    pub(crate) fn with_room(room: usize) -> Self {
        Self(Arc::new(Mutex::new(World {
            tasks: BTreeMap::new(),
            highest: BTreeMap::new(),
            specs: BTreeMap::new(),
            watcher: None,
            epoch: 0,
            cursor: 0,
            room,
            runs: true,
            stops: true,
            next_port: 31_000,
            started: Vec::new(),
            most_live: 0,
        })))
    }

    /// Gives the node room for so many tasks.
    pub(crate) fn set_room(&self, room: usize) {
        let mut w = self.0.lock().unwrap();
        w.room = room;
        w.settle();
    }

    /// Whether placed tasks run by themselves from now on.
    pub(crate) fn set_runs(&self, runs: bool) {
        let mut w = self.0.lock().unwrap();
        w.runs = runs;
        w.settle();
    }

    /// Whether released tasks end by themselves from now on.
    pub(crate) fn set_stops(&self, stops: bool) {
        let mut w = self.0.lock().unwrap();
        w.stops = stops;
        w.settle();
    }

    /// The process of every running task of this workload ends with this code.
    pub(crate) fn crash(&self, workload: &str, code: i32) {
        let mut w = self.0.lock().unwrap();
        let mine = |t: &&Arc<Task>| t.terms.workload.name == workload && t.status.phase() == Phase::Running;
        let ids: Vec<TaskId> = w.tasks.values().filter(mine).map(|t| t.id()).collect();
        for id in ids {
            w.change(id, |t| {
                t.status.progress.phase = if code == 0 { Phase::Finished } else { Phase::Failed };
                t.status.ended_at = Some(now());
                let message = format!("exited with {code}");
                t.status.exit = Some(Exit {
                    code: Some(code),
                    signal: None,
                    reason: ExitReason::Exited,
                    message,
                });
            });
        }
        w.settle();
    }

    /// What the node sees of a task's told probes; it is ready when all pass.
    pub(crate) fn see_checks(&self, id: TaskId, checks: Vec<CheckStatus>) {
        let mut w = self.0.lock().unwrap();
        let all_pass = checks.iter().all(|c| c.passes == Some(true));
        w.change(id, |t| {
            t.status.ready = Some(all_pass);
            t.status.checks = checks;
        });
    }

    /// The node falls silent, or is heard of again.
    pub(crate) fn set_silent(&self, silent: bool) {
        let mut w = self.0.lock().unwrap();
        let placed = |t: &&Arc<Task>| t.status.node.is_some() && !t.status.phase().is_terminal();
        let ids: Vec<TaskId> = w.tasks.values().filter(placed).map(|t| t.id()).collect();
        for id in ids {
            w.change(id, |t| t.status.unreachable = silent);
        }
    }

    /// Ends the scheduler's session.
    pub(crate) fn cut(&self) {
        self.0.lock().unwrap().watcher = None;
    }

    /// Tasks that are not over.
    pub(crate) fn live(&self) -> Vec<Arc<Task>> {
        let w = self.0.lock().unwrap();
        w.tasks
            .values()
            .filter(|t| !t.status.phase().is_terminal())
            .cloned()
            .collect()
    }

    /// The most tasks that were not over at once since the last call.
    pub(crate) fn take_most_live(&self) -> usize {
        std::mem::take(&mut self.0.lock().unwrap().most_live)
    }

    /// Records of any kind.
    pub(crate) fn records(&self) -> usize {
        self.0.lock().unwrap().tasks.len()
    }

    /// Every id that was ever placed, in order.
    pub(crate) fn started(&self) -> Vec<TaskId> {
        self.0.lock().unwrap().started.clone()
    }

    pub(crate) fn spec_of(&self, task: &Task) -> Arc<TaskSpec> {
        Arc::clone(&self.0.lock().unwrap().specs[&task.terms.spec])
    }
}

impl World {
    fn tell(&mut self, event: WatchEvent) {
        self.cursor += 1;
        let batch = WatchBatch {
            cursor: Cursor(self.cursor),
            part: WatchPart::Delta,
            events: vec![event],
        };
        if let Some(w) = &self.watcher {
            let _ = w.send(Ok(batch));
        }
    }

    fn change(&mut self, id: TaskId, change: impl FnOnce(&mut Task)) {
        let Some(task) = self.tasks.get(&id) else { return };
        let mut task = Task::clone(task);
        change(&mut task);
        let task = Arc::new(task);
        self.tasks.insert(id, Arc::clone(&task));
        self.tell(WatchEvent::Task(task));
    }

    fn held(&self) -> usize {
        let holds = |t: &&Arc<Task>| !t.status.phase().is_terminal() && t.status.node.is_some();
        self.tasks.values().filter(holds).count()
    }

    /// Stops what is released, places what fits, runs what is placed.
    fn settle(&mut self) {
        let ids: Vec<TaskId> = self.tasks.keys().copied().collect();
        for id in &ids {
            let (released, phase) = (self.tasks[id].released, self.tasks[id].status.phase());
            if released && !phase.is_terminal() && (self.stops || phase == Phase::Pending) {
                self.change(*id, |t| {
                    t.status.progress.phase = Phase::Stopped;
                    t.status.ended_at = Some(now());
                });
            }
        }
        for id in &ids {
            if self.tasks[id].status.phase() == Phase::Pending {
                self.place(*id);
            }
            let placed = self.tasks[id].status.phase() == Phase::Placed;
            if self.runs && placed && !self.tasks[id].released {
                let spec = &self.specs[&self.tasks[id].terms.spec];
                let probed = spec.containers.iter().any(|c| !c.probes.is_empty());
                self.change(*id, |t| {
                    t.status.ready = probed.then_some(false);
                    t.status.progress.phase = Phase::Running;
                    t.status.started_at = Some(now());
                });
            }
        }
        let live = self
            .tasks
            .values()
            .filter(|t| !t.status.phase().is_terminal())
            .count();
        self.most_live = self.most_live.max(live);
    }

    fn place(&mut self, id: TaskId) {
        if self.held() >= self.room {
            let why = Why {
                nodes: 1,
                by: vec![(Cause::Short(Resource::Cpu), 1)],
                limit: None,
                ..Why::default()
            };
            if self.tasks[&id].status.why.as_ref() != Some(&why) {
                self.change(id, |t| t.status.why = Some(why));
            }
            return;
        }
        let asked = u16::try_from(self.tasks[&id].terms.ports.len()).unwrap();
        let first = self.next_port;
        self.next_port += asked;
        self.started.push(id);
        self.change(id, |t| {
            t.status.progress.phase = Phase::Placed;
            t.status.node = Some(node_id());
            t.status.why = None;
            t.status.placed_at = Some(now());
            t.status.ports = (first..first + asked).collect();
        });
    }
}

fn node_id() -> NodeId {
    NodeId::new("n1").unwrap()
}

fn node() -> Arc<Node> {
    Arc::new(Node {
        facts: NodeFacts {
            id: node_id(),
            hostname: "machine".into(),
            address: "127.77.0.1".into(),
            capacity: Amounts::task(4000, 8 << 30, 8 << 30),
            system: Amounts::default(),
            devices: BTreeMap::new(),
            attributes: [("rack".to_owned(), "r1".to_owned())].into(),
            runtimes: BTreeMap::new(),
            ports: PortRange {
                low: 31_000,
                high: 32_000,
            },
            agent_version: "0".into(),
            taints: Vec::new(),
        },
        liveness: Liveness::Ready,
        scheduling: Scheduling::Open,
        held: BTreeMap::new(),
        tasks: BTreeMap::new(),
        joined_at: 0,
        since: 0,
        taints: Vec::new(),
    })
}

struct FakeSession(Fake, SessionEpoch, SchedulerId);

#[async_trait]
impl Broker for Fake {
    async fn open(&self, hello: Hello) -> Result<Arc<dyn Session>, BrokerError> {
        let mut w = self.0.lock().unwrap();
        w.epoch += 1;
        Ok(Arc::new(FakeSession(
            self.clone(),
            SessionEpoch(w.epoch),
            hello.scheduler,
        )))
    }
}

#[async_trait]
impl Session for FakeSession {
    fn epoch(&self) -> SessionEpoch {
        self.1
    }

    async fn claim(&self, batch: ClaimBatch) -> Result<Claimed, BrokerError> {
        let mut w = self.0.0.lock().unwrap();
        for spec in batch.specs {
            w.specs.insert(spec.id(), spec);
        }
        let mut claimed = Claimed::default();
        for group in batch.groups {
            assert!(
                w.specs.contains_key(&group.terms.spec),
                "a spec is sent before it is referred to"
            );
            for seat in group.seats {
                let used = w
                    .highest
                    .get(&seat.id.slot_key())
                    .is_some_and(|h| *h >= seat.id.attempt());
                if w.tasks.contains_key(&seat.id) {
                    claimed.known.push(seat.id);
                } else if used {
                    claimed.refused.push(Refusal {
                        task: seat.id,
                        reason: RefusalReason::Conflict,
                        field: "id".into(),
                        why: "used before".into(),
                    });
                } else {
                    assert_eq!(seat.replaces, None, "the broker does not honour that yet");
                    w.highest.insert(seat.id.slot_key(), seat.id.attempt());
                    let task = Task {
                        scheduler: self.2.clone(),
                        terms: Arc::clone(&group.terms),
                        generation: Generation(1),
                        desired: group.terms.desired,
                        released: false,
                        status: Status::pending(now()),
                        seat,
                    };
                    w.tasks.insert(task.id(), Arc::new(task));
                }
            }
        }
        w.settle();
        Ok(claimed)
    }

    async fn amend(&self, _: Vec<Amend>) -> Result<Vec<Refusal>, BrokerError> {
        Ok(Vec::new())
    }

    async fn release(&self, ids: Vec<TaskId>, _: Option<u64>) -> Result<(), BrokerError> {
        let mut w = self.0.0.lock().unwrap();
        for id in ids {
            w.change(id, |t| t.released = true);
        }
        w.settle();
        Ok(())
    }

    async fn forget(&self, ids: Vec<TaskId>) -> Result<Vec<Refusal>, BrokerError> {
        let mut w = self.0.0.lock().unwrap();
        for id in ids {
            w.tasks.remove(&id);
            w.tell(WatchEvent::Forgotten(id));
        }
        Ok(Vec::new())
    }

    async fn watch(&self, _: Option<Cursor>) -> Result<WatchStream, BrokerError> {
        let mut w = self.0.0.lock().unwrap();
        let (tx, rx) = mpsc::unbounded_channel();
        let tasks = w.tasks.values().cloned().map(WatchEvent::Task);
        let events = tasks.chain([WatchEvent::Node(node())]).collect();
        let cursor = Cursor(w.cursor);
        let _ = tx.send(Ok(WatchBatch {
            cursor,
            part: WatchPart::SnapshotEnd,
            events,
        }));
        w.watcher = Some(tx);
        let stream = stream::unfold(
            rx,
            |mut rx| async move { rx.recv().await.map(|batch| (batch, rx)) },
        );
        Ok(stream.boxed())
    }

    async fn ack(&self, _: Cursor) -> Result<(), BrokerError> {
        Ok(())
    }
}

fn unused<T>() -> Result<T, PoolError> {
    Err(PoolError::Unavailable {
        why: "the door does not ask this".into(),
    })
}

#[async_trait]
impl Pool for Fake {
    async fn nodes(&self) -> Result<Vec<Arc<Node>>, PoolError> {
        Ok(vec![node()])
    }
    async fn tasks(&self, filter: TaskFilter) -> Result<TaskPage, PoolError> {
        let there = |t: &&Arc<Task>| filter.node.is_none() || t.status.node == filter.node;
        let tasks = self
            .0
            .lock()
            .unwrap()
            .tasks
            .values()
            .filter(there)
            .cloned()
            .collect();
        Ok(TaskPage { tasks, more: false })
    }
    async fn task(&self, _: TaskId) -> Result<Arc<Task>, PoolError> {
        unused()
    }
    async fn schedulers(&self) -> Result<Vec<SchedulerView>, PoolError> {
        let one = |id: &str, kind: &str| SchedulerView {
            id: SchedulerId::new(id).unwrap(),
            kind: kind.into(),
            connected: true,
            tasks: 0,
            pending: 0,
            held: Amounts::default(),
            asked: Amounts::default(),
        };
        Ok(vec![one("marathon", "marathon"), one("swarm", "swarm")])
    }
    async fn tenants(&self) -> Result<Vec<TenantUsage>, PoolError> {
        unused()
    }
    async fn set_tenant(&self, _: Tenant, _: &str) -> Result<(), PoolError> {
        unused()
    }
    async fn taint(&self, _: &NodeId, _: TaintChange, _: &str) -> Result<(), PoolError> {
        unused()
    }

    async fn set_scheduling(&self, _: &NodeId, _: Scheduling, _: &str) -> Result<(), PoolError> {
        unused()
    }
    async fn remove_node(&self, _: &NodeId, _: &str) -> Result<(), PoolError> {
        unused()
    }
    async fn stop_task(&self, _: TaskId, _: Option<u64>, _: &str) -> Result<(), PoolError> {
        unused()
    }
    async fn why(&self, id: TaskId) -> Result<Explanation, PoolError> {
        let task = self.0.lock().unwrap().tasks.get(&id).cloned();
        let Some(task) = task else { return unused() };
        let cause = Some(Cause::Short(Resource::Cpu));
        Ok(Explanation {
            why: task.status.why.clone(),
            task,
            nodes: vec![NodeVerdict {
                node: node_id(),
                cause,
                detail: String::new(),
            }],
            block: None,
            ahead: Ahead::default(),
            holders: Vec::new(),
            fix: None,
        })
    }
    async fn simulate(&self, _: Vec<Suppose>) -> Result<Simulation, PoolError> {
        unused()
    }
    async fn why_node(&self, _: &NodeId) -> Result<NodeExplanation, PoolError> {
        unused()
    }
    async fn why_tenant(&self, _: &TenantPath) -> Result<TenantExplanation, PoolError> {
        unused()
    }
    async fn events(
        &self,
        _: Option<Cursor>,
    ) -> Result<BoxStream<'static, Result<Vec<Event>, PoolError>>, PoolError> {
        unused()
    }
}
