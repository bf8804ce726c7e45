//! The nodes that pass what does not change with placements. Kept once for all terms that ask the same of a node for
//! good: there are many terms and few such questions.

use super::bits::Bits;
use super::needs::Needs;
use crate::fact::NodeIx;
use crate::ledger::nodes::Nodes;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// The nodes that pass, by how much they are wished for.
#[derive(Debug, Clone, Default)]
pub struct Eligible {
    version: usize,
    wishes: BTreeMap<Reverse<i64>, Bits>,
}

impl Eligible {
    /// Catches up with the nodes' facts. `needs`: those of any of the terms that share this.
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
        let now = nodes
            .get(ix)
            .filter(|n| needs.against(&n.facts).is_none())
            .map(|n| needs.wish(&n.facts));
        let was = self.wish(ix);
        if was == now {
            return;
        }
        if let Some(wish) = was {
            let bits = self.wishes.entry(Reverse(wish)).or_default();
            bits.put(ix, false);
            if bits.is_empty() {
                self.wishes.remove(&Reverse(wish));
            }
        }
        if let Some(wish) = now {
            self.wishes.entry(Reverse(wish)).or_default().put(ix, true);
        }
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
