//! The nodes that pass what does not change with placements. Kept once for all terms that ask the same of a node for
//! good: there are many terms and few such questions.

use super::bits::Bits;
use super::needs::Needs;
use crate::fact::NodeIx;
use crate::ledger::nodes::Nodes;
use plenum_model::why::Cause;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// The nodes that pass, by how much they are wished for.
#[derive(Debug, Clone, Default)]
pub struct Eligible {
    version: usize,
    wishes: BTreeMap<Reverse<i64>, Bits>,
    /// Those that do not pass, by the first cause.
    against: BTreeMap<Cause, Bits>,
}

impl Eligible {
    /// Catches up with the nodes' facts and taints. `needs`: those of any of the terms that share this.
    pub fn refresh(&mut self, nodes: &Nodes, needs: &Needs) {
        let version = nodes.version();
        if version == self.version {
            return;
        }
        match nodes.changed_since(self.version) {
            Some(changed) => changed.iter().for_each(|ix| self.look(*ix, nodes, needs)),
            None => nodes.iter().for_each(|(ix, _)| self.look(ix, nodes, needs)),
        }
        self.version = version;
    }

    fn look(&mut self, ix: NodeIx, nodes: &Nodes, needs: &Needs) {
        take_out(&mut self.wishes, ix);
        take_out(&mut self.against, ix);
        let Some(node) = nodes.get(ix) else { return };
        let into = match needs.against(&node.facts, &node.taints) {
            None => {
                let wish = Reverse(needs.wish(&node.facts, &node.taints));
                self.wishes.entry(wish).or_default()
            }
            Some(cause) => self.against.entry(cause).or_default(),
        };
        into.put(ix, true);
    }

    /// How many of these nodes do not pass, by the first cause.
    pub fn against<'a>(&'a self, among: &'a Bits) -> impl Iterator<Item = (&'a Cause, usize)> {
        let counts = self
            .against
            .iter()
            .map(|(cause, bits)| (cause, bits.len_within(among)));
        counts.filter(|(_, count)| *count > 0)
    }

    /// All of them, one set for each wish, the most wished for first.
    pub fn groups(&self) -> impl Iterator<Item = &Bits> + Clone {
        self.wishes.values()
    }

    /// How much a node is wished for; none: it does not pass.
    #[must_use]
    pub fn wish(&self, ix: NodeIx) -> Option<i64> {
        let mut groups = self.wishes.iter();
        groups.find(|(_, bits)| bits.has(ix)).map(|(wish, _)| wish.0)
    }
}

/// Takes a node out of the set it is in; a set without any goes.
fn take_out<K: Ord + Clone>(sets: &mut BTreeMap<K, Bits>, ix: NodeIx) {
    let there = sets.iter_mut().find(|(_, bits)| bits.has(ix));
    let Some((key, bits)) = there else { return };
    bits.put(ix, false);
    if bits.is_empty() {
        let key = key.clone();
        sets.remove(&key);
    }
}
