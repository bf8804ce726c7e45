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
        let (ix, terms) = (row.terms, self.terms.row(row.terms));
        let shared = &terms.needs.terms;
        let ports = &row.task.status.ports;
        let none = Amounts::default();
        let (disk, all) = (part(&shared.charge, Held::Disk), &shared.charge);
        let amounts = |held| match held {
            Held::Nothing => &none,
            Held::Disk => &disk,
            Held::Full => all,
        };
        let (old, new) = (amounts(from), amounts(to));
        let in_full = to == Held::Full || from == Held::Full;
        // What declares no disk gives nothing back when it is forgotten.
        if in_full || old != new {
            self.nodes.hold(node, |n| {
                n.used.take(old);
                n.used.add(new);
                if to == Held::Full {
                    n.ports.hold(&shared.ports, ports);
                } else if from == Held::Full {
                    n.ports.release(&shared.ports, ports);
                }
            });
            if let Some(tenant) = terms.tenant {
                self.tenants.charge(tenant, old, new);
            }
            if to < from {
                self.nodes.freed.insert(node);
            }
        }
        let workload = self.workloads.get_mut(terms.workload);
        if to == Held::Full {
            workload.add(node);
        } else if from == Held::Full {
            workload.remove(node);
        }
        if in_full {
            self.count(ix, node, to == Held::Full);
        }
        self.keep_again(node);
    }
}
