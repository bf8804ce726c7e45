//! A pool is filled and then kept as full as it is: what ends is replaced. Deciding alone: no disk, no wire.

use super::workloads::{Asked, Mix};
use super::world::{NODE, World};
use crate::report::Failed;
use crate::times::Times;
use crate::usage::Usage;
use plenum_model::claim::Seat;
use plenum_model::ids::TaskId;
use std::time::{Duration, Instant};

/// Tasks of one claim.
const BATCH: usize = 500;

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pool {
    pub(super) nodes: u32,
    pub(super) mix: Mix,
    pub(super) tenants: u32,
    /// Workloads.
    pub(super) workloads: u32,
    /// Up to so many nodes are looked at one by one: all, for the plain full scan.
    pub(super) exact: usize,
    /// How full, in percent of the cpu.
    pub(super) full: u64,
    /// Tasks that end and are replaced.
    pub(super) turns: u32,
}

/// What came out.
pub(super) struct Outcome {
    /// Tasks that the pool holds when it is full.
    pub(super) tasks: usize,
    /// Claims that were placed a second while it filled.
    pub(super) fill: f64,
    /// Tasks that ended and were replaced, a second.
    pub(super) churn: f64,
    /// How long single claims took, from the full pool.
    pub(super) alone: Times,
    /// Tasks that found no room, in percent.
    pub(super) rejected: f64,
    /// Nodes with at least one task.
    pub(super) used: usize,
    /// MiB that the process grew by.
    pub(super) grown: f64,
}

/// A generator that is the same in every run (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = plenum_broker::place::choose::mix(self.0);
        usize::try_from(z % (n as u64).max(1)).unwrap_or(0)
    }
}

struct Run {
    world: World,
    asked: Vec<Asked>,
    live: Vec<(usize, Seat)>,
    numbers: Numbers,
}

/// Runs it.
pub(super) fn run(pool: &Pool) -> Result<Outcome, Failed> {
    let world = World::new(pool.nodes, pool.exact)?;
    let before = Usage::now()?;
    let asked = (0..pool.workloads).map(|n| Asked::new(n, pool.mix, pool.tenants));
    let mut run = Run {
        world,
        asked: asked.collect::<Result<_, _>>()?,
        live: Vec::new(),
        numbers: Numbers(1),
    };
    let fill = run.fill(u64::from(pool.nodes) * NODE.0 * pool.full / 100)?;
    let grown = (Usage::now()?.resident_mib - before.resident_mib).max(0.0);
    let tasks = run.live.len();
    let churn = run.churn(pool.turns)?;
    let alone = run.alone(pool.turns.min(2_000))?;
    let counts = run.world.core.counts();
    let nodes = run.world.core.ledger().nodes.iter();
    Ok(Outcome {
        tasks,
        fill,
        churn,
        alone,
        rejected: counts.pending as f64 * 100.0 / counts.tasks.max(1) as f64,
        used: nodes.filter(|(_, row)| !row.tasks.is_empty()).count(),
        grown,
    })
}

impl Run {
    /// Claims until so much cpu is asked; placed tasks a second.
    fn fill(&mut self, millis: u64) -> Result<f64, Failed> {
        let mut asked = 0;
        let mut took = Duration::ZERO;
        let mut turn = 0;
        while asked < millis {
            let w = turn % self.asked.len();
            turn += 1;
            let each = self.asked[w].terms.charge.cpu_millis;
            let count = usize::try_from((millis - asked).div_ceil(each))
                .unwrap_or(BATCH)
                .min(BATCH);
            let seats: Vec<_> = (0..count)
                .map(|_| self.asked[w].more(&self.world.scheduler))
                .collect();
            self.live.extend(seats.iter().map(|seat| (w, seat.clone())));
            asked += each * count as u64;
            let terms = self.asked[w].terms.clone();
            let begun = Instant::now();
            self.world.claim(&terms, seats)?;
            took += begun.elapsed();
        }
        Ok(self.live.len() as f64 / took.as_secs_f64())
    }

    /// Ends tasks taken at random and claims their slots again, in batches; tasks a second.
    fn churn(&mut self, turns: u32) -> Result<f64, Failed> {
        let mut took = Duration::ZERO;
        for _ in 0..turns as usize / BATCH {
            let mut ids: Vec<TaskId> = Vec::with_capacity(BATCH);
            let mut again: std::collections::BTreeMap<usize, Vec<Seat>> = std::collections::BTreeMap::new();
            for _ in 0..BATCH {
                let at = self.numbers.below(self.live.len());
                let (w, seat) = self.live.swap_remove(at);
                ids.push(seat.id);
                let next = self.asked[w].again(&self.world.scheduler, seat.slot);
                again.entry(w).or_default().push(next);
            }
            let begun = Instant::now();
            self.world.end(&ids)?;
            for (w, seats) in &again {
                let terms = self.asked[*w].terms.clone();
                self.world.claim(&terms, seats.clone())?;
            }
            took += begun.elapsed();
            self.live.extend(
                again
                    .into_iter()
                    .flat_map(|(w, seats)| seats.into_iter().map(move |s| (w, s))),
            );
        }
        Ok((turns as usize / BATCH * BATCH) as f64 / took.as_secs_f64())
    }

    /// The same one by one; how long each claim took.
    fn alone(&mut self, turns: u32) -> Result<Times, Failed> {
        let mut times = Vec::with_capacity(turns as usize);
        for _ in 0..turns {
            let at = self.numbers.below(self.live.len());
            let (w, seat) = self.live.swap_remove(at);
            self.world.end(&[seat.id])?;
            let next = self.asked[w].again(&self.world.scheduler, seat.slot);
            let terms = self.asked[w].terms.clone();
            let begun = Instant::now();
            self.world.claim(&terms, vec![next.clone()])?;
            times.push(begun.elapsed());
            self.live.push((w, next));
        }
        Ok(Times::new(times))
    }
}
