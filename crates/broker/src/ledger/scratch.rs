//! Placements that are tried and undone: what a task would hold is booked wherever placement looks, without a fact,
//! and taken back. Until all of it is taken back nothing else may be decided.

use super::Ledger;
use super::tenants::TenantIx;
use crate::fact::NodeIx;
use crate::place::relation::{Stir, TallyIx};
use plenum_model::amounts::Amounts;
use plenum_model::ids::TaskId;
use std::collections::BTreeSet;

/// What must not be changed by what was only tried.
#[derive(Debug)]
pub struct Before {
    freed: BTreeSet<TenantIx>,
    stirred: Vec<(TallyIx, Stir)>,
}

impl Ledger {
    /// Begins to try.
    pub fn begin_to_try(&mut self) -> Before {
        Before {
            freed: self.tenants.freed.clone(),
            stirred: self.tallies.take_stirred(),
        }
    }

    /// Books what a task would hold on a node, or takes it back.
    pub fn book_on_trial(&mut self, id: TaskId, node: NodeIx, ports: &[u16], within: bool) {
        let Some(row) = self.tasks.get(id) else { return };
        let (ix, none) = (row.terms, Amounts::default());
        let terms = self.terms.row(ix);
        let (shared, workload) = (&terms.needs.terms, terms.workload);
        self.nodes.hold(node, |n| {
            if within {
                n.used.add(&shared.charge);
                n.ports.hold(&shared.ports, ports);
            } else {
                n.used.take(&shared.charge);
                n.ports.release(&shared.ports, ports);
            }
        });
        if let Some(tenant) = terms.tenant {
            let (old, new) = if within {
                (&none, &shared.charge)
            } else {
                (&shared.charge, &none)
            };
            self.tenants.charge(tenant, old, new);
        }
        let workload = self.workloads.get_mut(workload);
        if within {
            workload.add(node);
        } else {
            workload.remove(node);
        }
        self.count(ix, node, within);
    }

    /// All that was tried has been taken back.
    pub fn end_of_try(&mut self, before: Before) {
        self.tenants.freed = before.freed;
        self.tallies.take_stirred();
        self.tallies.stir_again(before.stirred);
    }
}
