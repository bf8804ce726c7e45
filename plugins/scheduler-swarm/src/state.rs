//! What all handlers share.

use crate::config::SwarmConfig;
use crate::desk::Desk;
use crate::events::Events;
use plenum_contract::pool::Pool;
use plenum_contract::state_store::StateStore;
use plenum_contract::streams::Streams;
use plenum_model::ids::SchedulerId;
use plenum_sdk::driver::Waker;
use plenum_sdk::mirror::Mirror;
use plenum_sdk::time::Clock;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// See the module's header.
pub struct DoorState {
    /// Changes, and what is wanted.
    pub desk: Desk,
    /// What is observed.
    pub mirror: Mirror,
    /// Makes the planner look again.
    pub waker: Waker,
    /// Nodes, why tasks wait, and what may be told the broker.
    pub pool: Arc<dyn Pool>,
    /// Bytes of containers.
    pub streams: Arc<dyn Streams>,
    /// Bytes of secrets and configs.
    pub store: Arc<dyn StateStore>,
    /// Events.
    pub events: Events,
    /// Who is attached to single containers.
    pub containers: crate::container::Plans,
    /// The plugin's configuration.
    pub config: SwarmConfig,
    /// The name of this scheduler.
    pub scheduler: SchedulerId,
    /// Host and port under which the TCP door is reached.
    pub authority: String,
    /// The time.
    pub clock: Clock,
    /// Ends streams when the door ends.
    pub stopping: CancellationToken,
}

impl DoorState {
    /// Now, in Unix milliseconds.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.clock.now().0
    }
}

/// As handlers hold it.
pub type Shared = Arc<DoorState>;
