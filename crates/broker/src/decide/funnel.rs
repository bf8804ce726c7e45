//! Why a class waits: every node's first cause, counted. What does not change with placements is counted from the
//! indexes; only nodes that nothing lasting stands against are looked at one by one, and of those little more than what
//! is free.

use super::Core;
use crate::fact::NodeIx;
use crate::ledger::queue::ClassKey;
use crate::place::levels::{INDEXED, NAMES, indexed};
use crate::place::sieve::Sieve;
use crate::place::verdict::{Extra, verdict};
use plenum_model::amounts::Amounts;
use plenum_model::ids::TaskId;
use plenum_model::why::{Cause, Why};
use std::collections::BTreeMap;

impl Core {
    /// Every node's first cause, counted.
    pub(super) fn funnel(&self, key: &ClassKey, id: TaskId, holds: Option<&Amounts>) -> Why {
        let nodes = &self.ledger.nodes;
        let mut by: BTreeMap<Cause, usize> = BTreeMap::new();
        if let Some(only) = key.node {
            let there = usize::from(nodes.get(only).is_some());
            by.insert(Cause::NotPinned, nodes.len() - there);
            if let Some(cause) = self.against(key, id, only, holds) {
                *by.entry(cause).or_default() += there;
            }
        } else if let Some(row) = self.ledger.terms.get(key.terms) {
            by.insert(Cause::Unreachable, nodes.len() - nodes.ready.len());
            by.insert(Cause::Cordoned, nodes.ready.len() - nodes.takes.len());
            let eligible = self.ledger.terms.eligible(row);
            for (cause, count) in eligible.against(&nodes.takes) {
                by.insert(cause.clone(), count);
            }
            self.count_room(key, id, holds, &mut by);
        }
        let counted = by.into_iter().filter(|(_, count)| *count > 0);
        Why {
            nodes: self.node_count(),
            by: counted
                .map(|(cause, count)| (cause, u32::try_from(count).unwrap_or(u32::MAX)))
                .collect(),
            ..Why::default()
        }
    }

    /// Counts the causes against those nodes that only room, ports and other tasks can stand in the way of.
    fn count_room(
        &self,
        key: &ClassKey,
        id: TaskId,
        holds: Option<&Amounts>,
        by: &mut BTreeMap<Cause, usize>,
    ) {
        let ledger = &self.ledger;
        let Some(row) = ledger.terms.get(key.terms) else {
            return;
        };
        let charge = &row.needs.terms.charge;
        let asked = holds.map_or(indexed(charge), |holds| indexed(&charge.saturating_sub(holds)));
        let mut short = [0_usize; INDEXED];
        for group in ledger.terms.eligible(row).groups() {
            let mut set = Sieve::of(group);
            set.keep(&ledger.nodes.takes);
            for ix in set.iter() {
                let free = ledger.nodes.levels.free(ix);
                let lacks = (0..INDEXED).find(|r| asked[*r] > free[*r]);
                // What other tasks forbid comes before what there is no room for.
                let alone = row.related.bars.is_empty()
                    || row.related.around(ix, &ledger.tallies).against().is_none();
                if let Some(lacks) = lacks.filter(|_| alone) {
                    short[lacks] += 1;
                } else if let Some(cause) = self.against(key, id, ix, holds) {
                    *by.entry(cause).or_default() += 1;
                }
            }
        }
        for (resource, count) in NAMES.into_iter().zip(short) {
            *by.entry(Cause::Short(resource)).or_default() += count;
        }
    }

    /// The first cause against a node for a task that holds so much of it already, or for which that is kept there.
    pub(super) fn against(
        &self,
        key: &ClassKey,
        id: TaskId,
        ix: NodeIx,
        holds: Option<&Amounts>,
    ) -> Option<Cause> {
        let (row, node) = (self.ledger.terms.get(key.terms)?, self.ledger.nodes.get(ix)?);
        let kept = self.kept_for(id).filter(|(there, ..)| *there == ix);
        let extra = Extra {
            task: id,
            holds: kept.as_ref().map(|(_, amounts, _)| amounts).or(holds),
            given: kept.as_ref().map(|(_, _, ports)| ports.as_slice()),
            past_cordon: false,
        };
        let around = row.related.around(ix, &self.ledger.tallies);
        verdict(&row.needs, &node.look(), &extra, &around).err()
    }
}
