//! What planner and door share beside what is wanted and observed: launch delays, what waits, kills.

use crate::answer::task::TaskFailure;
use crate::delay::Delays;
use crate::path::AppId;
use crate::stamp::Stamp;
use parking_lot::Mutex;
use plenum_model::ids::TaskId;
use std::collections::{BTreeMap, BTreeSet};

/// What planner and door share beside what is wanted and observed. Short locks only.
#[derive(Debug, Default)]
pub struct Launches(Mutex<LaunchState>);

/// See [`Launches`].
#[derive(Debug, Default)]
pub struct LaunchState {
    /// Launch delays.
    pub delays: Delays,
    /// What waits to be launched, by app.
    pub waiting: BTreeMap<AppId, Waiting>,
    /// The newest launch of an app that the pool refused.
    pub refused: BTreeMap<AppId, TaskFailure>,
    /// Tasks that users want to be gone, whatever is wanted of their app.
    pub kills: BTreeSet<TaskId>,
}

/// What waits to be launched of one app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Since when something waits.
    pub since: Stamp,
    /// How many instances are due and held back by the launch delay; those that wait for room are tasks.
    pub held_back: usize,
}

impl Launches {
    /// Looks or changes; never waits inside.
    pub fn with<T>(&self, look: impl FnOnce(&mut LaunchState) -> T) -> T {
        look(&mut self.0.lock())
    }
}
