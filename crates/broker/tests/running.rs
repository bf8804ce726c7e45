//! The broker as a running thing, on a log in memory that fails when told to.

use crate::world::{batch, facts, node_id, seats, task_id, terms};
use futures::{StreamExt, stream};
use plenum_broker::{BrokerConfig, BrokerHandle, start};
use plenum_contract::broker::{
    Broker, BrokerError, Hello, Session, WatchBatch, WatchEvent, WatchPart, WatchStream,
};
use plenum_contract::dispatcher::{
    AgentHello, AgentMessage, BrokerMessage, BrokerStream, DispatchError, Dispatcher,
};
use plenum_contract::pool::{Pool, PoolError, TaskFilter};
use plenum_contract::state_store::StateStore;
use plenum_model::ids::{Cursor, Incarnation, LeaderEpoch, SchedulerId, Seq, TaskId};
use plenum_model::node::Scheduling;
use plenum_model::phase::{Phase, Progress};
use plenum_model::task::Observation;
use plenum_store::{Fault, MemoryLog, MemoryState};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// Far more than anything here takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn broker(log: &MemoryLog) -> BrokerHandle {
    let config = BrokerConfig {
        tick_ms: 20,
        stream_timeout_ms: 300,
        ..BrokerConfig::default()
    };
    start(config, Box::new(log.clone()), state()).unwrap()
}

/// An empty state store.
pub(crate) fn state() -> Arc<dyn StateStore> {
    Arc::new(MemoryState::new())
}

pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what)
        .await
        .expect("it happens soon")
}

pub(crate) async fn session(broker: &BrokerHandle, name: &str) -> Arc<dyn Session> {
    let scheduler = SchedulerId::new(name).unwrap();
    let hello = Hello {
        scheduler,
        kind: "test".into(),
        api: (1, 1),
        watch_nodes: false,
    };
    soon(Broker::open(broker, hello)).await.unwrap()
}

/// An agent of which the test plays the part.
pub(crate) struct Agent {
    pub(crate) up: mpsc::Sender<AgentMessage>,
    pub(crate) down: BrokerStream,
}

impl Agent {
    pub(crate) async fn attach(broker: &BrokerHandle, name: &str) -> Self {
        let (up, rx) = mpsc::channel(16);
        let hello = AgentHello {
            facts: facts(name, 4_000, 4_000),
            epoch: LeaderEpoch(0),
            api: (1, 1),
        };
        let down = soon(broker.attach(hello, ReceiverStream::new(rx).boxed()))
            .await
            .unwrap();
        Self { up, down }
    }

    pub(crate) async fn next(&mut self) -> Result<BrokerMessage, DispatchError> {
        soon(self.down.next()).await.expect("the stream goes on")
    }

    /// Reads until an assignment of this task comes.
    async fn assigned(&mut self, id: TaskId) {
        loop {
            if let BrokerMessage::Assignments(a) = self.next().await.unwrap()
                && a.assign.iter().any(|a| a.seat.id == id)
            {
                return;
            }
        }
    }

    pub(crate) async fn sees(&self, id: TaskId, seq: u64, phase: Phase) {
        let seen = Observation {
            task: id,
            seq: Seq(seq),
            progress: Progress {
                incarnation: Incarnation(0),
                phase,
            },
            ready: None,
            address: None,
            exit: None,
            message: String::new(),
            at: 1,
            containers: Vec::new(),
            checks: Vec::new(),
        };
        self.up.send(AgentMessage::Observed(vec![seen])).await.unwrap();
    }
}

/// Reads a watch until a task is at this phase; gives the cursor reached.
async fn watch_until(watch: &mut WatchStream, id: TaskId, phase: Phase) -> Cursor {
    loop {
        let batch = soon(watch.next()).await.expect("the watch goes on").unwrap();
        let there = batch.events.iter().any(|event| match event {
            WatchEvent::Task(task) => task.id() == id && task.status.phase() == phase,
            _ => false,
        });
        if there {
            return batch.cursor;
        }
    }
}

fn ids(batch: &WatchBatch) -> BTreeSet<TaskId> {
    let id = |event: &WatchEvent| match event {
        WatchEvent::Task(task) => Some(task.id()),
        _ => None,
    };
    batch.events.iter().filter_map(id).collect()
}

fn web(slot: u64) -> TaskId {
    task_id("web", "a", slot, 1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_goes_round_the_ring_and_comes_back_as_news() {
    let broker = broker(&MemoryLog::new());
    let mut agent = Agent::attach(&broker, "n1").await;
    assert!(matches!(
        agent.next().await.unwrap(),
        BrokerMessage::Welcome {
            epoch: LeaderEpoch(1),
            ..
        }
    ));
    let BrokerMessage::Assignments(full) = agent.next().await.unwrap() else {
        panic!()
    };
    assert!(full.full && full.assign.is_empty());

    let session = session(&broker, "web").await;
    let mut watch = session.watch(None).await.unwrap();
    let first = soon(watch.next()).await.unwrap().unwrap();
    assert_eq!((first.part, first.events.len()), (WatchPart::SnapshotEnd, 0));
    let claimed = session
        .claim(batch(terms("a", 1_000, 100), seats("web", "a", 0..2)))
        .await
        .unwrap();
    assert!(claimed.refused.is_empty() && claimed.known.is_empty());

    let BrokerMessage::Assignments(delta) = agent.next().await.unwrap() else {
        panic!()
    };
    assert_eq!((delta.full, delta.assign.len(), delta.specs.len()), (false, 2, 1));
    assert_eq!(delta.epoch, LeaderEpoch(1));
    agent.sees(web(0), 1, Phase::Running).await;
    agent.sees(web(0), 2, Phase::Finished).await;
    loop {
        match agent.next().await.unwrap() {
            BrokerMessage::Acked(Seq(2)) => break,
            BrokerMessage::Acked(_) => {}
            other => panic!("{other:?}"),
        }
    }
    let cursor = watch_until(&mut watch, web(0), Phase::Finished).await;
    session.ack(cursor).await.unwrap();
    assert!(session.forget(vec![web(0)]).await.unwrap().is_empty());
    let BrokerMessage::Assignments(delta) = agent.next().await.unwrap() else {
        panic!()
    };
    assert_eq!(delta.remove, [web(0)]);
    let gone = soon(watch.next()).await.unwrap().unwrap();
    assert_eq!(gone.events, [WatchEvent::Forgotten(web(0))]);
    assert!(matches!(
        broker.task(web(0)).await,
        Err(PoolError::NotFound { .. })
    ));
    let stats = broker.stats();
    assert_eq!(
        (stats.claims, stats.placements, stats.tasks, stats.nodes),
        (2, 2, 1, 1)
    );
    soon(broker.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_the_brokers_death_and_a_watch_goes_on_from_its_cursor() {
    let log = MemoryLog::new();
    let first = broker(&log);
    let mut agent = Agent::attach(&first, "n1").await;
    let old = session(&first, "web").await;
    old.claim(batch(terms("a", 1_000, 100), seats("web", "a", 0..3)))
        .await
        .unwrap();
    let mut watch = old.watch(None).await.unwrap();
    let cursor = watch_until(&mut watch, web(2), Phase::Placed).await;
    agent.assigned(web(0)).await;
    drop((first, old, watch, agent));

    let second = broker(&log);
    let tasks = second.tasks(TaskFilter::default()).await.unwrap().tasks;
    assert_eq!(tasks.len(), 3);
    let new = session(&second, "web").await;
    assert_eq!(new.epoch().0, 2);
    let claimed = new
        .claim(batch(terms("a", 1_000, 100), seats("web", "a", 0..4)))
        .await
        .unwrap();
    assert_eq!(claimed.known.len(), 3, "they are the same claims");
    let mut watch = new.watch(Some(cursor)).await.unwrap();
    let news = soon(watch.next()).await.unwrap().unwrap();
    assert_eq!(
        (news.part, ids(&news)),
        (WatchPart::Delta, BTreeSet::from([web(3)]))
    );
    // A cursor that never was gets the snapshot.
    let mut watch = new.watch(Some(Cursor(1 << 40))).await.unwrap();
    let news = soon(watch.next()).await.unwrap().unwrap();
    assert_eq!((news.part, ids(&news).len()), (WatchPart::SnapshotEnd, 4));
    let mut agent = Agent::attach(&second, "n1").await;
    assert!(matches!(
        agent.next().await.unwrap(),
        BrokerMessage::Welcome {
            epoch: LeaderEpoch(2),
            ..
        }
    ));
    let BrokerMessage::Assignments(full) = agent.next().await.unwrap() else {
        panic!()
    };
    assert_eq!((full.full, full.assign.len(), full.specs.len()), (true, 4, 1));
    soon(second.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_writes_whole_while_reads_go_on() {
    let log = MemoryLog::new();
    let broker = broker(&log);
    let mut agent = Agent::attach(&broker, "n1").await;
    let session = session(&broker, "web").await;
    session
        .claim(batch(terms("a", 1_000, 100), seats("web", "a", 0..1)))
        .await
        .unwrap();
    // The claim, and the first attempt to go on after it.
    log.fail_next(Fault::Full);
    log.fail_next(Fault::Full);
    let refused = session
        .claim(batch(terms("a", 1_000, 100), seats("web", "a", 1..2)))
        .await;
    assert!(matches!(refused, Err(BrokerError::Full)), "{refused:?}");
    assert_eq!(broker.tasks(TaskFilter::default()).await.unwrap().tasks.len(), 1);
    let mut watch = session.watch(None).await.unwrap();
    let news = soon(watch.next()).await.unwrap().unwrap();
    assert_eq!(ids(&news), BTreeSet::from([web(0)]));
    // Agents attach again, so that nothing they saw stays with the core that was dropped.
    loop {
        if let Err(why) = agent.next().await {
            assert!(matches!(why, DispatchError::Unavailable { .. }), "{why}");
            break;
        }
    }
    // There is room again: the same session goes on.
    let again = soon(async {
        loop {
            match session
                .claim(batch(terms("a", 1_000, 100), seats("web", "a", 1..2)))
                .await
            {
                Err(BrokerError::Full | BrokerError::Unavailable { .. }) => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                other => break other,
            }
        }
    })
    .await;
    assert!(
        again.unwrap().known.is_empty(),
        "what was refused had not happened"
    );
    watch_until(&mut watch, web(1), Phase::Placed).await;
    assert_eq!(broker.stats().failed_commits, 1);
    soon(broker.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_whose_answer_was_lost_is_shown_once_the_log_says_it_is_there() {
    let log = MemoryLog::new();
    let broker = broker(&log);
    let _agent = Agent::attach(&broker, "n1").await;
    let session = session(&broker, "web").await;
    let mut watch = session.watch(None).await.unwrap();
    log.fail_next(Fault::AnswerLost);
    let refused = session
        .claim(batch(terms("a", 1_000, 100), seats("web", "a", 0..1)))
        .await;
    assert!(
        matches!(refused, Err(BrokerError::Unavailable { .. })),
        "{refused:?}"
    );
    watch_until(&mut watch, web(0), Phase::Placed).await;
    let claimed = session
        .claim(batch(terms("a", 1_000, 100), seats("web", "a", 0..1)))
        .await
        .unwrap();
    assert_eq!(claimed.known, [web(0)], "repeating it is safe");
    soon(broker.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_agent_saw_is_acknowledged_only_when_it_is_durable() {
    let log = MemoryLog::new();
    let broker = broker(&log);
    let mut agent = Agent::attach(&broker, "n1").await;
    let session = session(&broker, "web").await;
    session
        .claim(batch(terms("a", 1_000, 100), seats("web", "a", 0..1)))
        .await
        .unwrap();
    agent.assigned(web(0)).await;
    log.fail_next(Fault::Io);
    agent.sees(web(0), 1, Phase::Running).await;
    loop {
        match agent.next().await {
            Ok(BrokerMessage::Acked(seq)) => panic!("{seq} was acknowledged and is not durable"),
            Ok(_) => {}
            Err(_) => break,
        }
    }
    assert_eq!(broker.task(web(0)).await.unwrap().status.phase(), Phase::Placed);
    // It comes again, with what was never acknowledged.
    let mut agent = soon(async {
        loop {
            let hello = AgentHello {
                facts: facts("n1", 4_000, 4_000),
                epoch: LeaderEpoch(1),
                api: (1, 1),
            };
            let (up, rx) = mpsc::channel(16);
            match broker.attach(hello, ReceiverStream::new(rx).boxed()).await {
                Ok(down) => break Agent { up, down },
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    })
    .await;
    agent.sees(web(0), 1, Phase::Running).await;
    while !matches!(agent.next().await.unwrap(), BrokerMessage::Acked(Seq(1))) {}
    assert_eq!(broker.task(web(0)).await.unwrap().status.phase(), Phase::Running);
    soon(broker.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_session_lives_and_the_next_waits_for_its_end() {
    let broker = broker(&MemoryLog::new());
    let first = session(&broker, "web").await;
    let mut watch = first.watch(None).await.unwrap();
    soon(watch.next()).await.unwrap().unwrap();
    let waiting = tokio::spawn({
        let broker = broker.clone();
        async move { session(&broker, "web").await }
    });
    // Another scheduler does not wait.
    session(&broker, "other").await;
    assert!(!waiting.is_finished());
    assert!(
        broker
            .schedulers()
            .await
            .unwrap()
            .iter()
            .any(|s| s.id.as_str() == "web" && s.connected)
    );
    drop(first);
    let second = soon(waiting).await.unwrap();
    assert_eq!(second.epoch().0, 2);
    assert!(
        soon(watch.next()).await.is_none(),
        "the watch of a session ends with it"
    );
    // A second watch ends the first.
    let mut one = second.watch(None).await.unwrap();
    soon(one.next()).await.unwrap().unwrap();
    let _two = second.watch(None).await.unwrap();
    assert!(soon(one.next()).await.is_none());
    let hello = Hello {
        scheduler: SchedulerId::new("new").unwrap(),
        kind: "test".into(),
        api: (9, 9),
        watch_nodes: false,
    };
    assert!(matches!(
        Broker::open(&broker, hello).await,
        Err(BrokerError::Refused { .. })
    ));
    soon(broker.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_attachment_of_a_node_ends_the_first() {
    let broker = broker(&MemoryLog::new());
    let mut first = Agent::attach(&broker, "n1").await;
    let mut second = Agent::attach(&broker, "n1").await;
    loop {
        if let Err(why) = first.next().await {
            assert!(matches!(why, DispatchError::Replaced { .. }), "{why}");
            break;
        }
    }
    assert!(broker.is_attached(&node_id("n1")));
    assert!(matches!(
        second.next().await.unwrap(),
        BrokerMessage::Welcome { .. }
    ));
    let newer = AgentHello {
        facts: facts("n2", 1, 1),
        epoch: LeaderEpoch(7),
        api: (1, 1),
    };
    let refused = broker.attach(newer, stream::pending().boxed()).await;
    assert!(
        matches!(refused, Err(DispatchError::Refused { .. })),
        "it has obeyed a newer leader"
    );
    soon(broker.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_snapshot_comes_in_pages_and_leaves_nobody_out() {
    let broker = broker(&MemoryLog::new());
    let session = session(&broker, "web").await;
    session
        .claim(batch(terms("a", 1_000, 100), seats("web", "a", 0..2_500)))
        .await
        .unwrap();
    let mut watch = session.watch(None).await.unwrap();
    let mut seen = BTreeSet::new();
    let mut pages = 0;
    loop {
        let batch = soon(watch.next()).await.unwrap().unwrap();
        pages += 1;
        seen.extend(ids(&batch));
        if batch.part == WatchPart::SnapshotEnd {
            break;
        }
        assert_eq!(batch.part, WatchPart::Snapshot);
        if pages == 1 {
            // What changes meanwhile is in it as well.
            session.release(vec![web(0)], None).await.unwrap();
        }
    }
    assert_eq!((seen.len(), pages), (2_500, 3));
    let page = broker
        .tasks(TaskFilter {
            limit: 1_000,
            ..TaskFilter::default()
        })
        .await
        .unwrap();
    assert_eq!((page.tasks.len(), page.more), (1_000, true));
    soon(broker.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_replaced_by_a_snapshot_and_reads_back_the_same() {
    let log = MemoryLog::new();
    let config = BrokerConfig {
        snapshot_bytes: 20_000,
        ..BrokerConfig::default()
    };
    let first = start(config, Box::new(log.clone()), state()).unwrap();
    let web = session(&first, "web").await;
    for slot in 0..40 {
        web.claim(batch(
            terms("a", 1_000, 100),
            seats("web", "a", slot * 10..slot * 10 + 10),
        ))
        .await
        .unwrap();
    }
    soon(first.stop()).await;
    assert!(first.stats().snapshots >= 1, "{:?}", first.stats());
    assert!(log.durable().snapshot.is_some());
    let second = broker(&log);
    assert_eq!(
        second.tasks(TaskFilter::default()).await.unwrap().tasks.len(),
        400
    );
    soon(second.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_broker_answers_what_it_took_and_refuses_the_rest() {
    let log = MemoryLog::new();
    let broker = broker(&log);
    let session = session(&broker, "web").await;
    let mut agent = Agent::attach(&broker, "n1").await;
    broker
        .set_scheduling(&node_id("n1"), Scheduling::Cordoned, "alice")
        .await
        .unwrap();
    soon(broker.stop()).await;
    soon(broker.stop()).await;
    let refused = session
        .claim(batch(terms("a", 1, 1), seats("web", "a", 0..1)))
        .await;
    assert!(
        matches!(refused, Err(BrokerError::Unavailable { .. })),
        "{refused:?}"
    );
    assert_eq!(
        broker.nodes().await.unwrap()[0].scheduling,
        Scheduling::Cordoned,
        "reads go on"
    );
    while agent.next().await.is_ok() {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_timeline_is_told_as_it_goes_and_says_when_it_goes_back_too_far() {
    let log = MemoryLog::new();
    let config = BrokerConfig {
        events_kept: 5,
        ..BrokerConfig::default()
    };
    let broker = start(config, Box::new(log.clone()), state()).unwrap();
    let mut events = broker.events(None).await.unwrap();
    let _agent = Agent::attach(&broker, "n1").await;
    let news = soon(events.next()).await.unwrap().unwrap();
    assert_eq!(
        (news[0].kind.as_str(), news[0].object.as_str()),
        ("node.joined", "n1")
    );
    for to in [
        Scheduling::Cordoned,
        Scheduling::Open,
        Scheduling::Cordoned,
        Scheduling::Open,
    ] {
        broker.set_scheduling(&node_id("n1"), to, "alice").await.unwrap();
    }
    broker
        .set_scheduling(&node_id("n1"), Scheduling::Cordoned, "alice")
        .await
        .unwrap();
    assert!(matches!(
        broker.events(Some(Cursor(0))).await,
        Err(PoolError::Compacted { .. })
    ));
    let missing = broker
        .set_scheduling(&node_id("n9"), Scheduling::Open, "alice")
        .await;
    assert!(matches!(missing, Err(PoolError::NotFound { .. })));
    soon(broker.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_broker_keeps_its_contract_in_process() {
    use plenum_contract::suite::broker::{Parts, broker_suite};
    soon(broker_suite(async || {
        let broker = Arc::new(broker(&MemoryLog::new()));
        Parts {
            broker: broker.clone(),
            dispatcher: broker.clone(),
            pool: broker,
        }
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_whose_node_makes_no_sense_is_told_so() {
    let broker = broker(&MemoryLog::new());
    let mut agent = Agent::attach(&broker, "n1").await;
    let mut absurd = facts("n1", 1, 1);
    absurd.capacity.memory_bytes = u64::MAX;
    agent
        .up
        .send(AgentMessage::Facts(Box::new(absurd)))
        .await
        .unwrap();
    loop {
        if let Err(why) = agent.next().await {
            assert!(matches!(why, DispatchError::Refused { .. }), "{why}");
            break;
        }
    }
    soon(broker.stop()).await;
}
