//! Every write of the log fails once, in every way it can: whoever asks again gets what was asked for, once.

use crate::running::{Agent, broker, soon};
use crate::world::{batch, seats, task_id, terms};
use plenum_broker::BrokerHandle;
use plenum_contract::broker::{BrokerError, Session};
use plenum_contract::dispatcher::{BrokerMessage, Dispatcher};
use plenum_contract::error::{Class, Classified};
use plenum_contract::pool::{Pool, TaskFilter};
use plenum_model::ids::{Seq, TaskId};
use plenum_model::phase::Phase;
use plenum_store::{Fault, MemoryLog};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Writes of the story below, at most: one per step, and some for what comes again after a fault.
const WRITES: u64 = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whichever_write_fails_and_however_the_story_ends_the_same() {
    for fault in [Fault::Full, Fault::Io, Fault::Torn, Fault::AnswerLost] {
        for write in 0..WRITES {
            let log = MemoryLog::new();
            let broker = broker(&log);
            soon(story(&broker, &log, fault, write)).await;
            assert_eq!(
                broker.stats().failed_commits,
                1,
                "{fault:?} at write {write} was met"
            );
            let told = phases(&broker).await;
            soon(broker.stop()).await;
            let again = crate::running::broker(&log);
            let kept = phases(&again).await;
            soon(again.stop()).await;
            assert_eq!(
                told, kept,
                "{fault:?} at write {write}: the log tells another story"
            );
            let expected = BTreeMap::from([(id(1), Phase::Running), (id(2), Phase::Stopped)]);
            assert_eq!(told, expected, "{fault:?} at write {write}");
        }
    }
}

fn id(slot: u64) -> TaskId {
    task_id("web", "a", slot, 1)
}

async fn phases(broker: &BrokerHandle) -> BTreeMap<TaskId, Phase> {
    let filter = TaskFilter {
        ended: true,
        ..TaskFilter::default()
    };
    let tasks = broker.tasks(filter).await.unwrap().tasks;
    tasks
        .iter()
        .map(|task| (task.id(), task.status.phase()))
        .collect()
}

/// Three tasks: one is seen to its end and forgotten, one runs, one is released and has stopped.
async fn story(broker: &BrokerHandle, log: &MemoryLog, fault: Fault, write: u64) {
    let armed = log.acknowledged() + write;
    let arm = || {
        if log.acknowledged() == armed {
            log.fail_next(fault);
        }
    };
    arm();
    let web = again(|| async { open(broker).await }).await;
    arm();
    sees(broker, &[]).await;
    for slot in 0..3 {
        arm();
        again(|| web.claim(batch(terms("a", 500, 10), seats("web", "a", slot..slot + 1)))).await;
    }
    for (slot, phase) in [
        (0, Phase::Running),
        (0, Phase::Finished),
        (1, Phase::Running),
        (2, Phase::Running),
    ] {
        arm();
        sees(broker, &[(id(slot), phase)]).await;
    }
    arm();
    again(|| web.forget(vec![id(0)])).await;
    arm();
    again(|| web.release(vec![id(2)], None)).await;
    arm();
    sees(broker, &[(id(2), Phase::Stopped)]).await;
}

async fn open(broker: &BrokerHandle) -> Result<Arc<dyn Session>, BrokerError> {
    let scheduler = "web".parse().unwrap();
    let hello = plenum_contract::broker::Hello {
        scheduler,
        kind: "test".into(),
        api: (1, 1),
        watch_nodes: false,
    };
    plenum_contract::broker::Broker::open(broker, hello).await
}

/// As its error says: asks again until it is done.
async fn again<T, F>(call: impl Fn() -> F) -> T
where
    F: Future<Output = Result<T, BrokerError>>,
{
    loop {
        match call().await {
            Ok(done) => return done,
            Err(error) => assert_eq!(error.class(), Class::Retry, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// An agent tells what it saw until that is acknowledged, attaching again as often as its attachment ends.
async fn sees(broker: &BrokerHandle, seen: &[(TaskId, Phase)]) {
    'attach: loop {
        let Some(mut agent) = attach(broker).await else {
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        };
        for (seq, (task, phase)) in (1..).zip(seen) {
            agent.sees(*task, seq, *phase).await;
        }
        let last = Seq(seen.len() as u64);
        while last > Seq(0) {
            match agent.next().await {
                Ok(BrokerMessage::Acked(seq)) if seq == last => break,
                Ok(_) => {}
                Err(_) => continue 'attach,
            }
        }
        return;
    }
}

async fn attach(broker: &BrokerHandle) -> Option<Agent> {
    use futures::StreamExt;
    let (up, rx) = tokio::sync::mpsc::channel(16);
    let hello = plenum_contract::dispatcher::AgentHello {
        facts: crate::world::facts("n1", 4_000, 4_000),
        epoch: plenum_model::ids::LeaderEpoch(0),
        api: (1, 1),
    };
    let down = broker
        .attach(hello, tokio_stream::wrappers::ReceiverStream::new(rx).boxed())
        .await
        .ok()?;
    Some(Agent { up, down })
}
