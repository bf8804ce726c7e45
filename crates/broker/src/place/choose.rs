//! Which of the nodes that can take a task gets it. Small pools are looked at node by node; in large ones the
//! index names candidates in the order of the strategy and a bounded number of them is looked at, so that a
//! placement costs the same whatever the number of nodes. When the bound is hit, every node is looked at: a
//! task never waits because the index was coarse.

use super::bits::Bits;
use super::levels::{INDEXED, indexed};
use super::needs::Needs;
use super::relation::{Counts, Order};
use super::sieve::Sieve;
use super::verdict::{Extra, room};
use crate::fact::NodeIx;
use crate::ledger::nodes::Nodes;
use crate::ledger::relations::Related;
use crate::ledger::tallies::Tallies;
use crate::ledger::workloads::WorkloadRow;
use plenum_model::amounts::Amounts;
use plenum_model::rules::Strategy;
use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BTreeSet};

/// Fitting nodes of one level that are compared exactly: levels are narrow, a few are as good as all.
const COMPARED: usize = 8;
/// Nodes that may fail the exact look before all are looked at.
const FAILURES: usize = 96;

/// The nodes that pass what does not change with placements, by how much they are wished for.
#[derive(Debug, Clone, Default)]
pub struct Eligible {
    version: usize,
    wishes: BTreeMap<Reverse<i64>, Bits>,
    place: Vec<Option<i64>>,
}

impl Eligible {
    /// Catches up with the nodes' facts.
    pub fn refresh(&mut self, nodes: &Nodes, needs: &Needs) {
        match nodes.changed_since(self.version) {
            Some(changed) => changed.iter().for_each(|ix| self.look(*ix, nodes, needs)),
            None => nodes.iter().for_each(|(ix, _)| self.look(ix, nodes, needs)),
        }
        self.version = nodes.version();
    }

    fn look(&mut self, ix: NodeIx, nodes: &Nodes, needs: &Needs) {
        let now = nodes
            .get(ix)
            .filter(|n| needs.against(&n.facts, &n.taints).is_none())
            .map(|n| needs.wish(&n.facts, &n.taints));
        if ix.at() >= self.place.len() {
            self.place.resize(ix.at() + 1, None);
        }
        let was = std::mem::replace(&mut self.place[ix.at()], now);
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

    /// All of them, one set for each wish.
    pub fn groups(&self) -> impl Iterator<Item = &Bits> + Clone {
        self.wishes.values()
    }

    fn wish(&self, ix: NodeIx) -> Option<i64> {
        self.place.get(ix.at()).copied().flatten()
    }
}

/// One task to be placed.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// What it needs.
    pub needs: &'a Needs,
    /// Where it may go at all.
    pub eligible: &'a Eligible,
    /// What is asked besides.
    pub extra: Extra<'a>,
    /// The tasks of its workload.
    pub same: &'a WorkloadRow,
    /// How it stands to other tasks.
    pub related: &'a Related,
    /// The counts that this goes by.
    pub tallies: &'a Tallies,
    /// All nodes.
    pub nodes: &'a Nodes,
    /// Differs for every placement, the same after a restart.
    pub seed: u64,
}

/// A node with the ports it gives.
pub type Chosen = (NodeIx, Vec<u16>);

/// A node's place among those that fit, soft rules about other tasks apart; the lowest is taken.
#[derive(Debug, Clone, Copy)]
struct Rank {
    wish: Reverse<i64>,
    /// Asked after the soft rules. Ends with the node's number.
    rest: (u32, u64, NodeIx),
}

impl Question<'_> {
    /// The best of all nodes, up to `exact` of them looked at one by one.
    #[must_use]
    pub fn among_all(&self, exact: usize) -> Option<Chosen> {
        if self.nodes.len() <= exact {
            return self.best_of(self.nodes.iter().map(|(ix, _)| ix));
        }
        for group in self.eligible.wishes.values() {
            let mut set = Sieve::of(group);
            set.keep(&self.nodes.ready);
            set.keep(&self.nodes.open);
            self.nodes.levels.keep_roomy(&mut set, &self.needs.terms.charge);
            for bar in &self.related.bars {
                self.tallies.keep(bar, &mut set);
            }
            if set.is_empty() {
                continue;
            }
            let mut look = Look {
                question: self,
                dominant: self.dominant(),
                failures: 0,
            };
            match look.by_orders(&set, &self.related.orders) {
                Ok(Some(chosen)) => return Some(chosen),
                Ok(None) => {}
                Err(TooMany) => {
                    if let Some(chosen) = self.best_of(set.iter()) {
                        return Some(chosen);
                    }
                }
            }
        }
        None
    }

    /// The best of a few nodes.
    #[must_use]
    pub fn among(&self, these: &BTreeSet<NodeIx>) -> Option<Chosen> {
        self.best_of(these.iter().copied())
    }

    fn best_of(&self, these: impl Iterator<Item = NodeIx>) -> Option<Chosen> {
        let dominant = self.dominant();
        let fits = these.filter_map(|ix| self.fits(ix).map(|ports| (self.rank(ix, dominant), (ix, ports))));
        fits.min_by(|(a, _), (b, _)| self.compare(a, b))
            .map(|(_, chosen)| chosen)
    }

    fn fits(&self, ix: NodeIx) -> Option<Vec<u16>> {
        self.eligible.wish(ix)?;
        if !self.nodes.ready.has(ix) || !self.nodes.open.has(ix) {
            return None;
        }
        let around = self.related.around(ix, self.tallies);
        if around.against().is_some() {
            return None;
        }
        room(self.needs, &self.nodes.get(ix)?.look(), &self.extra, &around).ok()
    }

    fn rank(&self, ix: NodeIx, dominant: usize) -> Rank {
        let free = self.nodes.get(ix).map_or(0, |n| indexed(&n.free)[dominant]);
        Rank {
            wish: Reverse(self.eligible.wish(ix).unwrap_or(i64::MIN)),
            rest: match self.needs.terms.rules.strategy {
                Strategy::Pack => (0, free, ix),
                Strategy::Spread => (self.same.on(ix), u64::MAX - free, ix),
                Strategy::Random => (0, mix(self.seed ^ u64::from(ix.0)), ix),
            },
        }
    }

    fn compare(&self, a: &Rank, b: &Rank) -> Ordering {
        let place = |order: &Order, rank: &Rank| order.place(self.tallies.here(order.tally, rank.rest.2));
        let soft = || {
            let orders = self.related.orders.iter();
            orders
                .map(|order| place(order, a).cmp(&place(order, b)))
                .find(|o| o.is_ne())
        };
        a.wish
            .cmp(&b.wish)
            .then_with(|| soft().unwrap_or(Ordering::Equal))
            .then_with(|| a.rest.cmp(&b.rest))
    }

    /// The resource of which the task asks the largest part of what the pool has.
    fn dominant(&self) -> usize {
        dominant(&self.needs.terms.charge, &self.nodes.total)
    }
}

fn dominant(asked: &Amounts, total: &Amounts) -> usize {
    let (asked, total) = (indexed(asked), indexed(total));
    let part = |r: usize| (u128::from(asked[r]) << 64) / u128::from(total[r].max(1));
    (0..INDEXED).max_by_key(|r| (part(*r), Reverse(*r))).unwrap_or(0)
}

/// More nodes failed the exact look than are tried one by one.
struct TooMany;

struct Look<'a> {
    question: &'a Question<'a>,
    /// See [`Question::dominant`].
    dominant: usize,
    failures: usize,
}

type Found = Result<Option<Chosen>, TooMany>;

impl<'a> Look<'a> {
    /// As the soft rules like it, one after the other; then as the strategy does.
    fn by_orders(&mut self, set: &Sieve<'a>, orders: &[Order]) -> Found {
        if let Some((first, others)) = orders.split_first() {
            let tallies = self.question.tallies;
            let found = tallies.in_order(*first, set, |part| self.by_orders(part, others).transpose());
            return found.transpose();
        }
        match self.question.needs.terms.rules.strategy {
            Strategy::Pack => self.by_level(set, false),
            Strategy::Spread => self.by_count(set),
            Strategy::Random => self.at_random(set),
        }
    }

    /// The fewest of the same workload first; among those the emptiest.
    fn by_count(&mut self, set: &Sieve<'a>) -> Found {
        let same = self.question.same;
        let up_to = |n: usize| {
            let mut few = set.clone();
            if let Some(more) = same.more_than(n) {
                few.without(more);
            }
            few
        };
        // `up_to` only grows with n, so the first n that leaves somebody is found by halving.
        let (mut low, mut high) = (0, same.most());
        while low < high {
            let middle = usize::midpoint(low, high);
            if up_to(middle).is_empty() {
                low = middle + 1
            } else {
                high = middle
            }
        }
        for n in low..=same.most() {
            let mut these = up_to(n);
            // What has fewer was tried before.
            if n > low
                && let Some(tried) = same.more_than(n - 1)
            {
                these.keep(tried);
            }
            if let Some(chosen) = self.by_level(&these, true)? {
                return Ok(Some(chosen));
            }
        }
        Ok(None)
    }

    /// The emptiest first, or the fullest.
    fn by_level(&mut self, set: &Sieve<'a>, emptiest: bool) -> Found {
        let (resource, levels) = (self.dominant, &self.question.nodes.levels);
        for l in levels.stood_at(resource, emptiest) {
            let Some(level) = levels.at(resource, l, set) else {
                continue;
            };
            if let Some(chosen) = self.best_few(level.iter_from(self.question.seed))? {
                return Ok(Some(chosen));
            }
        }
        Ok(None)
    }

    /// Any, evenly: the order starts at a random member.
    fn at_random(&mut self, set: &Sieve<'a>) -> Found {
        let count = u64::try_from(set.count()).unwrap_or(u64::MAX).max(1);
        let start = usize::try_from(mix(self.question.seed) % count).unwrap_or(0);
        for ix in set.iter_after(start) {
            match self.question.fits(ix) {
                Some(ports) => return Ok(Some((ix, ports))),
                None => self.fail()?,
            }
        }
        Ok(None)
    }

    fn best_few(&mut self, these: impl Iterator<Item = NodeIx>) -> Found {
        let mut best: Option<(Rank, Chosen)> = None;
        let mut compared = 0;
        for ix in these {
            let Some(ports) = self.question.fits(ix) else {
                self.fail()?;
                continue;
            };
            let rank = self.question.rank(ix, self.dominant);
            if best
                .as_ref()
                .is_none_or(|(have, _)| self.question.compare(&rank, have).is_lt())
            {
                best = Some((rank, (ix, ports)));
            }
            compared += 1;
            if compared == COMPARED {
                break;
            }
        }
        Ok(best.map(|(_, chosen)| chosen))
    }

    fn fail(&mut self) -> Result<(), TooMany> {
        self.failures += 1;
        if self.failures > FAILURES {
            Err(TooMany)
        } else {
            Ok(())
        }
    }
}

/// Spreads a number over 64 bits (the finaliser of splitmix64).
#[must_use]
pub fn mix(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
