//! Which tasks there shall be for services.

use crate::config::SwarmConfig;
use crate::desk::Desk;
use crate::events::Events;
use crate::store::Desired;
use plenum_contract::broker::Refusal;
use plenum_sdk::observed::Observed;
use plenum_sdk::plan::Plan;
use plenum_sdk::planner::Change;
use plenum_sdk::time::Moment;

/// See the module's header.
pub struct ServicePlanner {
    desk: Desk,
    config: SwarmConfig,
    events: Events,
}

impl ServicePlanner {
    /// A planner that remembers nothing yet.
    #[must_use]
    pub fn new(desk: Desk, config: SwarmConfig, events: Events) -> Self {
        Self { desk, config, events }
    }

    /// What shall be done now.
    pub fn plan(&mut self, _now: Moment, _desired: &Desired, _observed: &Observed) -> Plan {
        Plan::default()
    }

    /// What has changed.
    pub fn noticed(&mut self, _now: Moment, _changes: &[Change]) {}

    /// What the broker refused.
    pub fn refused(&mut self, _now: Moment, _refusals: &[Refusal]) {}
}
