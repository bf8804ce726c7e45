//! Which of the nodes that can take a task gets it. Small pools are looked at node by node; in large ones the
//! index names candidates in the order of the strategy and a bounded number of them is looked at, so that a
//! placement costs the same whatever the number of nodes. When the bound is hit, every node is looked at: a
//! task never waits because the index was coarse.

use super::eligible::Eligible;
use super::levels::{INDEXED, indexed};
use super::needs::Needs;
use super::relation::{Counts, Order};
use super::sieve::Sieve;
use super::verdict::Extra;
use crate::fact::NodeIx;
use crate::ledger::nodes::Nodes;
use crate::ledger::relations::Related;
use crate::ledger::tallies::Tallies;
use crate::ledger::workloads::WorkloadRow;
use plenum_model::amounts::Amounts;
use plenum_model::rules::Strategy;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::cell::Cell;
use std::cmp::{Ordering, Reverse};
use std::collections::BTreeSet;

/// Fitting nodes of one level that are compared exactly: levels are narrow, a few of the emptiest are as good as all.
const COMPARED: usize = 8;
/// The same where nodes are packed: what is left on a node in the end is as little as the best of these leaves.
const PACKED: usize = 32;
/// Words of nodes that are looked at level by level. Who has found nobody in so many asks for much that few nodes of its
/// levels have, and takes the best of those it meets first anywhere: going through all levels would cost as much as
/// there are nodes.
const WORDS: usize = 256;
/// Sets of no more nodes than this are looked at node by node: a level has too few of them to go through it.
const FEW: usize = 512;
/// Nodes that may fail the exact look before all are looked at.
const FAILURES: usize = 96;

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
        let asked = self.asked();
        if self.nodes.len() <= exact {
            return self.best_of(&asked, self.nodes.iter().map(|(ix, _)| ix));
        }
        for group in self.eligible.groups() {
            let mut set = Sieve::of(group);
            set.keep(&self.nodes.takes);
            self.nodes.levels.keep_roomy(&mut set, &asked.amounts)?;
            for bar in &self.related.bars {
                self.tallies.keep(bar, &mut set);
            }
            let mut look = Look {
                question: self,
                asked: &asked,
                failures: 0,
            };
            match look.by_orders(&set, &self.related.orders) {
                Ok(Some(chosen)) => return Some(chosen),
                Ok(None) => {}
                Err(TooMany) => {
                    if let Some(chosen) = self.best_of(&asked, set.iter()) {
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
        self.best_of(&self.asked(), these.iter().copied())
    }

    fn best_of(&self, asked: &Asked<'_>, these: impl Iterator<Item = NodeIx>) -> Option<Chosen> {
        let fits = these.filter_map(|ix| {
            let may = self.may_go(ix) && self.has_room(asked, ix);
            let ports = if may { self.ports(ix)? } else { return None };
            Some((self.rank(ix, asked.dominant), (ix, ports)))
        });
        fits.min_by(|(a, _), (b, _)| self.compare(a, b))
            .map(|(_, chosen)| chosen)
    }

    /// What is asked of a node beyond what is held there already.
    fn asked(&self) -> Asked<'_> {
        let charge = &self.needs.terms.charge;
        let amounts = match self.extra.holds {
            None => Cow::Borrowed(charge),
            Some(holds) => Cow::Owned(charge.saturating_sub(holds)),
        };
        Asked {
            counts: indexed(&amounts),
            amounts,
            dominant: dominant(charge, &self.nodes.total),
        }
    }

    /// Whether nothing but room and ports may stand in the way.
    fn may_go(&self, ix: NodeIx) -> bool {
        self.nodes.takes.has(ix)
            && self.eligible.wish(ix).is_some()
            && self.related.around(ix, self.tallies).against().is_none()
    }

    fn has_room(&self, asked: &Asked<'_>, ix: NodeIx) -> bool {
        let free = self.nodes.levels.free(ix);
        let counts = asked.counts.iter().zip(free).all(|(asked, free)| *asked <= free);
        // Few ask for more than the four; what nodes have of that is in their row only.
        counts
            && (asked.amounts.extended.is_empty()
                || self
                    .nodes
                    .get(ix)
                    .is_some_and(|node| asked.amounts.fits(&node.free)))
    }

    /// The ports it would get there.
    fn ports(&self, ix: NodeIx) -> Option<Vec<u16>> {
        let asks = &self.needs.terms.ports;
        if asks.is_empty() {
            return Some(Vec::new());
        }
        let node = self.nodes.get(ix)?;
        match self.extra.given {
            None => node
                .ports
                .choose(asks, &node.kept_ports, node.facts.ports, self.extra.task)
                .ok(),
            Some(given) => node.ports.taken(asks, given).is_none().then(|| given.to_vec()),
        }
    }

    fn rank(&self, ix: NodeIx, dominant: usize) -> Rank {
        let free = self.nodes.levels.free(ix)[dominant];
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
}

/// What a task asks, prepared for many looks.
struct Asked<'a> {
    amounts: Cow<'a, Amounts>,
    counts: [u64; INDEXED],
    /// The resource of which the task asks the largest part of what the pool has.
    dominant: usize,
}

fn dominant(asked: &Amounts, total: &Amounts) -> usize {
    let (asked, total) = (indexed(asked), indexed(total).map(|all| u128::from(all.max(1))));
    let larger = |a: usize, b: usize| u128::from(asked[a]) * total[b] > u128::from(asked[b]) * total[a];
    (1..INDEXED).fold(0, |best, r| if larger(r, best) { r } else { best })
}

/// More nodes failed the exact look than are tried one by one.
struct TooMany;

struct Look<'a> {
    question: &'a Question<'a>,
    asked: &'a Asked<'a>,
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
        let (question, asked) = (self.question, self.asked);
        if set.at_most() <= FEW {
            return Ok(self.best_of_few(set, emptiest));
        }
        let enough = asked.counts[asked.dominant];
        // Whoever looks at only a few does not look at the same few each time. Where it starts follows from how many nodes
        // there are, not from how long sets have grown: that is not the same after a restart.
        let words = u64::try_from(question.nodes.len() / 64 + 1).unwrap_or(1);
        let start = usize::try_from(question.seed % words).unwrap_or(0);
        let left = Cell::new(WORDS);
        for level in question.nodes.levels.from(asked.dominant, enough, emptiest) {
            let mut there = set.clone();
            there.keep(level);
            if let Some(chosen) = self.best_few(there.iter_from(start, &left), emptiest)? {
                return Ok(Some(chosen));
            }
            if left.get() == 0 {
                let left = Cell::new(usize::MAX);
                return self.best_few(set.iter_from(start, &left), emptiest);
            }
        }
        Ok(None)
    }

    /// The best of all of them.
    fn best_of_few(&self, set: &Sieve<'a>, emptiest: bool) -> Option<Chosen> {
        let mut tried = None;
        loop {
            let fit = set.iter().filter(|ix| self.question.has_room(self.asked, *ix));
            let places = fit.map(|ix| Some((self.place(ix, emptiest), ix)));
            let best = places.filter(|place| *place > tried).min()?;
            let (_, ix) = best?;
            if let Some(ports) = self.question.ports(ix) {
                return Some((ix, ports));
            }
            tried = best;
        }
    }

    /// The lower, the better.
    fn place(&self, ix: NodeIx, emptiest: bool) -> u64 {
        let free = self.question.nodes.levels.free(ix)[self.asked.dominant];
        if emptiest { u64::MAX - free } else { free }
    }

    /// Any, evenly: the order starts at a random member.
    fn at_random(&mut self, set: &Sieve<'a>) -> Found {
        let count = u64::try_from(set.count()).unwrap_or(u64::MAX).max(1);
        let start = usize::try_from(mix(self.question.seed) % count).unwrap_or(0);
        for ix in set.iter_after(start) {
            if self.question.has_room(self.asked, ix)
                && let Some(ports) = self.question.ports(ix)
            {
                return Ok(Some((ix, ports)));
            }
            self.fail()?;
        }
        Ok(None)
    }

    /// The best of the first few that fit: they are equal but for what is free.
    fn best_few(&mut self, mut these: impl Iterator<Item = NodeIx>, emptiest: bool) -> Found {
        let compared = if emptiest { COMPARED } else { PACKED };
        let mut few: SmallVec<[(u64, NodeIx); PACKED]> = SmallVec::new();
        loop {
            for ix in these.by_ref() {
                if !self.question.has_room(self.asked, ix) {
                    self.fail()?;
                    continue;
                }
                few.push((self.place(ix, emptiest), ix));
                if few.len() == compared {
                    break;
                }
            }
            if few.is_empty() {
                return Ok(None);
            }
            few.sort_unstable();
            for (_, ix) in few.drain(..) {
                match self.question.ports(ix) {
                    Some(ports) => return Ok(Some((ix, ports))),
                    None => self.fail()?,
                }
            }
        }
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
