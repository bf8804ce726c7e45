//! A scheduler that claims as fast as it is allowed to and takes the time of each task.

use crate::fleet::RUNTIME;
use crate::report::Failed;
use crate::times::Times;
use futures::stream::FuturesUnordered;
use futures::{StreamExt, TryStreamExt, stream};
use plenum_contract::broker::{API_VERSIONS, Broker, BrokerError, Hello, Session, WatchEvent, WatchStream};
use plenum_model::amounts::Amounts;
use plenum_model::claim::{
    ClaimBatch, ClaimGroup, Desired, LostAfter, PortAsk, Priority, Seat, Terms, Workload,
};
use plenum_model::ids::{SchedulerId, TaskId, TenantPath};
use plenum_model::phase::Phase;
use plenum_model::rules::Rules;
use plenum_model::spec::{ContainerSpec, TaskSpec};
use plenum_model::template::Template;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// Nothing may take longer.
const PATIENCE: Duration = Duration::from_secs(120);

/// A claim that was not taken is repeated after so long.
const AGAIN: Duration = Duration::from_millis(2);

/// An open session.
pub(super) struct Claims {
    session: Arc<dyn Session>,
    watch: Mutex<WatchStream>,
    scheduler: SchedulerId,
    terms: Arc<Terms>,
    spec: Arc<TaskSpec>,
    overloads: AtomicU32,
}

/// What many tasks came to.
pub(super) struct Many {
    /// From the first claim to the last task seen running.
    pub(super) seconds: f64,
    /// From the claim of each task until it was seen running.
    pub(super) way: Times,
    /// From each claim to its answer.
    pub(super) durable: Times,
}

impl Claims {
    pub(super) async fn open(broker: &dyn Broker) -> Result<Self, Failed> {
        let scheduler = SchedulerId::new("bench").map_err(Failed::in_("naming the scheduler"))?;
        let hello = Hello {
            scheduler: scheduler.clone(),
            kind: "bench".to_owned(),
            api: API_VERSIONS,
            watch_nodes: false,
        };
        let session = broker.open(hello).await.map_err(Failed::in_("the session"))?;
        let watch = session.watch(None).await.map_err(Failed::in_("the watch"))?;
        let spec = Arc::new(spec());
        let terms = Arc::new(terms(&spec)?);
        Ok(Self {
            session,
            watch: Mutex::new(watch),
            scheduler,
            terms,
            spec,
            overloads: AtomicU32::new(0),
        })
    }

    /// So many tasks, each claimed when the one before was seen running.
    pub(super) async fn one_by_one(&self, count: u32) -> Result<Times, Failed> {
        let mut times = Vec::new();
        for n in 0..u64::from(count) {
            let begun = Instant::now();
            self.claim("alone", n..n + 1).await?;
            self.running(1, |_| times.push(begun.elapsed())).await?;
        }
        Ok(Times::new(times))
    }

    /// So many tasks of a workload in batches, some claims under way at once.
    pub(super) async fn many(&self, uid: &str, tasks: u32, batch: u32, window: u32) -> Result<Many, Failed> {
        let begun = Instant::now();
        let claimed_at = parking_lot::Mutex::new(BTreeMap::new());
        let starts = (0..u64::from(tasks)).step_by(batch as usize);
        let ends = |start: u64| (start + u64::from(batch)).min(u64::from(tasks));
        let claims = stream::iter(starts.map(|start| {
            let claimed_at = &claimed_at;
            async move {
                let begun = Instant::now();
                claimed_at.lock().insert(start / u64::from(batch), begun);
                self.claim(uid, start..ends(start)).await?;
                Ok::<_, Failed>(begun.elapsed())
            }
        }));
        let claims = claims.buffer_unordered(window as usize).try_collect::<Vec<_>>();
        let mut way = Vec::with_capacity(tasks as usize);
        let seen = self.running(tasks, |slot| {
            let at = claimed_at.lock().get(&(slot / u64::from(batch))).copied();
            way.extend(at.map(|at| at.elapsed()));
        });
        let (durable, ()) = tokio::try_join!(claims, seen)?;
        Ok(Many {
            seconds: begun.elapsed().as_secs_f64(),
            way: Times::new(way),
            durable: Times::new(durable),
        })
    }

    /// So many tasks in batches of which each is released as soon as it is placed, some under way at once; tasks a second.
    pub(super) async fn claimed_and_released(
        &self,
        tasks: u32,
        batch: u32,
        window: u32,
    ) -> Result<f64, Failed> {
        let begun = Instant::now();
        let starts = (0..u64::from(tasks)).step_by(batch as usize);
        let rounds = stream::iter(starts.map(|start| async move {
            let slots = start..(start + u64::from(batch)).min(u64::from(tasks));
            self.claim("let-go", slots.clone()).await?;
            let ids = slots.map(|slot| self.id("let-go", slot)).collect::<Vec<_>>();
            self.release(ids).await
        }));
        rounds
            .buffer_unordered(window as usize)
            .try_collect::<()>()
            .await?;
        Ok(f64::from(tasks) / begun.elapsed().as_secs_f64())
    }

    /// So many tasks a second for so many seconds, whether those before are answered or not; from each claim to its answer,
    /// which says that it is durable and where it goes.
    pub(super) async fn offered(&self, rate: u32, seconds: u32) -> Result<Times, Failed> {
        const EVERY: Duration = Duration::from_millis(1);
        let each = u64::from(rate / 1_000).max(1);
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
        let begun = Instant::now();
        let (mut under_way, mut times) = (FuturesUnordered::new(), Vec::new());
        for turn in 0..seconds * 1_000 {
            loop {
                tokio::select! {
                    biased;
                    _ = ticks.tick() => break,
                    Some(done) = under_way.next() => times.push(done?),
                }
            }
            // From when it was due: a caller that comes late is part of what is waited for.
            let (due, first) = (begun + EVERY * turn, u64::from(turn) * each);
            under_way.push(async move {
                self.claim("offered", first..first + each).await?;
                Ok::<_, Failed>(due.elapsed())
            });
        }
        while let Some(done) = under_way.next().await {
            times.push(done?);
        }
        Ok(Times::new(times))
    }

    fn id(&self, uid: &str, slot: u64) -> TaskId {
        TaskId::derive(&self.scheduler, uid, slot, 0)
    }

    async fn release(&self, ids: Vec<TaskId>) -> Result<(), Failed> {
        loop {
            match self.session.release(ids.clone(), None).await {
                Err(BrokerError::Overloaded { .. }) => {
                    self.overloads.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(AGAIN).await;
                }
                other => return other.map_err(Failed::in_("a release")),
            }
        }
    }

    /// Claims that the broker did not take at once because its queue was full.
    pub(super) fn overloads(&self) -> u32 {
        self.overloads.load(Ordering::Relaxed)
    }

    async fn claim(&self, uid: &str, slots: std::ops::Range<u64>) -> Result<(), Failed> {
        let seats = slots
            .map(|slot| Seat::new(self.id(uid, slot), format!("{uid}.{slot}"), slot))
            .collect();
        let batch = ClaimBatch {
            specs: vec![Arc::clone(&self.spec)],
            groups: vec![ClaimGroup {
                terms: Arc::clone(&self.terms),
                seats,
            }],
            all_or_nothing: false,
        };
        let claimed = loop {
            match self.session.claim(batch.clone()).await {
                // What every scheduler of the kit does.
                Err(BrokerError::Overloaded { .. }) => {
                    self.overloads.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(AGAIN).await;
                }
                other => break other.map_err(Failed::in_("a claim"))?,
            }
        };
        match claimed.refused.first() {
            Some(refusal) => Err(Failed::in_("a claim")(refusal)),
            None => Ok(()),
        }
    }

    /// Waits until so many more tasks are seen running, telling the slot of each.
    async fn running(&self, count: u32, mut each: impl FnMut(u64)) -> Result<(), Failed> {
        let mut left = count;
        let mut watch = self.watch.lock().await;
        let all = async {
            let mut batches = 0_u32;
            while left > 0 {
                let batch = watch
                    .next()
                    .await
                    .ok_or("it ended".to_owned())
                    .and_then(|b| b.map_err(|e| e.to_string()))
                    .map_err(Failed::in_("the watch"))?;
                for event in batch.events {
                    if let WatchEvent::Task(task) = event
                        && task.status.phase() == Phase::Running
                    {
                        left = left.saturating_sub(1);
                        each(task.seat.slot);
                    }
                }
                batches += 1;
                if batches.is_multiple_of(64) {
                    match self.session.ack(batch.cursor).await {
                        // The next one says the same and more.
                        Err(BrokerError::Overloaded { .. }) => {}
                        other => other.map_err(Failed::in_("an acknowledgement"))?,
                    }
                }
            }
            Ok(())
        };
        match tokio::time::timeout(PATIENCE, all).await {
            Ok(done) => done,
            Err(_) => Err(Failed::in_("running tasks")(format!(
                "{left} of {count} were never seen"
            ))),
        }
    }
}

fn spec() -> TaskSpec {
    TaskSpec {
        containers: vec![ContainerSpec {
            name: "main".to_owned(),
            runtime: RUNTIME.to_owned(),
            args: Some(vec![Template::text("serve")]),
            stop_grace_ms: 3_000,
            ..ContainerSpec::default()
        }],
        ..TaskSpec::default()
    }
}

fn terms(spec: &TaskSpec) -> Result<Terms, Failed> {
    Ok(Terms {
        workload: Workload {
            uid: "bench".to_owned(),
            name: "bench".to_owned(),
            kind: "bench".to_owned(),
            version: "1".to_owned(),
        },
        tenant: TenantPath::new("bench").map_err(Failed::in_("naming the tenant"))?,
        charge: Amounts::task(10, 16 << 20, 0),
        devices: BTreeMap::new(),
        ports: vec![PortAsk::default()],
        spec: spec.id(),
        labels: BTreeMap::new(),
        desired: Desired::Running,
        rules: Rules::default(),
        lost_after: LostAfter::Never,
        priority: Priority::default(),
        may_preempt: false,
        budget: None,
        files: Vec::new(),
        keep_ended: 0,
    })
}
