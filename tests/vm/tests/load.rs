//! Schedulers that claim and forget all the time, and remember what was acknowledged.

use futures::StreamExt;
use plenum_contract::broker::{Broker, BrokerError, Hello, Session, WatchEvent, WatchPart};
use plenum_model::amounts::Amounts;
use plenum_model::claim::{ClaimBatch, ClaimGroup, Desired, LostAfter, Priority, Seat, Terms, Workload};
use plenum_model::ids::{SchedulerId, TaskId};
use plenum_model::rules::Rules;
use plenum_model::spec::{ContainerSpec, TaskSpec};
use plenum_wire::{RemoteBroker, connect};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Tasks in a call.
const BATCH: u64 = 4;
/// Every so many calls the tasks of the one before are forgotten again.
const FORGETS: u64 = 3;

/// One scheduler and what it knows for sure.
pub(crate) struct Load {
    name: SchedulerId,
    next: u64,
    /// What was acknowledged and not asked to be forgotten since.
    pub(crate) there: BTreeSet<TaskId>,
    /// Whose end was acknowledged.
    pub(crate) gone: BTreeSet<TaskId>,
    /// Calls that had no answer when the power was cut.
    pub(crate) open_calls: u64,
}

impl Load {
    pub(crate) fn new(number: usize) -> Self {
        Self {
            name: SchedulerId::new(format!("load{number}")).unwrap(),
            next: 0,
            there: BTreeSet::new(),
            gone: BTreeSet::new(),
            open_calls: 0,
        }
    }

    /// A session, once the broker answers.
    pub(crate) async fn open(&self, address: &str) -> Result<Arc<dyn Session>, BrokerError> {
        let channel = connect(&format!("http://{address}")).unwrap();
        let hello = Hello {
            scheduler: self.name.clone(),
            kind: "test".into(),
            api: (1, 1),
            watch_nodes: false,
        };
        RemoteBroker::new(channel).open(hello).await
    }

    /// Claims and forgets until there is no answer any more. `begun` is told of every claim that was acknowledged.
    pub(crate) async fn run(&mut self, session: &Arc<dyn Session>, acknowledged: impl Fn()) {
        loop {
            self.open_calls += 1;
            if self.turn(session, &acknowledged).await.is_err() {
                return;
            }
            self.open_calls -= 1;
        }
    }

    async fn turn(
        &mut self,
        session: &Arc<dyn Session>,
        acknowledged: &impl Fn(),
    ) -> Result<(), BrokerError> {
        let seats: Vec<Seat> = (self.next..self.next + BATCH)
            .map(|slot| {
                Seat::new(
                    TaskId::derive(&self.name, "load", slot, 1),
                    format!("load.{slot}"),
                    slot,
                )
            })
            .collect();
        let ids: Vec<TaskId> = seats.iter().map(|seat| seat.id).collect();
        // Whether it is answered or not these are never claimed again.
        self.next += BATCH;
        let claimed = session.claim(batch(seats)).await?;
        assert!(claimed.refused.is_empty(), "{claimed:?}");
        self.there.extend(&ids);
        acknowledged();
        if (self.next / BATCH).is_multiple_of(FORGETS) {
            for id in &ids {
                self.there.remove(id);
            }
            session.release(ids.clone(), None).await?;
            session.forget(ids.clone()).await?;
            self.gone.extend(ids);
        }
        Ok(())
    }

    /// Holds what the broker has now against what it has acknowledged.
    pub(crate) async fn compare(&self, session: &Arc<dyn Session>) -> Vec<String> {
        let has = snapshot(session).await;
        let lost = self.there.iter().filter(|id| !has.contains(id));
        let back = self.gone.iter().filter(|id| has.contains(id));
        let lost = lost.map(|id| format!("{id} of {} is lost", self.name));
        lost.chain(back.map(|id| format!("{id} of {} is back", self.name)))
            .collect()
    }
}

async fn snapshot(session: &Arc<dyn Session>) -> BTreeSet<TaskId> {
    let mut watch = session.watch(None).await.unwrap();
    let mut all = BTreeSet::new();
    while let Some(batch) = watch.next().await {
        let batch = batch.unwrap();
        for event in batch.events {
            if let WatchEvent::Task(task) = event {
                all.insert(task.id());
            }
        }
        if batch.part == WatchPart::SnapshotEnd {
            return all;
        }
    }
    panic!("the watch ended within its snapshot");
}

fn batch(seats: Vec<Seat>) -> ClaimBatch {
    let spec = Arc::new(TaskSpec {
        containers: vec![ContainerSpec {
            name: "main".into(),
            runtime: "process".into(),
            ..ContainerSpec::default()
        }],
        ..TaskSpec::default()
    });
    let terms = Terms {
        workload: Workload {
            uid: "load".into(),
            name: "load".into(),
            kind: "app".into(),
            version: "1".into(),
        },
        tenant: "default".parse().unwrap(),
        charge: Amounts::task(100, 1 << 20, 0),
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
    ClaimBatch {
        specs: vec![spec],
        groups: vec![ClaimGroup {
            terms: Arc::new(terms),
            seats,
        }],
        all_or_nothing: false,
    }
}
