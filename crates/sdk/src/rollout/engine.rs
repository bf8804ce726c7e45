//! The decision: [`next`]. Start there; the order of the four passes is the order in which capacity is given
//! away: what is too much, what is finished, what is empty, what has to be moved.

use super::copies::{Copy, CopyState};
use super::policy::{FailureAction, Policy};
use crate::time::Moment;
use plenum_model::ids::TaskId;
use std::collections::{BTreeMap, BTreeSet};

/// What is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Goal {
    /// How many copies.
    pub count: u32,
    /// When this version became the wanted one: failures before it are another rollout's.
    pub since: Moment,
    /// Begin no slot: paused by the user, or by a failure that was recorded.
    pub paused: bool,
    /// No copy starts before this (a launch delay).
    pub launch_from: Moment,
    /// The same for single slots.
    pub slot_launch_from: BTreeMap<u64, Moment>,
}

/// What to do next, and how far it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Next {
    /// The steps, to be done in this order.
    pub steps: Vec<Step>,
    /// When to ask again although nothing has changed.
    pub wake_at: Option<Moment>,
    /// How the rollout stands.
    pub status: RolloutStatus,
    /// In numbers.
    pub progress: Progress,
}

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Claim a copy of the current version.
    Start {
        /// In this slot.
        slot: u64,
        /// In the place of this one, if the slot had another and the policy keeps seats.
        replaces: Option<TaskId>,
    },
    /// Release a copy.
    Stop {
        /// Which.
        id: TaskId,
        /// Why.
        because: Because,
    },
}

/// Why a copy is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Because {
    /// There are more than wanted.
    TooMany,
    /// A ready copy of the current version has taken its slot.
    Replaced,
    /// It makes room for a copy of the current version.
    MakesRoom,
}

/// How a rollout stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RolloutStatus {
    /// Everything is as wanted.
    Done,
    /// Everything is as wanted, and watched a while longer.
    Monitoring,
    /// On its way.
    Rolling,
    /// No other slot is begun; what was begun is finished.
    Paused,
    /// Too many failed: the scheduler should make the version before current again.
    RollBack,
}

/// A rollout in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Copies of the current version that stay.
    pub current: u32,
    /// Of these, ready ones.
    pub current_ready: u32,
    /// Ready copies of any version.
    pub ready: u32,
    /// Copies that exist, stopping ones included.
    pub total: u32,
    /// Slots whose new copy failed.
    pub failed: u32,
    /// Whether nothing has moved for longer than the progress deadline.
    pub stalled: bool,
}

/// What to do next. Pure; the same arguments give the same steps.
#[must_use]
pub fn next(goal: &Goal, policy: &Policy, copies: &[Copy], now: Moment) -> Next {
    let slots = by_slot(copies);
    let failed = failed_slots(goal, policy, copies);
    let halted = halt(goal, policy, failed);
    let kept = keep(goal, &slots);
    let mut engine = Engine {
        goal,
        policy,
        now,
        may_begin: halted.is_none(),
        ready: count(copies.iter().filter(|c| c.state.is_ready())),
        total: count(copies.iter().filter(|c| c.state.is_live())),
        workers: policy.parallelism.unwrap_or(u32::MAX),
        begun: BTreeSet::new(),
        reserved: 0,
        stopped: BTreeSet::new(),
        steps: Vec::new(),
        wake_at: None,
    };
    let mut progress = Progress {
        current: count(copies.iter().filter(|c| c.current && c.state.is_staying())),
        current_ready: count(copies.iter().filter(|c| c.current && c.state.is_ready())),
        ready: engine.ready,
        total: engine.total,
        failed,
        stalled: false,
    };
    engine.hire(&kept, &slots);
    engine.drop_excess(&kept, &slots);
    engine.finish(&kept, &slots);
    engine.make_room(&kept, &slots);
    engine.fill(&kept, &slots);
    engine.surge(&kept, &slots);
    let status = engine.status(halted, &kept, copies, &mut progress);
    Next {
        steps: engine.steps,
        wake_at: engine.wake_at,
        status,
        progress,
    }
}

type Slots<'a> = BTreeMap<u64, Vec<&'a Copy>>;

/// A decision under way: the two sums as they will be once the steps so far are done.
struct Engine<'a> {
    goal: &'a Goal,
    policy: &'a Policy,
    now: Moment,
    may_begin: bool,
    ready: u32,
    total: u32,
    /// Slots that may still be begun.
    workers: u32,
    /// Slots under way.
    begun: BTreeSet<u64>,
    /// Room that empty slots will need and do not take yet.
    reserved: u32,
    stopped: BTreeSet<TaskId>,
    steps: Vec<Step>,
    wake_at: Option<Moment>,
}

impl Engine<'_> {
    /// Finds the slots under way: each takes one of the workers.
    fn hire(&mut self, kept: &BTreeSet<u64>, slots: &Slots<'_>) {
        for slot in kept {
            let copies = of(slots, *slot);
            let moved = copies.iter().any(|c| !c.current && self.touched(c));
            let failed = copies.iter().any(|c| c.current && self.failed_here(c));
            let under_way = match newest_current(copies).map(|c| c.state) {
                Some(CopyState::Ready { since }) => {
                    let until = since.plus(self.policy.delay);
                    let waits = moved && until > self.now;
                    if waits {
                        self.wake_by(until);
                    }
                    waits
                }
                Some(CopyState::Coming { ready_at }) => {
                    if let Some(at) = ready_at {
                        self.wake_by(at);
                    }
                    moved
                }
                Some(CopyState::Leaving | CopyState::Ended { .. }) | None => {
                    moved && !failed && !copies.iter().any(|c| !c.current && c.state.is_staying())
                }
            };
            if under_way {
                self.begun.insert(*slot);
                self.workers = self.workers.saturating_sub(1);
            }
        }
        for copy in slots.values().flatten().filter(|c| !c.current) {
            if let CopyState::Coming { ready_at: Some(at) } = copy.state {
                self.wake_by(at);
            }
        }
    }

    /// Copies in slots that are too many, and doubles within a slot.
    fn drop_excess(&mut self, kept: &BTreeSet<u64>, slots: &Slots<'_>) {
        for (slot, copies) in slots {
            let staying = copies.iter().filter(|c| c.state.is_staying());
            if !kept.contains(slot) {
                staying.for_each(|c| self.stop(c, Because::TooMany));
                continue;
            }
            let keeper = newest_current(copies).map(|c| c.id);
            for double in staying.filter(|c| c.current && Some(c.id) != keeper) {
                if !double.state.is_ready() || self.can_spare() {
                    self.stop(double, Because::TooMany);
                }
            }
        }
    }

    /// Old copies whose slot has a ready new one.
    fn finish(&mut self, kept: &BTreeSet<u64>, slots: &Slots<'_>) {
        for copies in kept.iter().map(|slot| of(slots, *slot)) {
            if !newest_current(copies).is_some_and(|c| c.state.is_ready()) {
                continue;
            }
            for old in copies.iter().filter(|c| !c.current && c.state.is_staying()) {
                if !old.state.is_ready() || self.policy.by_slot || self.can_spare() {
                    self.stop(old, Because::Replaced);
                }
            }
        }
    }

    /// Old copies that are not ready are of no use; ready ones go as far as may be missing.
    fn make_room(&mut self, kept: &BTreeSet<u64>, slots: &Slots<'_>) {
        let mut olds: Vec<(bool, bool, &Copy)> = Vec::new();
        for copies in kept.iter().map(|slot| of(slots, *slot)) {
            let new = newest_current(copies);
            if new.is_some_and(|c| c.state.is_ready()) {
                continue;
            }
            for old in copies.iter().filter(|c| !c.current && c.state.is_staying()) {
                olds.push((old.state.is_ready(), new.is_some(), old));
            }
        }
        olds.sort_by_key(|(ready, accompanied, c)| (*ready, *accompanied, c.slot, c.id));
        for (ready, _, old) in olds {
            if (!ready || self.can_spare()) && self.begin(old.slot) {
                self.stop(old, Because::MakesRoom);
            }
        }
    }

    /// Slots in which nothing stays.
    fn fill(&mut self, kept: &BTreeSet<u64>, slots: &Slots<'_>) {
        for slot in kept {
            let copies = of(slots, *slot);
            if copies
                .iter()
                .any(|c| c.state.is_staying() && !self.stopped.contains(&c.id))
            {
                continue;
            }
            let from = self.launch_from(*slot);
            // Without surge an old copy is gone before the new one starts, however much room there is.
            let waits = self.policy.max_surge == 0 && copies.iter().any(|c| !c.current && c.state.is_live());
            if from > self.now {
                self.wake_by(from);
                self.reserved += 1;
            } else if !waits && self.total < self.policy.most(self.goal.count) {
                let replaces = copies.iter().rev().find(|c| !c.current && self.touched(c));
                self.start(*slot, replaces.map(|c| c.id));
            } else {
                self.reserved += 1;
            }
        }
    }

    /// Slots with an old copy only: the new one beside it, as far as there may be more than wanted.
    fn surge(&mut self, kept: &BTreeSet<u64>, slots: &Slots<'_>) {
        for slot in kept {
            let copies = of(slots, *slot);
            if newest_current(copies).is_some() {
                continue;
            }
            let Some(old) = copies
                .iter()
                .rev()
                .find(|c| c.state.is_staying() && !self.stopped.contains(&c.id))
            else {
                continue;
            };
            let most = self.policy.most(self.goal.count);
            if self.total.saturating_add(self.reserved) >= most || !self.may_begin {
                return;
            }
            let from = self.launch_from(*slot);
            if from > self.now {
                self.wake_by(from);
            } else if self.begin(*slot) {
                self.start(*slot, Some(old.id));
            }
        }
    }

    fn status(
        &mut self,
        halted: Option<RolloutStatus>,
        kept: &BTreeSet<u64>,
        copies: &[Copy],
        progress: &mut Progress,
    ) -> RolloutStatus {
        let ready = copies.iter().filter_map(|c| match c.state {
            CopyState::Ready { since } if c.current => Some(since),
            CopyState::Ready { .. }
            | CopyState::Coming { .. }
            | CopyState::Leaving
            | CopyState::Ended { .. } => None,
        });
        let newest = ready.max().unwrap_or(self.goal.since).max(self.goal.since);
        if let Some(halted) = halted {
            return halted;
        }
        let whole = progress.current_ready == progress.total && progress.total == count(kept.iter());
        if whole && self.steps.is_empty() {
            let until = newest.plus(self.policy.monitor);
            if until > self.now {
                self.wake_by(until);
                return RolloutStatus::Monitoring;
            }
            return RolloutStatus::Done;
        }
        if let Some(deadline) = self.policy.progress_deadline {
            let ends = copies.iter().filter_map(|c| match c.state {
                CopyState::Ended { at, .. } if !c.current => Some(at),
                CopyState::Ended { .. }
                | CopyState::Ready { .. }
                | CopyState::Coming { .. }
                | CopyState::Leaving => None,
            });
            let until = ends.max().unwrap_or(newest).max(newest).plus(deadline);
            progress.stalled = until <= self.now;
            if !progress.stalled {
                self.wake_by(until);
            }
        }
        RolloutStatus::Rolling
    }

    fn stop(&mut self, copy: &Copy, because: Because) {
        if copy.state.is_ready() {
            self.ready = self.ready.saturating_sub(1);
        }
        self.stopped.insert(copy.id);
        self.steps.push(Step::Stop { id: copy.id, because });
    }

    fn start(&mut self, slot: u64, replaces: Option<TaskId>) {
        self.total = self.total.saturating_add(1);
        let replaces = replaces.filter(|_| self.policy.keep_seats);
        self.steps.push(Step::Start { slot, replaces });
    }

    /// Whether one ready copy may go.
    fn can_spare(&self) -> bool {
        self.ready > self.policy.least_ready(self.goal.count)
    }

    /// Whether this slot may be moved now; takes a worker if it was not under way.
    fn begin(&mut self, slot: u64) -> bool {
        if self.begun.contains(&slot) {
            return true;
        }
        if !self.may_begin || self.workers == 0 {
            return false;
        }
        self.workers -= 1;
        self.begun.insert(slot);
        true
    }

    fn launch_from(&self, slot: u64) -> Moment {
        let own = self.goal.slot_launch_from.get(&slot).copied().unwrap_or_default();
        own.max(self.goal.launch_from)
    }

    /// Whether an old copy was or is there during this rollout.
    fn touched(&self, copy: &Copy) -> bool {
        match copy.state {
            CopyState::Ended { at, failed, .. } => at >= self.goal.since && !failed,
            CopyState::Coming { .. } | CopyState::Ready { .. } | CopyState::Leaving => true,
        }
    }

    fn failed_here(&self, copy: &Copy) -> bool {
        matches!(copy.state, CopyState::Ended { at, failed: true, .. } if at >= self.goal.since)
    }

    fn wake_by(&mut self, at: Moment) {
        self.wake_at = Some(self.wake_at.map_or(at, |have| have.min(at)));
    }
}

fn by_slot(copies: &[Copy]) -> Slots<'_> {
    let mut slots: Slots<'_> = BTreeMap::new();
    for copy in copies {
        slots.entry(copy.slot).or_default().push(copy);
    }
    for copies in slots.values_mut() {
        copies.sort_by_key(|c| c.id);
    }
    slots
}

fn of<'s, 'a>(slots: &'s Slots<'a>, slot: u64) -> &'s [&'a Copy] {
    slots.get(&slot).map_or(&[], Vec::as_slice)
}

/// The copy of the current version that holds a slot: a ready one before one that comes, then the newest.
fn newest_current<'a>(copies: &[&'a Copy]) -> Option<&'a Copy> {
    copies
        .iter()
        .filter(|c| c.current && c.state.is_staying())
        .max_by_key(|c| (c.state.is_ready(), c.id))
        .copied()
}

/// The slots that shall have a copy: those occupied, the first to be dropped left out, then those that an old
/// copy has left, then the lowest free ones.
fn keep(goal: &Goal, slots: &Slots<'_>) -> BTreeSet<u64> {
    let wanted = goal.count as usize;
    let mut occupied: Vec<(u64, u64)> = slots
        .iter()
        .filter_map(|(slot, copies)| {
            let staying = copies.iter().filter(|c| c.state.is_staying());
            // A slot that is being moved is as good as the better of its copies.
            staying.map(|c| c.drop_rank).min().map(|rank| (rank, *slot))
        })
        .collect();
    occupied.sort_unstable();
    occupied.truncate(wanted);
    let mut kept: BTreeSet<u64> = occupied.into_iter().map(|(_, slot)| slot).collect();
    let left = slots.iter().filter(|(_, copies)| {
        copies.iter().any(|c| match c.state {
            CopyState::Ended { at, .. } => at >= goal.since,
            CopyState::Leaving => true,
            CopyState::Coming { .. } | CopyState::Ready { .. } => false,
        })
    });
    let left: Vec<u64> = left.map(|(slot, _)| *slot).collect();
    for slot in left.into_iter().chain(0..) {
        if kept.len() >= wanted {
            break;
        }
        kept.insert(slot);
    }
    kept
}

/// Slots whose new copy failed in this rollout, within the time it is watched.
fn failed_slots(goal: &Goal, policy: &Policy, copies: &[Copy]) -> u32 {
    let failed: BTreeSet<u64> = copies
        .iter()
        .filter(|c| c.current)
        .filter(|c| match c.state {
            CopyState::Ended {
                at,
                failed: true,
                ran,
            } => at >= goal.since && ran.is_none_or(|ran| ran <= policy.monitor),
            CopyState::Ended { failed: false, .. }
            | CopyState::Coming { .. }
            | CopyState::Ready { .. }
            | CopyState::Leaving => false,
        })
        .map(|c| c.slot)
        .collect();
    count(failed.iter())
}

fn halt(goal: &Goal, policy: &Policy, failed: u32) -> Option<RolloutStatus> {
    let too_many = failed > 0 && f64::from(failed) > policy.max_failure_ratio * f64::from(goal.count);
    match policy.on_failure {
        FailureAction::Rollback if too_many => Some(RolloutStatus::RollBack),
        FailureAction::Pause if too_many => Some(RolloutStatus::Paused),
        FailureAction::Pause | FailureAction::Continue | FailureAction::Rollback => {
            goal.paused.then_some(RolloutStatus::Paused)
        }
    }
}

fn count<T>(items: impl Iterator<Item = T>) -> u32 {
    u32::try_from(items.count()).unwrap_or(u32::MAX)
}
