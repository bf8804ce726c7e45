//! The driver against a broker in memory that is cut, overloaded and remembers used attempts.

use super::{Driver, DriverConfig, DriverState};
use crate::observed::Observed;
use crate::plan::{Claim, Plan};
use crate::planner::{Change, Planner};
use crate::time::Moment;
use async_trait::async_trait;
use futures::StreamExt;
use parking_lot::Mutex;
use plenum_contract::broker::*;
use plenum_model::amounts::Amounts;
use plenum_model::claim::{ClaimBatch, Seat, Terms, Workload};
use plenum_model::ids::*;
use plenum_model::phase::Phase;
use plenum_model::spec::TaskSpec;
use plenum_model::task::{Status, Task};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

#[derive(Default)]
struct World {
    tasks: BTreeMap<TaskId, Arc<Task>>,
    highest: BTreeMap<SlotKey, u32>,
    specs: BTreeSet<SpecId>,
    watcher: Option<mpsc::UnboundedSender<Result<WatchBatch, BrokerError>>>,
    epoch: u64,
    cursor: u64,
    claims: usize,
    /// The next claim is done, but its answer is lost and the session with it.
    lose_answer: bool,
    /// So many claims are refused as too many at once.
    overloads: u32,
    acked: u64,
}

#[derive(Clone, Default)]
struct Fake(Arc<Mutex<World>>);

struct FakeSession(Fake, SessionEpoch);

impl Fake {
    fn change(&self, id: TaskId, change: impl FnOnce(&mut Task)) {
        let mut w = self.0.lock();
        let Some(task) = w.tasks.get(&id) else { return };
        let mut task = Task::clone(task);
        change(&mut task);
        let task = Arc::new(task);
        w.tasks.insert(id, Arc::clone(&task));
        w.tell(WatchEvent::Task(task));
    }

    fn run(&self) {
        let ids: Vec<TaskId> = self.0.lock().tasks.keys().copied().collect();
        for id in ids {
            self.change(id, |t| {
                if !t.status.phase().is_terminal() {
                    t.status.progress.phase = Phase::Running;
                }
            });
        }
    }

    fn cut(&self) {
        self.0.lock().watcher = None;
    }

    fn live(&self) -> usize {
        self.0
            .lock()
            .tasks
            .values()
            .filter(|t| !t.status.phase().is_terminal())
            .count()
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
}

#[async_trait]
impl Broker for Fake {
    async fn open(&self, hello: Hello) -> Result<Arc<dyn Session>, BrokerError> {
        assert_eq!(hello.kind, "test");
        let mut w = self.0.lock();
        w.epoch += 1;
        w.specs.clear();
        Ok(Arc::new(FakeSession(self.clone(), SessionEpoch(w.epoch))))
    }
}

#[async_trait]
impl Session for FakeSession {
    fn epoch(&self) -> SessionEpoch {
        self.1
    }

    async fn claim(&self, batch: ClaimBatch) -> Result<Claimed, BrokerError> {
        let mut w = self.0.0.lock();
        if w.overloads > 0 {
            w.overloads -= 1;
            return Err(BrokerError::Overloaded { depth: 1 });
        }
        w.specs.extend(batch.specs.iter().map(|s| s.id()));
        let mut out = Claimed::default();
        for group in batch.groups {
            assert!(
                w.specs.contains(&group.terms.spec),
                "a spec is sent before it is referred to"
            );
            for seat in group.seats {
                w.claims += 1;
                let highest = w.highest.get(&seat.id.slot_key()).copied();
                if w.tasks.contains_key(&seat.id) {
                    out.known.push(seat.id);
                } else if highest.is_some_and(|h| h >= seat.id.attempt()) {
                    let (field, why) = ("id".to_owned(), "used before".to_owned());
                    out.refused.push(Refusal {
                        task: seat.id,
                        reason: RefusalReason::Conflict,
                        field,
                        why,
                    });
                } else {
                    w.highest.insert(seat.id.slot_key(), seat.id.attempt());
                    let task = Arc::new(Task {
                        scheduler: SchedulerId::new("s").unwrap(),
                        seat: seat.clone(),
                        terms: Arc::clone(&group.terms),
                        generation: Generation(1),
                        desired: group.terms.desired,
                        released: false,
                        status: Status::pending(1),
                    });
                    w.tasks.insert(seat.id, Arc::clone(&task));
                    w.tell(WatchEvent::Task(task));
                }
            }
        }
        if std::mem::take(&mut w.lose_answer) {
            w.watcher = None;
            return Err(BrokerError::Unavailable { why: "cut".into() });
        }
        Ok(out)
    }

    async fn amend(&self, _: Vec<Amend>) -> Result<Vec<Refusal>, BrokerError> {
        Ok(Vec::new())
    }

    async fn release(&self, ids: Vec<TaskId>, _: Option<u64>) -> Result<(), BrokerError> {
        for id in ids {
            self.0.change(id, |t| {
                t.released = true;
                t.status.progress.phase = Phase::Stopped;
            });
        }
        Ok(())
    }

    async fn forget(&self, ids: Vec<TaskId>) -> Result<Vec<Refusal>, BrokerError> {
        let mut w = self.0.0.lock();
        for id in ids {
            w.tasks.remove(&id);
            w.tell(WatchEvent::Forgotten(id));
        }
        Ok(Vec::new())
    }

    async fn watch(&self, _: Option<Cursor>) -> Result<WatchStream, BrokerError> {
        let mut w = self.0.0.lock();
        let (tx, rx) = mpsc::unbounded_channel();
        let events = w.tasks.values().cloned().map(WatchEvent::Task).collect();
        let cursor = Cursor(w.cursor);
        let _ = tx.send(Ok(WatchBatch {
            cursor,
            part: WatchPart::Snapshot,
            events,
        }));
        let _ = tx.send(Ok(WatchBatch {
            cursor,
            part: WatchPart::SnapshotEnd,
            events: Vec::new(),
        }));
        w.watcher = Some(tx);
        Ok(tokio_stream::wrappers::UnboundedReceiverStream::new(rx).boxed())
    }

    async fn ack(&self, cursor: Cursor) -> Result<(), BrokerError> {
        let mut w = self.0.0.lock();
        w.acked = w.acked.max(cursor.0);
        Ok(())
    }
}

/// Keeps one live task in each of so many slots; forgets what ended.
struct Keep {
    count: Arc<AtomicU64>,
    terms: Arc<Terms>,
    spec: Arc<TaskSpec>,
    seen: Arc<Mutex<Vec<Change>>>,
}

impl Planner for Keep {
    fn plan(&mut self, _: Moment, observed: &Observed) -> Plan {
        let mut plan = Plan::default();
        let count = self.count.load(Ordering::SeqCst);
        for slot in 0..count {
            if observed.slot("w", slot).all(|t| t.status.phase().is_terminal()) {
                plan.claims.push(Claim {
                    terms: Arc::clone(&self.terms),
                    spec: Arc::clone(&self.spec),
                    seat: Seat::new(observed.next_id("w", slot), format!("w.{slot}"), slot),
                });
            }
        }
        for task in observed.workload("w") {
            if task.status.phase().is_terminal() {
                plan.forgets.push(task.id());
            } else if task.seat.slot >= count && !task.released {
                plan.release(task.id());
            }
        }
        plan
    }

    fn noticed(&mut self, _: Moment, changes: &[Change]) {
        self.seen.lock().extend_from_slice(changes);
    }

    fn refused(&mut self, _: Moment, refusals: &[Refusal]) {
        assert!(refusals.is_empty(), "{refusals:?}");
    }
}

struct Setup {
    fake: Fake,
    count: Arc<AtomicU64>,
    seen: Arc<Mutex<Vec<Change>>>,
}

impl Setup {
    fn new(count: u64) -> Self {
        Self {
            fake: Fake::default(),
            count: Arc::new(AtomicU64::new(count)),
            seen: Arc::default(),
        }
    }

    fn start(&self) -> Driver {
        let spec = Arc::new(TaskSpec::default());
        let terms = Arc::new(Terms {
            workload: Workload {
                uid: "w".into(),
                ..Workload::default()
            },
            tenant: TenantPath::new("default").unwrap(),
            charge: Amounts::task(1, 1, 0),
            devices: BTreeMap::new(),
            ports: Vec::new(),
            spec: spec.id(),
            labels: BTreeMap::new(),
            desired: plenum_model::claim::Desired::Running,
            rules: plenum_model::rules::Rules::default(),
            lost_after: plenum_model::claim::LostAfter::Never,
            priority: plenum_model::claim::Priority::default(),
            may_preempt: false,
            budget: None,
            files: Vec::new(),
            keep_ended: 0,
        });
        let planner = Keep {
            count: Arc::clone(&self.count),
            terms,
            spec,
            seen: Arc::clone(&self.seen),
        };
        let config = DriverConfig::new(SchedulerId::new("s").unwrap(), "test");
        Driver::start(Arc::new(self.fake.clone()), config, planner)
    }
}

async fn until(driver: &Driver, holds: impl Fn(&Observed) -> bool) {
    let mirror = driver.mirror();
    let all = mirror.until(|o| (o.is_synced() && holds(o)).then_some(()));
    tokio::time::timeout(Duration::from_secs(60), all)
        .await
        .unwrap()
        .unwrap();
}

async fn running(driver: &Driver, n: usize) {
    until(driver, |o| {
        o.tasks().filter(|t| crate::health::is_ready(t)).count() == n
    })
    .await;
}

async fn claimed(driver: &Driver, n: usize) {
    until(driver, |o| o.tasks().count() == n).await;
}

#[tokio::test(start_paused = true)]
async fn it_claims_follows_scales_and_acknowledges() {
    let s = Setup::new(2500);
    let driver = s.start();
    claimed(&driver, 2500).await;
    s.fake.run();
    running(&driver, 2500).await;
    s.count.store(3, Ordering::SeqCst);
    driver.waker().wake();
    claimed(&driver, 3).await;
    assert_eq!(s.fake.live(), 3);
    assert_eq!(s.fake.0.lock().claims, 2500, "nothing was claimed twice");
    tokio::time::sleep(Duration::from_secs(1)).await;
    {
        let w = s.fake.0.lock();
        assert_eq!(w.acked, w.cursor);
    }
    let state = driver.state();
    driver.stop().await;
    assert_eq!(*state.borrow(), DriverState::Stopped);
    assert_eq!(s.fake.live(), 3, "tasks run on");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_lost_doubles_nothing() {
    let s = Setup::new(5);
    s.fake.0.lock().lose_answer = true;
    let driver = s.start();
    claimed(&driver, 5).await;
    s.fake.run();
    running(&driver, 5).await;
    assert_eq!(s.fake.live(), 5);
    assert_eq!(s.fake.0.lock().claims, 5, "the snapshot told of all of them");
    assert_eq!(s.fake.0.lock().epoch, 2);
    driver.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_missed_while_cut_is_told_as_the_difference() {
    let s = Setup::new(2);
    let driver = s.start();
    claimed(&driver, 2).await;
    s.fake.cut();
    s.fake.run();
    s.seen.lock().clear();
    running(&driver, 2).await;
    let seen = s.seen.lock().clone();
    assert_eq!(seen.len(), 2);
    for change in &seen {
        let Change::Task {
            before: Some(before),
            after,
        } = change
        else {
            panic!("{change:?}")
        };
        assert_eq!(
            (before.status.phase(), after.status.phase()),
            (Phase::Pending, Phase::Running)
        );
    }
    driver.stop().await;
}

#[tokio::test(start_paused = true)]
async fn overload_is_waited_out() {
    let s = Setup::new(3);
    s.fake.0.lock().overloads = 4;
    let driver = s.start();
    claimed(&driver, 3).await;
    assert_eq!(s.fake.0.lock().epoch, 1, "the session stays");
    driver.stop().await;
}

#[tokio::test(start_paused = true)]
async fn attempts_that_were_used_and_forgotten_are_found_again() {
    let s = Setup::new(2);
    let first = TaskId::derive(&SchedulerId::new("s").unwrap(), "w", 1, 0);
    s.fake.0.lock().highest.insert(first.slot_key(), 300);
    let driver = s.start();
    claimed(&driver, 2).await;
    let attempt = driver
        .mirror()
        .read(|o| o.slot("w", 1).next().unwrap().id().attempt());
    assert!(attempt > 300 && attempt < 330, "{attempt}");
    let claims = s.fake.0.lock().claims;
    assert!(claims < 40, "{claims} claims");
    driver.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_second_instance_takes_over_without_doubling() {
    let s = Setup::new(10);
    let one = s.start();
    claimed(&one, 10).await;
    one.stop().await;
    s.fake.run();
    let two = s.start();
    running(&two, 10).await;
    assert_eq!(s.fake.0.lock().claims, 10);
    two.stop().await;
}
