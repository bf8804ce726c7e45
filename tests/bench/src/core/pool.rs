//! A pool is filled and then kept as full as it is: what ends is replaced. Deciding alone: no disk, no wire.

use super::workloads::{Asked, Mix};
use super::world::{NODE, World};
use crate::report::Failed;
use crate::times::Times;
use crate::usage::{Usage, thread_time};
use plenum_broker::place::choose::Chosen;
use plenum_model::claim::{ClaimGroup, Seat};
use plenum_model::ids::TaskId;
use plenum_model::rules::Strategy;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Tasks of one claim, at most.
const BATCH: usize = 500;

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pool {
    pub(super) nodes: u32,
    pub(super) mix: Mix,
    pub(super) strategy: Strategy,
    pub(super) tenants: u32,
    /// Workloads.
    pub(super) workloads: u32,
    /// Up to so many nodes are looked at one by one: all, for the plain full scan.
    pub(super) exact: usize,
    /// How full, in percent of the cpu.
    pub(super) full: u64,
}

/// So much done in so much time: of the processor, which others do not share in, and by the clock.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pace {
    done: usize,
    processor: Duration,
    clock: Duration,
}

impl Pace {
    /// Measures what `work` does; it says how much that was.
    pub(super) fn of(work: impl FnOnce() -> Result<usize, Failed>) -> Result<Self, Failed> {
        let (clock, processor) = (Instant::now(), thread_time()?);
        let done = work()?;
        Ok(Self {
            done,
            processor: thread_time()?.saturating_sub(processor),
            clock: clock.elapsed(),
        })
    }

    /// A second of processor time.
    pub(super) fn per_second(self) -> f64 {
        self.done as f64 / self.processor.as_secs_f64()
    }

    /// A second by the clock.
    pub(super) fn per_second_of_clock(self) -> f64 {
        self.done as f64 / self.clock.as_secs_f64()
    }

    /// Microseconds of processor time each.
    pub(super) fn micros(self) -> f64 {
        self.processor.as_secs_f64() * 1e6 / self.done.max(1) as f64
    }

    /// Milliseconds of processor time for all of it.
    pub(super) fn millis(self) -> f64 {
        self.processor.as_secs_f64() * 1e3
    }

    fn and(self, more: Self) -> Self {
        Self {
            done: self.done + more.done,
            processor: self.processor + more.processor,
            clock: self.clock + more.clock,
        }
    }
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

/// A task that was claimed: its workload, its slot there, its id.
#[derive(Debug, Clone, Copy)]
struct Live {
    workload: u32,
    slot: u64,
    id: TaskId,
}

/// A pool under load.
pub(super) struct Run {
    pub(super) world: World,
    asked: Vec<Asked>,
    live: Vec<Live>,
    numbers: Numbers,
    /// Bytes that the process grew by for each node.
    pub(super) per_node: f64,
    /// Bytes that it grew by for each task while it filled.
    pub(super) per_task: f64,
}

impl Run {
    /// An empty pool and who will ask of it.
    pub(super) fn new(pool: &Pool) -> Result<Self, Failed> {
        let before = Usage::now()?;
        let world = World::new(pool.nodes, pool.exact)?;
        let asked = (0..pool.workloads).map(|n| Asked::new(n, pool.mix, pool.strategy, pool.tenants));
        Ok(Self {
            per_node: grown(&before)? / f64::from(pool.nodes),
            per_task: 0.0,
            world,
            asked: asked.collect::<Result<_, _>>()?,
            live: Vec::new(),
            numbers: Numbers(1),
        })
    }

    /// Tasks that are claimed and live.
    pub(super) fn tasks(&self) -> usize {
        self.live.len()
    }

    /// Tasks that found no room, in percent.
    pub(super) fn rejected(&self) -> f64 {
        let counts = self.world.core.counts();
        counts.pending as f64 * 100.0 / counts.tasks.max(1) as f64
    }

    /// Nodes with at least one task.
    pub(super) fn used(&self) -> usize {
        let nodes = self.world.core.ledger().nodes.iter();
        nodes.filter(|(_, row)| !row.tasks.is_empty()).count()
    }

    /// Claims until so many percent of the pool's cpu are asked.
    pub(super) fn fill(&mut self, pool: &Pool) -> Result<Pace, Failed> {
        let before = Usage::now()?;
        let millis = u64::from(pool.nodes) * NODE.0 * pool.full / 100;
        // Every workload claims at least twice, so that all of them have their part.
        let of_each = u64::from(pool.workloads) * super::workloads::USUAL * 2;
        let batch = usize::try_from(millis / of_each).unwrap_or(BATCH).clamp(1, BATCH);
        let (mut asked, mut turn, mut pace) = (0, 0, Pace::default());
        while asked < millis {
            let w = turn % self.asked.len();
            turn += 1;
            let each = self.asked[w].terms.charge.cpu_millis;
            let left = usize::try_from((millis - asked).div_ceil(each)).unwrap_or(batch);
            let count = left.min(batch);
            let seats: Vec<_> = (0..count)
                .map(|_| self.asked[w].more(&self.world.scheduler))
                .collect();
            self.remember(w, &seats);
            asked += each * count as u64;
            let groups = vec![ClaimGroup {
                terms: self.asked[w].terms.clone(),
                seats,
            }];
            pace = pace.and(Pace::of(|| self.world.claim(groups).map(|()| count))?);
        }
        self.per_task = grown(&before)? / self.live.len().max(1) as f64;
        Ok(pace)
    }

    fn remember(&mut self, w: usize, seats: &[Seat]) {
        let workload = u32::try_from(w).unwrap_or(u32::MAX);
        self.live.extend(seats.iter().map(|seat| Live {
            workload,
            slot: seat.slot,
            id: seat.id,
        }));
    }

    /// Takes out a task at random.
    fn any(&mut self) -> Live {
        let at = self.numbers.below(self.live.len());
        self.live.swap_remove(at)
    }

    /// Whole lives, in batches: tasks taken at random are released, seen to be stopped and forgotten, and their
    /// successors are claimed and placed.
    pub(super) fn lives(&mut self, turns: usize) -> Result<Pace, Failed> {
        let mut pace = Pace::default();
        for _ in 0..turns.div_ceil(BATCH) {
            let ends: Vec<_> = (0..BATCH).map(|_| self.any()).collect();
            let ids: Vec<_> = ends.iter().map(|live| live.id).collect();
            let mut again: BTreeMap<usize, Vec<Seat>> = BTreeMap::new();
            for live in ends {
                let w = live.workload as usize;
                let next = self.asked[w].again(&self.world.scheduler, live.slot);
                again.entry(w).or_default().push(next);
            }
            again.iter().for_each(|(w, seats)| self.remember(*w, seats));
            let groups = again.into_iter().map(|(w, seats)| ClaimGroup {
                terms: self.asked[w].terms.clone(),
                seats,
            });
            let groups = groups.collect();
            pace = pace.and(Pace::of(|| {
                self.world.end(&ids)?;
                self.world.claim(groups)?;
                Ok(BATCH)
            })?);
        }
        Ok(pace)
    }

    /// The same one by one; how long each claim took, by the clock.
    pub(super) fn alone(&mut self, turns: usize) -> Result<Times, Failed> {
        let mut times = Vec::with_capacity(turns);
        for _ in 0..turns {
            let live = self.any();
            self.world.end(&[live.id])?;
            let w = live.workload as usize;
            let next = self.asked[w].again(&self.world.scheduler, live.slot);
            self.remember(w, std::slice::from_ref(&next));
            let groups = vec![ClaimGroup {
                terms: self.asked[w].terms.clone(),
                seats: vec![next],
            }];
            let begun = Instant::now();
            self.world.claim(groups)?;
            times.push(begun.elapsed());
        }
        Ok(Times::new(times))
    }

    /// Decisions alone, without a record of the task, facts and news: a task taken at random lets go of its node and is
    /// placed anew. How fast, and how long each placement took, by the clock.
    pub(super) fn decisions(mut self, turns: usize) -> Result<(Pace, Times), Failed> {
        let ledger = self.world.core.ledger();
        let placed = self.live.iter().filter_map(|live| {
            let row = ledger.tasks.get(live.id)?;
            Some((live.id, (row.node?, row.task.status.ports.clone())))
        });
        let mut placed: Vec<(TaskId, Chosen)> = placed.collect();
        if placed.is_empty() {
            return Ok((Pace::default(), Times::new(Vec::new())));
        }
        let mut trial = self.world.core.into_trial();
        let mut turn = |timed: Option<&mut Vec<Duration>>| {
            let at = self.numbers.below(placed.len());
            let (id, chosen) = &mut placed[at];
            trial.take_off(*id, chosen);
            let begun = timed.is_some().then(Instant::now);
            match trial.place(*id) {
                Some(now) => *chosen = now,
                None => {
                    return Err(Failed::in_("a decision")(
                        "what was just let go is not found again",
                    ));
                }
            }
            if let (Some(times), Some(begun)) = (timed, begun) {
                times.push(begun.elapsed());
            }
            Ok(())
        };
        let pace = Pace::of(|| (0..turns).try_for_each(|_| turn(None)).map(|()| turns))?;
        let timed = turns.min(100_000);
        let mut times = Vec::with_capacity(timed);
        (0..timed).try_for_each(|_| turn(Some(&mut times)))?;
        Ok((pace, Times::new(times)))
    }
}

fn grown(since: &Usage) -> Result<f64, Failed> {
    Ok((Usage::now()?.resident_mib - since.resident_mib).max(0.0) * super::world::MIB as f64)
}
