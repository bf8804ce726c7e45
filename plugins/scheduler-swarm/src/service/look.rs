//! One service at one moment, as the rollout engine wants to see it: its copies, which of them may not stay
//! where they are, and when its slots may start again.

use super::node::{Availability, SwarmNode};
use super::place::Places;
use super::record::ServiceRecord;
use super::restart::{Restarts, Verdict, ended_at, ended_by_itself};
use super::rollout;
use super::spec::Copies;
use crate::ids;
use crate::store::{Desired, Stored};
use plenum_model::ids::{NodeId, TaskId};
use plenum_model::task::Task;
use plenum_sdk::health::HealthGate;
use plenum_sdk::observed::Observed;
use plenum_sdk::rollout::copies::{self, Copy, CopyState};
use plenum_sdk::rollout::engine::{self, Goal, Next};
use plenum_sdk::time::Moment;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One service at one moment.
pub(super) struct Look<'a> {
    pub(super) record: &'a Stored<ServiceRecord>,
    pub(super) desired: &'a Desired,
    pub(super) observed: &'a Observed,
    pub(super) nodes: &'a [SwarmNode],
    pub(super) places: Places,
    pub(super) restarts: Restarts,
    pub(super) version: String,
    pub(super) now: Moment,
}

/// Whether a live task may stay where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Yes.
    Stays,
    /// Its node is drained, or it waits under rules that hold no longer.
    Moves,
    /// Its node no longer meets the constraints.
    Evicted,
}

/// Which slots may start from when.
pub(super) struct Slots {
    pub(super) launch_from: BTreeMap<u64, Moment>,
    /// Nothing more starts in these: the restart policy forbids it.
    pub(super) over: BTreeSet<u64>,
}

impl<'a> Look<'a> {
    pub(super) fn of(
        record: &'a Stored<ServiceRecord>,
        desired: &'a Desired,
        observed: &'a Observed,
        nodes: &'a [SwarmNode],
        now: Moment,
    ) -> Self {
        let task = record.spec.task.as_ref();
        Self {
            record,
            desired,
            observed,
            nodes,
            places: Places::of(task.and_then(|t| t.placement.as_ref())),
            restarts: Restarts::of(task),
            version: record.version(),
            now,
        }
    }

    pub(super) fn tasks(&self) -> impl Iterator<Item = &'a Arc<Task>> {
        self.observed.workload(&self.record.id)
    }

    pub(super) fn live(&self) -> impl Iterator<Item = &'a Arc<Task>> {
        self.tasks()
            .filter(|t| !t.released && !t.status.phase().is_terminal())
    }

    pub(super) fn slots(&self) -> BTreeSet<u64> {
        self.tasks().map(|t| t.seat.slot).collect()
    }

    /// Whether a live task may stay.
    pub(super) fn fate(&self, task: &Task) -> Fate {
        let Some(id) = &task.status.node else {
            return if self.is_stale(task) {
                Fate::Moves
            } else {
                Fate::Stays
            };
        };
        let Some(node) = self.nodes.iter().find(|n| n.node.facts.id == *id) else {
            return Fate::Stays;
        };
        if node.availability() == Availability::Drain {
            Fate::Moves
        } else if self.places.allows(node) {
            Fate::Stays
        } else {
            Fate::Evicted
        }
    }

    /// A waiting task whose nodes are no longer those that its constraints allow.
    fn is_stale(&self, task: &Task) -> bool {
        if self.record.spec.copies() == Copies::Global {
            return !self
                .nodes
                .iter()
                .any(|n| slot_of(&n.node.facts.id) == task.seat.slot && self.places.allows(n));
        }
        let now = self.places.rules(self.nodes);
        task.terms.rules.required != now.required || task.terms.rules.limits != now.limits
    }

    /// The copies of the service as the engine sees them, their slots counted from 0.
    pub(super) fn copies(&self, gone: &BTreeSet<TaskId>, index: impl Fn(u64) -> Option<u64>) -> Vec<Copy> {
        let is_current = |t: &Task| t.terms.workload.version == self.version;
        let gate = HealthGate::default();
        let mut all = copies::of_workload(self.observed, &self.record.id, self.now, gate, is_current);
        all.retain_mut(|copy| {
            if gone.contains(&copy.id) {
                copy.state = copies::CopyState::Leaving;
            }
            match index(copy.slot) {
                Some(slot) => {
                    copy.slot = slot;
                    true
                }
                None => false,
            }
        });
        all
    }

    /// When each of these slots may start a task of the wanted version.
    pub(super) fn goal_slots(&self, slots: BTreeSet<u64>, index: impl Fn(u64) -> Option<u64>) -> Slots {
        let mut out = Slots {
            launch_from: BTreeMap::new(),
            over: BTreeSet::new(),
        };
        for slot in slots {
            let Some(place) = index(slot) else {
                continue;
            };
            let tasks: Vec<&Arc<Task>> = self
                .observed
                .slot(&self.record.id, slot)
                .filter(|t| t.terms.workload.version == self.version)
                .collect();
            match self.restarts.verdict(self.now, &tasks) {
                Verdict::From(at) => {
                    out.launch_from.insert(place, at);
                }
                Verdict::Over => {
                    out.over.insert(place);
                }
            }
        }
        out
    }

    pub(super) fn next(&self, count: u32, all: &[Copy], launch_from: &BTreeMap<u64, Moment>) -> Next {
        let goal = Goal {
            count,
            since: Moment(self.record.version_since),
            paused: rollout::is_paused(self.record),
            launch_from: Moment(0),
            slot_launch_from: launch_from.clone(),
        };
        let policy = rollout::policy(self.record, count, self.failing(all));
        engine::next(&goal, &policy, all, self.now)
    }

    /// How many slots have nothing that runs because their tasks of the wanted version failed.
    fn failing(&self, all: &[Copy]) -> u32 {
        let since = Moment(self.record.version_since);
        let mut slots = BTreeSet::new();
        for copy in all.iter().filter(|c| c.current) {
            if matches!(copy.state, CopyState::Ended { at, failed: true, .. } if at >= since) {
                slots.insert(copy.slot);
            }
        }
        for copy in all.iter().filter(|c| c.state.is_ready()) {
            slots.remove(&copy.slot);
        }
        u32::try_from(slots.len()).unwrap_or(u32::MAX)
    }

    /// The id of the task whose end stopped the update.
    pub(super) fn newest_failure(&self) -> String {
        self.tasks()
            .filter(|t| t.terms.workload.version == self.version && ended_by_itself(t))
            .max_by_key(|t| (ended_at(t), t.id()))
            .map(|t| ids::task(t.id()))
            .unwrap_or_default()
    }
}

/// Which slots go first when there are too many: what does not run, then those on the nodes that have most.
pub(super) fn rank(copies: &mut [Copy], observed: &Observed) {
    let mut on_node: BTreeMap<Option<NodeId>, u64> = BTreeMap::new();
    copies.sort_by_key(|c| (c.slot, c.id));
    for copy in copies.iter_mut().filter(|c| c.state.is_staying()) {
        let node = observed.task(copy.id).and_then(|t| t.status.node.clone());
        let nth = on_node.entry(node).or_default();
        copy.drop_rank = *nth
            + if copy.state.is_ready() {
                0
            } else {
                u64::from(u32::MAX)
            };
        *nth += 1;
    }
}

/// The slot of a global service on a node: a function of its name.
#[must_use]
pub(super) fn slot_of(node: &NodeId) -> u64 {
    let digest = ids::digest(node.as_str().as_bytes());
    u64::from_str_radix(&digest[..15], 16).unwrap_or(0)
}
