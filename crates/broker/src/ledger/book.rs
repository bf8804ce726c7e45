//! The one place where amounts are booked: a task's node, its tenants, its ports and its workload always
//! agree, because nothing else writes what they hold.

use super::Ledger;
use crate::input::Held;
use plenum_model::amounts::Amounts;
use plenum_model::ids::TaskId;

/// What of a charge is held.
#[must_use]
pub fn part(charge: &Amounts, held: Held) -> Amounts {
    match held {
        Held::Nothing => Amounts::default(),
        Held::Disk => Amounts {
            disk_bytes: charge.disk_bytes,
            ..Amounts::default()
        },
        Held::Full => charge.clone(),
    }
}

impl Ledger {
    /// Changes what is held for a task on its node.
    pub(super) fn book(&mut self, id: TaskId, to: Held) {
        let Some(row) = self.tasks.get_mut(id) else { return };
        let (Some(node), from) = (row.node, row.held) else {
            return;
        };
        if from == to {
            return;
        }
        row.held = to;
        let terms = self.terms.row(row.terms);
        let shared = &terms.needs.terms;
        let (old, new) = (part(&shared.charge, from), part(&shared.charge, to));
        let ports = &row.task.status.ports;
        self.nodes.hold(node, |n| {
            n.used = n
                .used
                .saturating_sub(&old)
                .checked_add(&new)
                .unwrap_or_else(|| n.used.clone());
            if to == Held::Full {
                n.ports.hold(&shared.ports, ports);
            } else if from == Held::Full {
                n.ports.release(&shared.ports, ports);
            }
        });
        self.tenants.charge(&shared.tenant, &old, &new);
        let (ix, workload) = (row.terms, self.workloads.get_mut(terms.workload));
        if to == Held::Full {
            workload.add(node);
        } else if from == Held::Full {
            workload.remove(node);
        }
        if to == Held::Full || from == Held::Full {
            self.count(ix, node, to == Held::Full);
        }
        self.keep_again(node);
        if to < from {
            self.nodes.freed.insert(node);
        }
    }
}
