//! The planner that the reconcile driver calls: services and single containers, each by its own.

use crate::container::planner::ContainerPlanner;
use crate::desk::Desk;
use crate::service::planner::ServicePlanner;
use plenum_contract::broker::Refusal;
use plenum_sdk::desk::{SessionState, Wanted};
use plenum_sdk::observed::Observed;
use plenum_sdk::plan::Plan;
use plenum_sdk::planner::{Change, Planner};
use plenum_sdk::time::Moment;
use std::sync::Arc;

pub(crate) struct SwarmPlanner {
    pub(crate) desk: Desk,
    pub(crate) session: Arc<SessionState>,
    pub(crate) services: ServicePlanner,
    pub(crate) containers: ContainerPlanner,
}

impl Planner for SwarmPlanner {
    fn plan(&mut self, now: Moment, observed: &Observed) -> Plan {
        let desired = self.desk.desired();
        let session = self.session.get().and_then(|s| s.borrow().session());
        if !desired.is_current(session) {
            return Plan::default(); // the desk wakes the driver when it has read what is wanted
        }
        let mut plan = self.services.plan(now, &desired, observed);
        plan.merge(self.containers.plan(now, &desired, observed));
        plan
    }

    fn noticed(&mut self, now: Moment, changes: &[Change]) {
        self.services.noticed(now, changes);
        self.containers.noticed(now, changes);
    }

    fn refused(&mut self, now: Moment, refusals: &[Refusal]) {
        self.services.refused(now, refusals);
        self.containers.refused(now, refusals);
    }
}
