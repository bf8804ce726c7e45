//! The group commit that every engine is measured behind: writers wait for their own record, one thread
//! commits what came together.

use super::RECORD;
use super::engines::Engine;
use crate::report::Failed;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::time::{Duration, Instant};

/// What came out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Figures {
    pub(super) per_second: f64,
    pub(super) p99_micros: f64,
}

impl Figures {
    /// From how long each record took, and how long all took together.
    pub(super) fn of(mut latencies: Vec<Duration>, time: Duration) -> Self {
        latencies.sort_unstable();
        let p99 = latencies
            .get(latencies.len() * 99 / 100)
            .copied()
            .unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52 records")]
        let count = latencies.len() as f64;
        Self {
            per_second: count / time.as_secs_f64(),
            p99_micros: p99.as_secs_f64() * 1e6,
        }
    }

    /// The median of each figure.
    pub(super) fn median(rounds: impl Iterator<Item = Self> + Clone) -> Self {
        let of = |pick: fn(Self) -> f64| {
            let mut values: Vec<f64> = rounds.clone().map(pick).collect();
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied().unwrap_or_default()
        };
        Self {
            per_second: of(|f| f.per_second),
            p99_micros: of(|f| f.p99_micros),
        }
    }
}

struct Waiting {
    record: Vec<u8>,
    done: Sender<()>,
}

/// Lets `writers` write for `time`.
pub(super) fn measure(engine: &mut impl Engine, writers: usize, time: Duration) -> Result<Figures, Failed> {
    let (queue, waiting) = sync_channel::<Waiting>(writers);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..writers)
            .map(|n| {
                let (queue, over) = (queue.clone(), &over);
                scope.spawn(move || write(n, &queue, over))
            })
            .collect();
        drop(queue);
        let started = Instant::now();
        let committed = commit(engine, &waiting, || {
            if started.elapsed() >= time {
                over.store(true, Ordering::Relaxed);
            }
        });
        let took = started.elapsed();
        // Writers that wait in vain end when their channel does.
        drop(waiting);
        let latencies = handles.into_iter().filter_map(|h| h.join().ok()).flatten();
        let latencies = latencies.collect();
        committed.map(|()| Figures::of(latencies, took))
    })
}

fn write(n: usize, queue: &std::sync::mpsc::SyncSender<Waiting>, over: &AtomicBool) -> Vec<Duration> {
    let (done, answer) = channel();
    let mut latencies = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let started = Instant::now();
        let mut record = vec![0x2e; RECORD];
        record[..8].copy_from_slice(&(n as u64).to_le_bytes());
        record[8..16].copy_from_slice(&(latencies.len() as u64).to_le_bytes());
        let done = done.clone();
        if queue.send(Waiting { record, done }).is_err() || answer.recv().is_err() {
            break;
        }
        latencies.push(started.elapsed());
    }
    latencies
}

fn commit(
    engine: &mut impl Engine,
    waiting: &Receiver<Waiting>,
    mut each_group: impl FnMut(),
) -> Result<(), Failed> {
    while let Ok(first) = waiting.recv() {
        let group: Vec<Waiting> = std::iter::once(first).chain(waiting.try_iter()).collect();
        let (records, answers): (Vec<_>, Vec<_>) = group.into_iter().map(|w| (w.record, w.done)).unzip();
        engine.commit(&records)?;
        each_group();
        for done in answers {
            // The writer waits; should it not, there is nobody to tell.
            let _ = done.send(());
        }
    }
    Ok(())
}
