//! A broker that does what the claim's workload kind says, and remembers what it was told.

use crate::nouns::{node, node_id, task_id, tasks};
use async_trait::async_trait;
use futures::stream::{StreamExt, iter, pending, repeat_with};
use plenum_contract::broker::{
    Amend, Broker, BrokerError, Claimed, Hello, Refusal, RefusalReason, Session, WatchBatch, WatchEvent,
    WatchPart, WatchStream,
};
use plenum_model::claim::ClaimBatch;
use plenum_model::ids::{Cursor, SchedulerId, SessionEpoch, TaskId};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Heard {
    Hello(Hello),
    Claim(ClaimBatch),
    Amend(Vec<Amend>),
    Release(Vec<TaskId>, Option<u64>),
    Forget(Vec<TaskId>),
    Ack(Cursor),
}

/// What is counted: sessions asked for, live sessions, live watches, batches that watches gave.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) asked: u64,
    pub(crate) live: u64,
    pub(crate) watches: u64,
    pub(crate) batches: u64,
}

#[derive(Default)]
pub(crate) struct FakeBroker {
    heard: Arc<Mutex<Vec<Heard>>>,
    seats: Mutex<BTreeMap<SchedulerId, Arc<Semaphore>>>,
    epoch: AtomicU64,
    pub(crate) counts: watch::Sender<Counts>,
}

impl FakeBroker {
    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    /// Waits until the counts are as they should be.
    pub(crate) async fn until(&self, mut right: impl FnMut(&Counts) -> bool) {
        let mut counts = self.counts.subscribe();
        crate::wired::soon("the broker's count", counts.wait_for(|c| right(c)))
            .await
            .unwrap();
    }
}

#[async_trait]
impl Broker for FakeBroker {
    async fn open(&self, hello: Hello) -> Result<Arc<dyn Session>, BrokerError> {
        if hello.api.1 < 1 {
            let why = format!("speaks up to {}", hello.api.1);
            return Err(BrokerError::Refused {
                field: "api".into(),
                why,
            });
        }
        self.counts.send_modify(|c| c.asked += 1);
        let one = || Arc::new(Semaphore::new(1));
        let seat = Arc::clone(
            self.seats
                .lock()
                .unwrap()
                .entry(hello.scheduler.clone())
                .or_insert_with(one),
        );
        let seat = seat.acquire_owned().await.unwrap();
        self.heard.lock().unwrap().push(Heard::Hello(hello));
        self.counts.send_modify(|c| c.live += 1);
        Ok(Arc::new(FakeSession {
            epoch: SessionEpoch(self.epoch.fetch_add(1, Ordering::SeqCst) + 1),
            heard: Arc::clone(&self.heard),
            counts: self.counts.clone(),
            _seat: seat,
        }))
    }
}

struct FakeSession {
    epoch: SessionEpoch,
    heard: Arc<Mutex<Vec<Heard>>>,
    counts: watch::Sender<Counts>,
    _seat: OwnedSemaphorePermit,
}

impl Drop for FakeSession {
    fn drop(&mut self) {
        self.counts.send_modify(|c| c.live -= 1);
    }
}

impl FakeSession {
    fn hear(&self, heard: Heard) {
        self.heard.lock().unwrap().push(heard);
    }

    fn count(&self, events: WatchStream) -> WatchStream {
        struct Guard(watch::Sender<Counts>);
        impl Drop for Guard {
            fn drop(&mut self) {
                self.0.send_modify(|c| c.watches -= 1);
            }
        }
        self.counts.send_modify(|c| c.watches += 1);
        let guard = Guard(self.counts.clone());
        events
            .inspect(move |_| guard.0.send_modify(|c| c.batches += 1))
            .boxed()
    }
}

pub(crate) fn refusal(task: TaskId, reason: RefusalReason) -> Refusal {
    Refusal {
        task,
        reason,
        field: "terms.ports".into(),
        why: "because".into(),
    }
}

/// Every error that a broker has.
pub(crate) fn every_error() -> Vec<BrokerError> {
    let scheduler = SchedulerId::new("marathon").unwrap();
    vec![
        BrokerError::Fenced {
            scheduler,
            epoch: SessionEpoch(7),
        },
        BrokerError::Refused {
            field: "groups".into(),
            why: "none, ü".into(),
        },
        BrokerError::Overloaded { depth: 32 },
        BrokerError::Full,
        BrokerError::Unavailable {
            why: "starting".into(),
        },
    ]
}

pub(crate) fn snapshot(count: u64) -> WatchBatch {
    let events = tasks(count).into_iter().map(WatchEvent::Task).collect();
    WatchBatch {
        cursor: Cursor(1),
        part: WatchPart::Snapshot,
        events,
    }
}

pub(crate) fn news() -> Vec<WatchBatch> {
    let end = WatchBatch {
        cursor: Cursor(2),
        part: WatchPart::SnapshotEnd,
        events: Vec::new(),
    };
    let events = vec![
        WatchEvent::Forgotten(task_id(3)),
        WatchEvent::Nominated {
            task: task_id(4),
            node: node_id(9),
        },
        WatchEvent::Preempting {
            task: task_id(5),
            deadline: 99,
        },
        WatchEvent::Node(node(1)),
    ];
    vec![
        snapshot(10_000),
        end,
        WatchBatch {
            cursor: Cursor(3),
            part: WatchPart::Delta,
            events,
        },
    ]
}

/// The cursor from which a watch never ends.
pub(crate) const ENDLESS: Cursor = Cursor(1_000);
/// The cursor from which a watch fails after its first batch.
pub(crate) const FAILING: Cursor = Cursor(2_000);
/// The cursor from which a watch is not given.
pub(crate) const REFUSED: Cursor = Cursor(3_000);

#[async_trait]
impl Session for FakeSession {
    fn epoch(&self) -> SessionEpoch {
        self.epoch
    }

    async fn claim(&self, batch: ClaimBatch) -> Result<Claimed, BrokerError> {
        let kind = batch
            .groups
            .first()
            .map_or_else(String::new, |group| group.terms.workload.kind.clone());
        let (known, refused) = (
            vec![task_id(0)],
            vec![refusal(task_id(1), RefusalReason::Conflict)],
        );
        self.hear(Heard::Claim(batch));
        if kind == "never" {
            std::future::pending::<()>().await;
        }
        match kind.strip_prefix("error-") {
            Some(n) => Err(every_error().remove(n.parse().unwrap())),
            None => Ok(Claimed { known, refused }),
        }
    }

    async fn amend(&self, changes: Vec<Amend>) -> Result<Vec<Refusal>, BrokerError> {
        let refused = changes
            .iter()
            .map(|change| refusal(change.task, RefusalReason::Stale))
            .collect();
        self.hear(Heard::Amend(changes));
        Ok(refused)
    }

    async fn release(&self, ids: Vec<TaskId>, grace_ms: Option<u64>) -> Result<(), BrokerError> {
        self.hear(Heard::Release(ids, grace_ms));
        Ok(())
    }

    async fn forget(&self, ids: Vec<TaskId>) -> Result<Vec<Refusal>, BrokerError> {
        let refused = ids.iter().map(|id| refusal(*id, RefusalReason::State)).collect();
        self.hear(Heard::Forget(ids));
        Ok(refused)
    }

    async fn watch(&self, from: Option<Cursor>) -> Result<WatchStream, BrokerError> {
        let batch = || {
            Ok(WatchBatch {
                part: WatchPart::Delta,
                ..snapshot(100)
            })
        };
        let events = match from {
            Some(ENDLESS) => repeat_with(batch).boxed(),
            Some(FAILING) => iter([batch(), Err(every_error().remove(0))]).boxed(),
            Some(REFUSED) => return Err(every_error().remove(1)),
            Some(_) | None => iter(news()).map(Ok).chain(pending()).boxed(),
        };
        Ok(self.count(events))
    }

    async fn ack(&self, cursor: Cursor) -> Result<(), BrokerError> {
        self.hear(Heard::Ack(cursor));
        Ok(())
    }
}
