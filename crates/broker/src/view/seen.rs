//! Tenants and nodes as readers see them, of what the view keeps of them.

use super::{NodeSeen, TenantSeen};
use plenum_model::amounts::Amounts;
use plenum_model::node::Node;
use plenum_model::tenant::TenantUsage;

impl TenantSeen {
    pub(super) fn usage(&self) -> TenantUsage {
        TenantUsage {
            tenant: self.tenant.clone(),
            used: self.used.clone(),
            pending: self.pending.clone(),
            tasks: self.tasks,
        }
    }
}

impl NodeSeen {
    pub(super) fn node(&self) -> Node {
        let now = &self.now;
        Node {
            facts: now.facts.as_ref().clone(),
            liveness: now.liveness,
            scheduling: now.scheduling,
            held: self
                .held
                .iter()
                .map(|(s, t)| (s.to_string(), t.amounts.clone()))
                .collect(),
            tasks: self.held.iter().map(|(s, t)| (s.to_string(), t.tasks)).collect(),
            joined_at: now.joined_at,
            since: now.since,
            taints: now.taints.to_vec(),
        }
    }

    pub(super) fn free(&self) -> Amounts {
        let all = self.now.facts.allocatable();
        self.held
            .values()
            .fold(all, |free, tally| free.saturating_sub(&tally.amounts))
    }
}
