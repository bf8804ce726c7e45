//! The index of free room. For each of the four resources every node has, free amounts are cut into levels of
//! a quarter octave, and for each level there is the set of nodes that reach it. A question for room is then
//! a few ANDs over words of 64 nodes, whatever the number of nodes; what the coarse levels let through is
//! looked at exactly by the caller.

use super::bits::Bits;
use super::sieve::Sieve;
use crate::fact::NodeIx;
use plenum_model::amounts::Amounts;

/// One level per quarter octave of 64 bits, and one for nothing at all.
pub const LEVELS: usize = 257;

/// The resources that are indexed, by position.
pub const INDEXED: usize = 4;

/// Free or asked amounts of the indexed resources: cpu, memory, disk, slots.
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

/// The nodes at each level of one resource.
#[derive(Debug, Clone)]
struct Ladder {
    /// Nodes that reach each level.
    reach: Vec<Bits>,
    /// How many stand at each level exactly.
    count: Vec<u32>,
    /// Where each node stands; none: it is not in the index.
    stands: Vec<Option<u16>>,
}

impl Default for Ladder {
    fn default() -> Self {
        Self {
            reach: vec![Bits::default(); LEVELS],
            count: vec![0; LEVELS],
            stands: Vec::new(),
        }
    }
}

impl Ladder {
    fn put(&mut self, ix: NodeIx, to: Option<usize>) {
        if ix.at() >= self.stands.len() {
            self.stands.resize(ix.at() + 1, None);
        }
        let from = self.stands[ix.at()].map(usize::from);
        if from == to {
            return;
        }
        // The node is in `reach` up to and with its level; only what lies between the two changes.
        let (have, want) = (from.map_or(0, |l| l + 1), to.map_or(0, |l| l + 1));
        for l in have..want {
            self.reach[l].put(ix, true);
        }
        for l in want..have {
            self.reach[l].put(ix, false);
        }
        if let Some(l) = from {
            self.count[l] -= 1;
        }
        if let Some(l) = to {
            self.count[l] += 1;
        }
        self.stands[ix.at()] = to.and_then(|l| u16::try_from(l).ok());
    }
}

/// The index over all nodes.
#[derive(Debug, Clone, Default)]
pub struct Levels([Ladder; INDEXED]);

impl Levels {
    /// Says what is free on a node (none: it is gone).
    pub fn set(&mut self, ix: NodeIx, free: Option<&Amounts>) {
        let free = free.map(indexed);
        for (r, ladder) in self.0.iter_mut().enumerate() {
            ladder.put(ix, free.map(|f| level(f[r])));
        }
    }

    /// Keeps in `set` the nodes that may have room for `asked`.
    pub fn keep_roomy<'a>(&'a self, set: &mut Sieve<'a>, asked: &Amounts) {
        for (ladder, asked) in self.0.iter().zip(indexed(asked)) {
            if asked > 0 {
                set.keep(&ladder.reach[level(asked)]);
            }
        }
    }

    /// Those of `among` that stand at exactly this level of a resource; none if nobody at all does.
    #[must_use]
    pub fn at<'a>(&'a self, resource: usize, l: usize, among: &Sieve<'a>) -> Option<Sieve<'a>> {
        let ladder = &self.0[resource];
        if ladder.count[l] == 0 {
            return None;
        }
        let mut set = among.clone();
        set.keep(&ladder.reach[l]);
        if let Some(above) = ladder.reach.get(l + 1) {
            set.without(above);
        }
        Some(set)
    }

    /// Levels of a resource at which somebody stands, the emptiest nodes first or last.
    pub fn stood_at(&self, resource: usize, emptiest: bool) -> impl Iterator<Item = usize> + '_ {
        let count = &self.0[resource].count;
        let steps = (0..LEVELS).map(move |step| if emptiest { LEVELS - 1 - step } else { step });
        steps.filter(|l| count[*l] > 0)
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
        }

        #[test]
        fn nobody_with_room_is_left_out(free in proptest::collection::vec(0_u64..5_000, 1..200), asked in 0_u64..5_000) {
            let mut levels = Levels::default();
            let mut set = Bits::default();
            for (i, f) in (0_u32..).zip(&free) {
                levels.set(NodeIx(i), Some(&Amounts::task(1, 1, 1)));
                levels.set(NodeIx(i), Some(&Amounts::task(*f, 0, 0)));
                set.put(NodeIx(i), true);
            }
            let mut sieve = Sieve::of(&set);
            levels.keep_roomy(&mut sieve, &Amounts { cpu_millis: asked, ..Amounts::default() });
            let roomy: Vec<_> = sieve.iter().collect();
            for (i, f) in (0_u32..).zip(&free) {
                if *f >= asked {
                    prop_assert!(roomy.contains(&NodeIx(i)));
                }
            }
        }
    }
}
