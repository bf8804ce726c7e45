//! Which nodes are together: the domains of each key that tallies count by, kept once however many tallies do.

use crate::fact::NodeIx;
use crate::ledger::nodes::Nodes;
use crate::place::bits::Bits;
use plenum_model::node::NodeFacts;
use plenum_model::tally::Tally;
use std::collections::HashMap;
use std::sync::Arc;

/// A key, by number; used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyIx(u32);

/// A domain of a key, by number; used again once no node is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainIx(u32);

/// The number of no domain.
const NOWHERE: u32 = u32::MAX;

/// The nodes of one domain.
#[derive(Debug, Clone)]
pub enum Members {
    /// Few among many nodes, one by one.
    Few(Vec<NodeIx>),
    /// So many that whole words of a set are quicker.
    Many(Bits),
}

impl Members {
    /// Puts all of them into a set or takes them out.
    pub fn put_into(&self, set: &mut Bits, within: bool) {
        match (self, within) {
            (Self::Few(nodes), _) => nodes.iter().for_each(|ix| set.put(*ix, within)),
            (Self::Many(bits), true) => set.join(bits),
            (Self::Many(bits), false) => set.without(bits),
        }
    }

    fn put(&mut self, ix: NodeIx, nodes: usize) {
        match self {
            Self::Many(bits) => bits.put(ix, true),
            Self::Few(few) => {
                few.push(ix);
                if few.len() > 8 + nodes / 64 {
                    let mut bits = Bits::default();
                    few.iter().for_each(|ix| bits.put(*ix, true));
                    *self = Self::Many(bits);
                }
            }
        }
    }

    fn take(&mut self, ix: NodeIx) {
        match self {
            Self::Many(bits) => bits.put(ix, false),
            Self::Few(few) => few.retain(|other| *other != ix),
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Many(bits) => bits.is_empty(),
            Self::Few(few) => few.is_empty(),
        }
    }

    /// Whether one of them is in a set.
    #[must_use]
    pub fn meet(&self, set: &Bits) -> bool {
        match self {
            Self::Many(bits) => bits.meets(set),
            Self::Few(few) => few.iter().any(|ix| set.has(*ix)),
        }
    }
}

/// The domains of one key.
#[derive(Debug, Default)]
pub struct KeyRow {
    refs: usize,
    /// Whose key and nodes divide; none: the row is not used.
    by: Option<Arc<Tally>>,
    numbers: HashMap<String, DomainIx>,
    members: Vec<Members>,
    unused: Vec<DomainIx>,
    of_node: Vec<u32>,
    /// Nodes that are in a domain.
    pub within: Bits,
}

impl KeyRow {
    /// The domain of a node.
    #[must_use]
    pub fn of(&self, node: NodeIx) -> Option<DomainIx> {
        let number = self.of_node.get(node.at()).copied()?;
        (number != NOWHERE).then_some(DomainIx(number))
    }

    /// The nodes of a domain.
    #[must_use]
    pub fn members(&self, domain: DomainIx) -> &Members {
        &self.members[domain.0 as usize]
    }

    /// How many domains there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.numbers.len()
    }

    /// How many domains have a node in the set; stops counting at `enough`.
    #[must_use]
    pub fn count_in<'b>(&self, sets: impl Iterator<Item = &'b Bits> + Clone, enough: u32) -> u32 {
        let some = |members: &&Members| sets.clone().any(|set| members.meet(set));
        let count = self.members.iter().filter(some).take(enough as usize).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    fn regroup(&mut self, ix: NodeIx, facts: Option<&NodeFacts>) {
        let Some(by) = self.by.clone() else { return };
        let domain = facts.and_then(|facts| by.domain(facts));
        let old = self.of(ix);
        if let (Some(old), Some(domain)) = (old, domain)
            && self.numbers.get(domain) == Some(&old)
        {
            return;
        }
        if ix.at() >= self.of_node.len() {
            self.of_node.resize(ix.at() + 1, NOWHERE);
        }
        if let Some(old) = old {
            let members = &mut self.members[old.0 as usize];
            members.take(ix);
            if members.is_empty() {
                *members = Members::Few(Vec::new());
                self.numbers.retain(|_, number| *number != old);
                self.unused.push(old);
            }
        }
        let new = domain.map(|domain| self.number(domain));
        self.of_node[ix.at()] = new.map_or(NOWHERE, |new| new.0);
        self.within.put(ix, new.is_some());
        if let Some(new) = new {
            let nodes = self.of_node.len();
            self.members[new.0 as usize].put(ix, nodes);
        }
    }

    fn number(&mut self, domain: &str) -> DomainIx {
        if let Some(known) = self.numbers.get(domain) {
            return *known;
        }
        let number = self.unused.pop().unwrap_or_else(|| {
            self.members.push(Members::Few(Vec::new()));
            DomainIx(u32::try_from(self.members.len() - 1).unwrap_or(NOWHERE))
        });
        self.numbers.insert(domain.to_owned(), number);
        number
    }
}

/// All keys.
#[derive(Debug, Default)]
pub struct Keys {
    rows: Vec<KeyRow>,
    unused: Vec<KeyIx>,
}

impl Keys {
    /// Refers to the key of a tally once more.
    pub fn refer(&mut self, tally: &Arc<Tally>, nodes: &Nodes) -> KeyIx {
        let same = |row: &KeyRow| {
            row.by
                .as_ref()
                .is_some_and(|by| by.key == tally.key && by.nodes == tally.nodes)
        };
        if let Some(at) = self.rows.iter().position(same) {
            self.rows[at].refs += 1;
            return KeyIx(u32::try_from(at).unwrap_or(u32::MAX));
        }
        let ix = self.unused.pop().unwrap_or_else(|| {
            self.rows.push(KeyRow::default());
            KeyIx(u32::try_from(self.rows.len() - 1).unwrap_or(u32::MAX))
        });
        let row = &mut self.rows[ix.0 as usize];
        *row = KeyRow {
            refs: 1,
            by: Some(Arc::clone(tally)),
            ..KeyRow::default()
        };
        for (node, facts) in nodes.iter() {
            row.regroup(node, Some(&facts.facts));
        }
        ix
    }

    /// Refers to it once less.
    pub fn drop_ref(&mut self, ix: KeyIx) {
        let row = &mut self.rows[ix.0 as usize];
        row.refs -= 1;
        if row.refs == 0 {
            *row = KeyRow::default();
            self.unused.push(ix);
        }
    }

    /// A key.
    #[must_use]
    pub fn get(&self, ix: KeyIx) -> &KeyRow {
        &self.rows[ix.0 as usize]
    }

    /// A node has other facts now, or is gone. Nothing may be counted on it meanwhile.
    pub fn regroup(&mut self, ix: NodeIx, facts: Option<&NodeFacts>) {
        self.rows.iter_mut().for_each(|row| row.regroup(ix, facts));
    }
}
