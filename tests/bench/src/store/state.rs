//! Plenum's state store, through its contract: it has its own group commit.

use super::RECORD;
use super::group::Figures;
use crate::report::Failed;
use plenum_contract::state_store::{StateStore, Write};
use plenum_store::{DataDir, DiskState};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// Keys that are written over and over: as many apps as a large site has.
const KEYS: usize = 10_000;
const NAME: &str = "state store";

fn put(n: usize) -> Vec<Write> {
    vec![Write::Put(
        format!("marathon/apps/{:05}", n % KEYS),
        vec![0x2e; RECORD].into(),
    )]
}

/// The store and the tasks that use it.
pub(super) struct State {
    runtime: Runtime,
    store: Arc<DiskState>,
}

impl State {
    /// An empty one in an empty directory.
    pub(super) fn open(dir: &Path) -> Result<Self, Failed> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .build()
            .map_err(Failed::in_(NAME))?;
        let data = DataDir::open(dir).map_err(Failed::in_(NAME))?;
        let store = data.state_store().map_err(Failed::in_(NAME))?;
        Ok(Self { runtime, store })
    }

    /// Lets `writers` tasks write for `time`, a transaction each.
    pub(super) fn writes(&self, writers: usize, time: Duration) -> Result<Figures, Failed> {
        let Self { runtime, store } = self;
        let started = Instant::now();
        let tasks: Vec<_> = (0..writers)
            .map(|n| {
                let store = store.clone();
                runtime.spawn(async move {
                    let (mut latencies, mut next) = (Vec::new(), n);
                    while started.elapsed() < time {
                        let begun = Instant::now();
                        store.txn(vec![], put(next)).await?;
                        latencies.push(begun.elapsed());
                        next += writers;
                    }
                    Ok::<_, plenum_contract::state_store::StateError>(latencies)
                })
            })
            .collect();
        let mut latencies = Vec::new();
        for task in tasks {
            let done = runtime.block_on(task).map_err(Failed::in_(NAME))?;
            latencies.extend(done.map_err(Failed::in_(NAME))?);
        }
        Ok(Figures::of(latencies, started.elapsed()))
    }

    /// Microseconds per get, one after the other, of values that the system has in its cache.
    pub(super) fn reads(&self, time: Duration) -> Result<f64, Failed> {
        let Self { runtime, store } = self;
        const GETS: u32 = 64;
        runtime.block_on(async {
            let fill = (0..100).map(|batch| {
                let writes = (0..KEYS / 100).flat_map(move |n| put(batch * (KEYS / 100) + n));
                writes.collect::<Vec<_>>()
            });
            for writes in fill {
                store.txn(vec![], writes).await.map_err(Failed::in_(NAME))?;
            }
            let (started, mut gets) = (Instant::now(), 0_u32);
            while started.elapsed() < time {
                for n in 0..GETS {
                    let key = format!("marathon/apps/{:05}", (gets + n) as usize * 7919 % KEYS);
                    store.get(&key).await.map_err(Failed::in_(NAME))?;
                }
                gets += GETS;
            }
            Ok(started.elapsed().as_secs_f64() * 1e6 / f64::from(gets.max(1)))
        })
    }
}
