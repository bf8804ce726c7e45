//! How a rollout goes, lowered from each orchestrator's own words to counts.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How a rollout goes. Counts are of this rollout's `count`; make a new policy when the count changes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policy {
    /// How many copies beyond the count may exist while rolling. If this and `max_unavailable` are both 0,
    /// one is allowed, since nothing could ever move otherwise.
    pub max_surge: u32,
    /// How many copies fewer than the count may be ready because of this rollout.
    pub max_unavailable: u32,
    /// Whether an old copy goes as soon as its own slot has a ready new one, whatever the other slots do;
    /// otherwise it stays while too few are ready in all.
    pub by_slot: bool,
    /// Whether a new copy asks for the room of the one before it in its slot. Off in every policy here: the
    /// broker has to keep the seats of predecessors, and refuses what it does not keep.
    pub keep_seats: bool,
    /// How many slots may be under way at once; none: as many as the bounds allow.
    pub parallelism: Option<u32>,
    /// How long a slot stays under way after its new copy is ready.
    pub delay: Duration,
    /// How long after it started a new copy's end counts as a failure of the rollout, and how long the rollout
    /// stays open after its last copy is ready.
    pub monitor: Duration,
    /// What too many failures mean.
    pub on_failure: FailureAction,
    /// The share of slots whose new copy may fail, 0 to 1.
    pub max_failure_ratio: f64,
    /// How long nothing may move before the rollout counts as stalled.
    pub progress_deadline: Option<Duration>,
}

/// What too many failures of new copies mean.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FailureAction {
    /// Begin no other slot.
    Pause,
    /// Go on.
    #[default]
    Continue,
    /// Begin no other slot; the scheduler makes the version before current again.
    Rollback,
}

/// Which of the two copies of a slot goes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// The old one ends, then the new one starts.
    #[default]
    StopFirst,
    /// The new one is ready, then the old one ends.
    StartFirst,
}

/// A count, or a percentage of the wanted count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Share {
    /// So many.
    Count(u32),
    /// So many per cent.
    Percent(u32),
}

/// Docker's `UpdateConfig` and `RollbackConfig`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SwarmUpdate {
    /// Slots under way at once; 0: all.
    pub parallelism: u32,
    /// Between the readiness of one copy and the next slot.
    pub delay: Duration,
    /// How long a new copy is watched for failure.
    pub monitor: Duration,
    /// What too many failures mean.
    pub on_failure: FailureAction,
    /// The share of copies that may fail, 0 to 1.
    pub max_failure_ratio: f64,
    /// Which copy goes first.
    pub order: Order,
}

impl Policy {
    /// Everything at once, without waiting for anything.
    #[must_use]
    pub fn at_once(count: u32) -> Self {
        Self {
            max_surge: 0,
            max_unavailable: count,
            by_slot: false,
            keep_seats: false,
            parallelism: None,
            delay: Duration::ZERO,
            monitor: Duration::ZERO,
            on_failure: FailureAction::Continue,
            max_failure_ratio: 0.0,
            progress_deadline: None,
        }
    }

    /// Marathon's `upgradeStrategy`: at least `ceil(count * minimum_health)` ready, at most
    /// `floor(count * (1 + over_capacity))` in all, one more if those are the same. For a resident app, which
    /// cannot have two copies of an instance, `resident` lets one go instead.
    #[must_use]
    pub fn marathon(count: u32, minimum_health: f64, over_capacity: f64, resident: bool) -> Self {
        let n = f64::from(count);
        // Both factors are within 0 and 1, so the results are within 0 and 2 * count.
        let min_healthy = ((n * minimum_health.clamp(0.0, 1.0)).ceil() as u32).min(count);
        let max_capacity = ((n * (1.0 + over_capacity.clamp(0.0, 1.0))).floor() as u32).max(count);
        let (max_surge, max_unavailable) = match (max_capacity - count, count - min_healthy) {
            (0, 0) if resident => (0, 1),
            (0, 0) => (1, 0),
            (_, unavailable) if resident => (0, unavailable.max(1)),
            both => both,
        };
        Self {
            max_surge,
            max_unavailable,
            ..Self::at_once(count)
        }
    }

    /// Docker's update configuration.
    #[must_use]
    pub fn swarm(count: u32, update: SwarmUpdate) -> Self {
        let at_once = if update.parallelism == 0 {
            count
        } else {
            update.parallelism
        };
        let (max_surge, max_unavailable) = match update.order {
            Order::StopFirst => (0, at_once),
            Order::StartFirst => (at_once, 0),
        };
        Self {
            max_surge,
            max_unavailable,
            by_slot: true,
            keep_seats: false,
            parallelism: (update.parallelism > 0).then_some(update.parallelism),
            delay: update.delay,
            monitor: update.monitor,
            on_failure: update.on_failure,
            max_failure_ratio: update.max_failure_ratio,
            progress_deadline: None,
        }
    }

    /// A Kubernetes Deployment's `RollingUpdate`: surge rounds up, unavailable down, and if both come to 0 one
    /// may be unavailable.
    #[must_use]
    pub fn deployment(
        count: u32,
        surge: Share,
        unavailable: Share,
        progress_deadline: Option<Duration>,
    ) -> Self {
        let max_surge = surge.of(count, true);
        let max_unavailable = match (max_surge, unavailable.of(count, false)) {
            (0, 0) => 1,
            (_, n) => n,
        };
        Self {
            max_surge,
            max_unavailable,
            progress_deadline,
            ..Self::at_once(count)
        }
    }

    /// The most copies that may exist.
    #[must_use]
    pub fn most(&self, count: u32) -> u32 {
        let stuck = self.max_surge == 0 && self.max_unavailable == 0;
        count
            .saturating_add(self.max_surge)
            .saturating_add(u32::from(stuck))
    }

    /// The ready copies that no step may take away.
    #[must_use]
    pub fn least_ready(&self, count: u32) -> u32 {
        count.saturating_sub(self.max_unavailable)
    }
}

impl Share {
    fn of(self, count: u32, up: bool) -> u32 {
        match self {
            Self::Count(n) => n,
            Self::Percent(p) => {
                let product = u64::from(count) * u64::from(p);
                let n = if up { product.div_ceil(100) } else { product / 100 };
                u32::try_from(n).unwrap_or(u32::MAX)
            }
        }
    }
}
