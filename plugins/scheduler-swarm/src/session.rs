//! Which session of the broker lives. Planner and desk both ask, so that neither acts on what was read before
//! the session it acts in.

use plenum_model::ids::SessionEpoch;
use plenum_sdk::driver::DriverState;
use std::sync::OnceLock;
use tokio::sync::watch;

/// The driver's state: set once, right after the driver is started with its planner.
pub type SessionState = OnceLock<watch::Receiver<DriverState>>;

/// The session that lives.
#[must_use]
pub fn live_session(state: &DriverState) -> Option<SessionEpoch> {
    match state {
        DriverState::Syncing(epoch) | DriverState::Live(epoch) => Some(*epoch),
        DriverState::Opening | DriverState::Down { .. } | DriverState::Stopped => None,
    }
}
