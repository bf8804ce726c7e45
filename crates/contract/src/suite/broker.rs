//! What every `Broker` must do, in process or at the other end of a wire, with `Dispatcher` and `Pool` beside
//! it: the suite plays a scheduler, an agent and an operator against the same pool.

use crate::broker::{Broker, Hello, RefusalReason, Session, WatchEvent, WatchPart, WatchStream};
use crate::dispatcher::{AgentHello, AgentMessage, Assignment, BrokerMessage, BrokerStream, Dispatcher};
use crate::pool::{Pool, PoolError, TaskFilter};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use plenum_model::amounts::Amounts;
use plenum_model::claim::{ClaimBatch, ClaimGroup, Desired, LostAfter, Priority, Seat, Terms, Workload};
use plenum_model::ids::{Cursor, Incarnation, LeaderEpoch, NodeId, SchedulerId, Seq, TaskId, TenantPath};
use plenum_model::node::{Liveness, NodeFacts, PortRange, RuntimeFacts};
use plenum_model::phase::{Phase, Progress};
use plenum_model::rules::Rules;
use plenum_model::spec::{ContainerSpec, TaskSpec};
use plenum_model::task::{Exit, ExitReason, Observation, Task};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// The contracts of one empty pool.
pub struct Parts {
    /// For the scheduler.
    pub broker: Arc<dyn Broker>,
    /// For the agent.
    pub dispatcher: Arc<dyn Dispatcher>,
    /// For the operator.
    pub pool: Arc<dyn Pool>,
}

/// Runs everything, each part on a pool of its own. Panics at the first promise that does not hold.
pub async fn broker_suite<F: Future<Output = Parts>>(make: impl Fn() -> F) {
    a_task_goes_round_the_ring(&make().await).await;
    a_claim_is_idempotent_by_its_id(&make().await).await;
    what_waits_says_why_and_is_placed_when_a_node_joins(&make().await).await;
    a_watch_goes_on_from_its_cursor(&make().await).await;
    a_stand_by_takes_over_when_the_session_ends(&make().await).await;
    what_was_forgotten_is_never_claimed_again(&make().await).await;
}

fn id(slot: u64, attempt: u32) -> TaskId {
    TaskId::derive(&scheduler(), "suite", slot, attempt)
}

fn scheduler() -> SchedulerId {
    SchedulerId::new("suite").expect("a good name")
}

fn spec() -> TaskSpec {
    let container = ContainerSpec {
        name: "main".into(),
        runtime: "process".into(),
        args: Some(vec!["true".into()]),
        ..ContainerSpec::default()
    };
    TaskSpec {
        containers: vec![container],
        ..TaskSpec::default()
    }
}

fn batch(cpu_millis: u64, seats: impl IntoIterator<Item = TaskId>) -> ClaimBatch {
    let spec = spec();
    let terms = Terms {
        workload: Workload {
            uid: "suite".into(),
            name: "/suite".into(),
            kind: "app".into(),
            version: "1".into(),
        },
        tenant: TenantPath::new("default").expect("a good path"),
        charge: Amounts::task(cpu_millis, 1 << 20, 0),
        devices: BTreeMap::new(),
        ports: Vec::new(),
        spec: spec.id(),
        labels: BTreeMap::new(),
        desired: Desired::Running,
        rules: Rules::default(),
        lost_after: LostAfter::default(),
        priority: Priority::default(),
        may_preempt: false,
        budget: None,
        files: Vec::new(),
        keep_ended: 0,
    };
    let seats = seats
        .into_iter()
        .enumerate()
        .map(|(i, id)| Seat::new(id, format!("suite.{i}"), i as u64));
    let group = ClaimGroup {
        terms: Arc::new(terms),
        seats: seats.collect(),
    };
    ClaimBatch {
        specs: vec![Arc::new(spec)],
        groups: vec![group],
        all_or_nothing: false,
    }
}

async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(30), work).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: nothing for half a minute"),
    }
}

async fn open(parts: &Parts) -> Arc<dyn Session> {
    let hello = Hello {
        scheduler: scheduler(),
        kind: "suite".into(),
        api: (1, 1),
        watch_nodes: false,
    };
    soon("open", parts.broker.open(hello)).await.expect("open")
}

/// What a scheduler hears, one task at a time.
struct Watch {
    stream: WatchStream,
    cursor: Cursor,
    tasks: BTreeMap<TaskId, Arc<Task>>,
}

impl Watch {
    async fn start(session: &Arc<dyn Session>, from: Option<Cursor>) -> Self {
        let stream = session.watch(from).await.expect("watch");
        Self {
            stream,
            cursor: Cursor(0),
            tasks: BTreeMap::new(),
        }
    }

    async fn next(&mut self) -> WatchPart {
        let batch = soon("watch", self.stream.next())
            .await
            .expect("a watch lives")
            .expect("watch");
        self.cursor = batch.cursor;
        for event in batch.events {
            match event {
                WatchEvent::Task(task) => {
                    self.tasks.insert(task.id(), task);
                }
                WatchEvent::Forgotten(id) => {
                    self.tasks.remove(&id);
                }
                WatchEvent::Nominated { .. } | WatchEvent::Preempting { .. } | WatchEvent::Node(_) => {}
            }
        }
        batch.part
    }

    async fn until(&mut self, what: &str, check: impl Fn(&BTreeMap<TaskId, Arc<Task>>) -> bool) {
        let wait = async {
            while !check(&self.tasks) {
                self.next().await;
            }
        };
        soon(what, wait).await;
    }

    async fn phase(&mut self, id: TaskId, phase: Phase) {
        let is =
            |tasks: &BTreeMap<TaskId, Arc<Task>>| tasks.get(&id).is_some_and(|t| t.status.phase() == phase);
        self.until(phase.as_str(), is).await;
    }
}

/// The agent of one node, by hand.
struct Node {
    up: mpsc::Sender<AgentMessage>,
    down: BrokerStream,
    seq: u64,
}

impl Node {
    async fn join(parts: &Parts, cpu_millis: u64) -> Self {
        let (up, messages) = mpsc::channel(16);
        let hello = AgentHello {
            facts: facts(cpu_millis),
            epoch: LeaderEpoch(0),
            api: (1, 1),
        };
        let messages: BoxStream<'static, _> =
            futures::stream::unfold(messages, |mut rx| async { rx.recv().await.map(|m| (m, rx)) }).boxed();
        let down = soon("attach", parts.dispatcher.attach(hello, messages))
            .await
            .expect("attach");
        let mut node = Self { up, down, seq: 0 };
        assert!(
            matches!(node.next().await, BrokerMessage::Welcome { .. }),
            "the welcome comes first"
        );
        node
    }

    async fn next(&mut self) -> BrokerMessage {
        soon("assignments", self.down.next())
            .await
            .expect("an attachment lives")
            .expect("attachment")
    }

    /// Waits for an assignment of `task` for which `check` holds.
    async fn assigned(&mut self, task: TaskId, check: impl Fn(&Assignment) -> bool) -> Assignment {
        loop {
            if let BrokerMessage::Assignments(all) = self.next().await
                && let Some(found) = all.assign.into_iter().find(|a| a.seat.id == task && check(a))
            {
                return found;
            }
        }
    }

    async fn report(&mut self, task: TaskId, phase: Phase, exit: Option<Exit>) {
        self.seq += 1;
        let seen = Observation {
            task,
            seq: Seq(self.seq),
            progress: Progress {
                incarnation: Incarnation(0),
                phase,
            },
            ready: None,
            address: None,
            exit,
            message: String::new(),
            at: 1_000 + self.seq,
            containers: Vec::new(),
            checks: Vec::new(),
        };
        self.up
            .send(AgentMessage::Observed(vec![seen]))
            .await
            .expect("the attachment lives");
        let wanted = Seq(self.seq);
        loop {
            if let BrokerMessage::Acked(seq) = self.next().await
                && seq >= wanted
            {
                return;
            }
        }
    }
}

fn facts(cpu_millis: u64) -> NodeFacts {
    NodeFacts {
        id: NodeId::new("suite-node").expect("a good name"),
        hostname: "suite-node".into(),
        address: "127.0.0.1".into(),
        capacity: Amounts {
            cpu_millis,
            memory_bytes: 1 << 30,
            disk_bytes: 1 << 30,
            slots: 100,
            ..Amounts::default()
        },
        system: Amounts::default(),
        devices: BTreeMap::new(),
        attributes: BTreeMap::new(),
        runtimes: BTreeMap::from([("process".to_owned(), RuntimeFacts::default())]),
        ports: PortRange {
            low: 20_000,
            high: 20_100,
        },
        agent_version: "suite".into(),
        taints: Vec::new(),
    }
}

fn exited() -> Exit {
    Exit {
        code: Some(0),
        signal: None,
        reason: ExitReason::Exited,
        message: String::new(),
    }
}

async fn a_task_goes_round_the_ring(parts: &Parts) {
    let mut node = Node::join(parts, 1_000).await;
    let session = open(parts).await;
    let mut watch = Watch::start(&session, None).await;
    let task = id(0, 1);
    let claimed = session.claim(batch(500, [task])).await.expect("claim");
    assert_eq!((claimed.known.len(), claimed.refused), (0, Vec::new()));
    let assignment = node.assigned(task, |_| true).await;
    assert_eq!(
        (assignment.seat.name.as_str(), assignment.desired),
        ("suite.0", Desired::Running)
    );
    watch.phase(task, Phase::Placed).await;
    node.report(task, Phase::Running, None).await;
    watch.phase(task, Phase::Running).await;
    let held = parts.pool.nodes().await.expect("nodes")[0].free().cpu_millis;
    assert_eq!(held, 500, "the ledger holds what was charged");

    session.release(vec![task], Some(0)).await.expect("release");
    node.assigned(task, |a| {
        a.desired == Desired::Stopped && a.generation > assignment.generation
    })
    .await;
    node.report(task, Phase::Stopped, Some(exited())).await;
    watch.phase(task, Phase::Stopped).await;
    assert_eq!(
        parts.pool.nodes().await.expect("nodes")[0].free().cpu_millis,
        1_000,
        "the room is free again"
    );
    assert_eq!(session.forget(vec![task]).await.expect("forget"), Vec::new());
    watch.until("forgotten", |tasks| tasks.is_empty()).await;
    assert!(matches!(
        parts.pool.task(task).await,
        Err(PoolError::NotFound { .. })
    ));
}

async fn a_claim_is_idempotent_by_its_id(parts: &Parts) {
    let session = open(parts).await;
    session.claim(batch(100, [id(0, 1)])).await.expect("claim");
    let again = session
        .claim(batch(100, [id(0, 1), id(1, 1)]))
        .await
        .expect("claim again");
    // The slot is part of the content: the batch numbers its seats from 0 both times.
    assert_eq!((again.known, again.refused), (vec![id(0, 1)], Vec::new()));
    let other = session
        .claim(batch(200, [id(0, 1)]))
        .await
        .expect("claim with other content");
    assert_eq!(
        other.refused.iter().map(|r| r.reason).collect::<Vec<_>>(),
        vec![RefusalReason::Conflict]
    );
    let all = parts
        .pool
        .tasks(TaskFilter {
            ended: true,
            ..TaskFilter::default()
        })
        .await
        .expect("tasks");
    assert_eq!(all.tasks.len(), 2);
}

async fn what_waits_says_why_and_is_placed_when_a_node_joins(parts: &Parts) {
    let session = open(parts).await;
    let mut watch = Watch::start(&session, None).await;
    session.claim(batch(100, [id(0, 1)])).await.expect("claim");
    watch
        .until("a reason", |t| {
            t.get(&id(0, 1)).is_some_and(|t| t.status.why.is_some())
        })
        .await;
    let explained = parts.pool.why(id(0, 1)).await.expect("why");
    assert_eq!(explained.why.map(|w| w.nodes), Some(0));
    let mut node = Node::join(parts, 1_000).await;
    node.assigned(id(0, 1), |_| true).await;
    watch.phase(id(0, 1), Phase::Placed).await;
    let nodes = parts.pool.nodes().await.expect("nodes");
    assert_eq!((nodes.len(), nodes[0].liveness), (1, Liveness::Ready));
}

async fn a_watch_goes_on_from_its_cursor(parts: &Parts) {
    let session = open(parts).await;
    session.claim(batch(100, [id(0, 1)])).await.expect("claim");
    let mut watch = Watch::start(&session, None).await;
    while watch.next().await != WatchPart::SnapshotEnd {}
    assert_eq!(watch.tasks.len(), 1, "the snapshot has what was claimed before");
    let cursor = watch.cursor;
    session.ack(cursor).await.expect("ack");
    drop(watch);
    session
        .claim(batch(100, [id(0, 1), id(1, 1)]))
        .await
        .expect("claim");
    let mut later = Watch::start(&session, Some(cursor)).await;
    later
        .until("the second task", |t| t.contains_key(&id(1, 1)))
        .await;
}

async fn a_stand_by_takes_over_when_the_session_ends(parts: &Parts) {
    let first = open(parts).await;
    let mut second = Box::pin(open(parts));
    let waits = tokio::time::timeout(Duration::from_millis(200), &mut second).await;
    assert!(waits.is_err(), "a second session waits while the first lives");
    let epoch = first.epoch();
    drop(first);
    let second = second.await;
    assert!(second.epoch() > epoch, "the next epoch");
    second
        .claim(batch(100, [id(0, 1)]))
        .await
        .expect("the new session is the live one");
}

async fn what_was_forgotten_is_never_claimed_again(parts: &Parts) {
    let session = open(parts).await;
    session.claim(batch(100, [id(0, 2)])).await.expect("claim");
    session
        .release(vec![id(0, 2)], None)
        .await
        .expect("release of what waits");
    let mut watch = Watch::start(&session, None).await;
    watch.phase(id(0, 2), Phase::Stopped).await;
    assert_eq!(session.forget(vec![id(0, 2)]).await.expect("forget"), Vec::new());
    for attempt in [1, 2] {
        let again = session.claim(batch(100, [id(0, attempt)])).await.expect("claim");
        assert_eq!(
            again.refused.iter().map(|r| r.reason).collect::<Vec<_>>(),
            vec![RefusalReason::Conflict]
        );
    }
    let next = session.claim(batch(100, [id(0, 3)])).await.expect("claim");
    assert_eq!(next.refused, Vec::new());
    session
        .release(vec![id(9, 9)], None)
        .await
        .expect("an unknown id is no error");
}
