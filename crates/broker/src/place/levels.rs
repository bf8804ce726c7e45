//! The index of free room. For each of the four resources every node has, and for each other one by name, free
//! amounts are cut into levels of a quarter octave. There is a set of nodes for each level, and one for each octave of
//! those that reach it: a change moves a node between two levels, and a question for room is a few ANDs over words of
//! 64 nodes, whatever the number of nodes. What the coarse levels let through is looked at exactly by the caller.

use super::bits::Bits;
use super::sieve::Sieve;
use crate::fact::NodeIx;
use plenum_model::amounts::{Amounts, Resource};
use std::collections::BTreeMap;

/// One level per quarter octave of 64 bits, and one for nothing at all.
pub const LEVELS: usize = 257;

/// The resources that are indexed by position.
pub const INDEXED: usize = 4;

/// The level of whoever is not in the index.
const NOWHERE: u16 = u16::MAX;

/// Those resources.
pub const NAMES: [Resource; INDEXED] = [Resource::Cpu, Resource::Memory, Resource::Disk, Resource::Slot];

/// Free or asked amounts of the resources that are indexed by position: cpu, memory, disk, slots.
#[must_use]
pub fn indexed(amounts: &Amounts) -> [u64; INDEXED] {
    [
        amounts.cpu_millis,
        amounts.memory_bytes,
        amounts.disk_bytes,
        amounts.slots,
    ]
}

/// The level that an amount reaches. Rises with the amount; neighbours are at most 25 % apart.
#[must_use]
pub fn level(amount: u64) -> usize {
    if amount == 0 {
        return 0;
    }
    let octave = amount.ilog2();
    let quarter = if octave >= 2 {
        amount >> (octave - 2)
    } else {
        amount << (2 - octave)
    } & 3;
    octave as usize * 4 + quarter as usize + 1
}

/// The octave that a level belongs to; nothing at all is one of its own.
fn octave(level: usize) -> usize {
    level.div_ceil(4)
}

/// The lowest level of an octave.
fn lowest(octave: usize) -> usize {
    (octave * 4).saturating_sub(3)
}

/// The nodes at each level of one resource.
#[derive(Debug, Clone, Default)]
struct Ladder {
    /// Those that stand at a level exactly.
    at: Vec<Bits>,
    /// How many that are.
    count: Vec<u32>,
    /// Bit n: somebody stands at level n.
    stood: [u64; LEVELS.div_ceil(64)],
    /// Those that reach an octave.
    reach: Vec<Bits>,
    /// Where each node stands.
    stands: Vec<u16>,
}

impl Ladder {
    fn put(&mut self, ix: NodeIx, to: Option<usize>) {
        let from = self.stands.get(ix.at()).copied().unwrap_or(NOWHERE);
        let now = to.and_then(|l| u16::try_from(l).ok()).unwrap_or(NOWHERE);
        if from == now {
            return;
        }
        if ix.at() >= self.stands.len() {
            self.stands.resize(ix.at() + 1, NOWHERE);
        }
        self.stands[ix.at()] = now;
        let from = (from != NOWHERE).then_some(usize::from(from));
        // A node is in `reach` up to and with its octave; only what lies between the two changes.
        let octaves = |level: Option<usize>| level.map_or(0, |l| octave(l) + 1);
        let (have, want) = (octaves(from), octaves(to));
        if self.reach.len() < want {
            self.reach.resize(want, Bits::default());
        }
        for o in have..want {
            self.reach[o].put(ix, true);
        }
        for o in want..have {
            self.reach[o].put(ix, false);
        }
        if let Some(l) = from {
            self.stand(ix, l, false);
        }
        if let Some(l) = to {
            self.stand(ix, l, true);
        }
    }

    fn stand(&mut self, ix: NodeIx, l: usize, there: bool) {
        if self.at.len() <= l {
            self.at.resize(l + 1, Bits::default());
            self.count.resize(l + 1, 0);
        }
        self.at[l].put(ix, there);
        let count = &mut self.count[l];
        *count = if there {
            *count + 1
        } else {
            count.saturating_sub(1)
        };
        let mark = 1_u64 << (l % 64);
        if *count == 0 {
            self.stood[l / 64] &= !mark;
        } else {
            self.stood[l / 64] |= mark;
        }
    }

    /// Keeps those that reach the level of an amount; none if nobody does.
    fn keep<'a>(&'a self, set: &mut Sieve<'a>, asked: u64) -> Option<()> {
        let l = level(asked);
        set.keep(self.reach.get(octave(l))?);
        for below in (lowest(octave(l))..l).filter(|below| self.stands_at(*below)) {
            set.without(&self.at[below]);
        }
        Some(())
    }

    fn stands_at(&self, l: usize) -> bool {
        self.stood[l / 64] & (1_u64 << (l % 64)) != 0
    }
}

/// The index over all nodes.
#[derive(Debug, Clone, Default)]
pub struct Levels {
    ladders: [Ladder; INDEXED],
    named: BTreeMap<String, Ladder>,
    /// What is free on each node, close together: a look at a candidate touches nothing else.
    free: Vec<[u64; INDEXED]>,
}

impl Levels {
    /// Says what is free on a node (none: it is gone).
    pub fn set(&mut self, ix: NodeIx, free: Option<&Amounts>) {
        if ix.at() >= self.free.len() {
            self.free.resize(ix.at() + 1, [0; INDEXED]);
        }
        let counts = free.map(indexed);
        self.free[ix.at()] = counts.unwrap_or_default();
        for (r, ladder) in self.ladders.iter_mut().enumerate() {
            ladder.put(ix, counts.map(|f| level(f[r])));
        }
        let named = free.map(|free| &free.extended);
        for name in named.into_iter().flat_map(BTreeMap::keys) {
            if !self.named.contains_key(name) {
                self.named.insert(name.clone(), Ladder::default());
            }
        }
        for (name, ladder) in &mut self.named {
            let amount = named.and_then(|named| named.get(name));
            ladder.put(ix, amount.map(|amount| level(*amount)));
        }
    }

    /// What is free on a node of the resources that are indexed by position.
    #[must_use]
    pub fn free(&self, ix: NodeIx) -> [u64; INDEXED] {
        self.free.get(ix.at()).copied().unwrap_or_default()
    }

    /// Keeps in `set` the nodes that may have room for `asked`; none if nobody has.
    pub fn keep_roomy<'a>(&'a self, set: &mut Sieve<'a>, asked: &Amounts) -> Option<()> {
        for (ladder, asked) in self.ladders.iter().zip(indexed(asked)) {
            if asked > 0 {
                ladder.keep(set, asked)?;
            }
        }
        for (name, asked) in asked.extended.iter().filter(|(_, asked)| **asked > 0) {
            self.named.get(name)?.keep(set, *asked)?;
        }
        Some(())
    }

    /// The nodes at each level of a resource that reaches `asked`, the emptiest nodes first or last.
    pub fn from(&self, resource: usize, asked: u64, emptiest: bool) -> impl Iterator<Item = &Bits> {
        let ladder = &self.ladders[resource];
        let (low, high) = (level(asked), ladder.at.len());
        let levels = (low..high).map(move |l| if emptiest { high - 1 - (l - low) } else { l });
        levels.filter(|l| ladder.stands_at(*l)).map(|l| &ladder.at[l])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn levels_rise_with_the_amount_and_stay_in_range(a: u64, b: u64) {
            prop_assert!(level(a) < LEVELS);
            prop_assert_eq!(level(a.min(b)).min(level(a.max(b))), level(a.min(b)));
            let l = level(a);
            prop_assert!(lowest(octave(l)) <= l && l < lowest(octave(l) + 1));
        }

        #[test]
        fn who_is_let_through_has_the_level_and_nobody_with_room_is_left_out(
            free in proptest::collection::vec((0_u64..5_000, 0_u64..4), 1..200), asked in 0_u64..5_000, gpus in 0_u64..4,
        ) {
            let mut levels = Levels::default();
            let mut set = Bits::default();
            let amounts = |cpu_millis, gpus| {
                let mut amounts = Amounts { cpu_millis, ..Amounts::default() };
                amounts.set(&plenum_model::amounts::Resource::Extended("gpu".to_owned()), gpus);
                amounts
            };
            for (i, (cpu, gpus)) in (0_u32..).zip(&free) {
                levels.set(NodeIx(i), Some(&Amounts::task(1, 1, 1)));
                levels.set(NodeIx(i), Some(&amounts(*cpu, *gpus)));
                set.put(NodeIx(i), true);
            }
            let mut sieve = Sieve::of(&set);
            let some = levels.keep_roomy(&mut sieve, &amounts(asked, gpus));
            let through: Vec<_> = some.into_iter().flat_map(|()| sieve.iter()).collect();
            let reaches = |free: u64, asked: u64| level(free) >= level(asked);
            let may = (0_u32..).zip(&free).filter(|(_, (cpu, has))| reaches(*cpu, asked) && reaches(*has, gpus));
            let may: Vec<_> = may.map(|(i, _)| NodeIx(i)).collect();
            prop_assert_eq!(&through, &may);
            // By level, in both directions.
            for emptiest in [false, true] {
                let order: Vec<u64> = levels.from(0, asked, emptiest)
                    .flat_map(|at| at.iter().map(|ix| levels.free(ix)[0]).collect::<Vec<_>>())
                    .collect();
                let sorted = order.windows(2).all(|w| if emptiest { level(w[0]) >= level(w[1]) } else { level(w[0]) <= level(w[1]) });
                prop_assert!(sorted);
                prop_assert_eq!(order.len(), free.iter().filter(|(cpu, _)| reaches(*cpu, asked)).count());
            }
        }
    }
}
