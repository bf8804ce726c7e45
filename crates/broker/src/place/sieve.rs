//! Nodes that are in some sets and not in others, found as they are asked for: nothing is copied, and words where one
//! of the sets has nobody are passed over 64 at a time. What is asked of it costs as many looks as it takes to find
//! the answer, not as many as there are nodes.

use super::bits::{Bits, each, nodes};
use crate::fact::NodeIx;
use smallvec::SmallVec;
use std::cell::Cell;

/// Few rules and as many resources as are indexed stay off the heap.
type Sets<'a> = SmallVec<[&'a Bits; 12]>;

/// In all of `keep`, in none of `without`. Without any set to keep it is empty.
#[derive(Debug, Clone)]
pub struct Sieve<'a> {
    keep: Sets<'a>,
    without: SmallVec<[&'a Bits; 8]>,
}

impl<'a> Sieve<'a> {
    /// Those of a set.
    #[must_use]
    pub fn of(set: &'a Bits) -> Self {
        Self {
            keep: SmallVec::from_slice(&[set]),
            without: SmallVec::new(),
        }
    }

    /// Keeps those that are in `set`, too.
    pub fn keep(&mut self, set: &'a Bits) {
        self.keep.push(set);
        // The narrowest is asked first: most words end there.
        let last = self.keep.len() - 1;
        if set.len() < self.keep[0].len() {
            self.keep.swap(0, last);
        }
    }

    /// No more than so many are in.
    #[must_use]
    pub fn at_most(&self) -> usize {
        self.keep.first().map_or(0, |set| set.len())
    }

    /// Takes out those that are in `set`.
    pub fn without(&mut self, set: &'a Bits) {
        self.without.push(set);
    }

    fn spans(&self) -> usize {
        self.keep.iter().map(|set| set.spans()).min().unwrap_or(0)
    }

    fn some(&self, i: usize) -> u64 {
        let mut word = u64::MAX;
        for set in &self.keep {
            word &= set.some(i);
            if word == 0 {
                break;
            }
        }
        word
    }

    fn word(&self, i: usize) -> u64 {
        let mut word = u64::MAX;
        for set in &self.keep {
            word &= set.word(i);
            if word == 0 {
                return 0;
            }
        }
        self.without.iter().fold(word, |word, set| word & !set.word(i))
    }

    /// Words of nodes that are not empty, with their place, from a word on and once around, as long as looks are left.
    fn words_from<'s>(
        &'s self,
        start: usize,
        left: &'s Cell<usize>,
    ) -> impl Iterator<Item = (usize, u64)> + 's {
        let spans = self.spans();
        let (first, bit) = (start / 64, start % 64);
        let before = (1_u64 << bit) - 1;
        let parts = [
            (first..(first + 1).min(spans), !before),
            ((first + 1).min(spans)..spans, u64::MAX),
            (0..first.min(spans), u64::MAX),
            (first..(first + 1).min(spans), before),
        ];
        let spans = parts
            .into_iter()
            .flat_map(|(range, mask)| range.map(move |span| (span, mask)));
        spans.flat_map(move |(span, mask)| {
            let places = each(self.some(span) & mask).map(move |bit| span * 64 + bit);
            let places = places.take_while(|_| {
                let now = left.get();
                left.set(now.saturating_sub(1));
                now > 0
            });
            places.filter_map(move |at| {
                let word = self.word(at);
                (word != 0).then_some((at, word))
            })
        })
    }

    /// Whether none is in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// How many are in.
    #[must_use]
    pub fn count(&self) -> usize {
        self.words().map(|(_, word)| word.count_ones() as usize).sum()
    }

    /// Those that are in, by number.
    pub fn iter(&self) -> impl Iterator<Item = NodeIx> + '_ {
        self.words().flat_map(|(at, word)| nodes(at, word))
    }

    /// Words of nodes that are not empty, with their place.
    fn words(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        (0..self.spans()).flat_map(move |span| {
            each(self.some(span)).filter_map(move |bit| {
                let at = span * 64 + bit;
                let word = self.word(at);
                (word != 0).then_some((at, word))
            })
        })
    }

    /// Those that are in, once around, from a word of nodes on; as long as there are `left` words to look at.
    pub fn iter_from<'s>(&'s self, start: usize, left: &'s Cell<usize>) -> impl Iterator<Item = NodeIx> + 's {
        self.words_from(start, left)
            .flat_map(|(at, word)| nodes(at, word))
    }

    /// Those that are in, once around, from the first with a number above `n`.
    pub fn iter_behind(&self, n: usize) -> impl Iterator<Item = NodeIx> + '_ {
        let (before, behind) = (self.iter(), self.iter());
        let behind = behind.skip_while(move |ix| ix.at() <= n);
        behind.chain(before.take_while(move |ix| ix.at() <= n))
    }

    /// Those that are in, once around, from the `n`th on.
    pub fn iter_after(&self, n: usize) -> impl Iterator<Item = NodeIx> + '_ {
        self.iter().skip(n).chain(self.iter().take(n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::btree_set;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn bits(of: &BTreeSet<u32>) -> Bits {
        let mut bits = Bits::default();
        of.iter().for_each(|n| bits.put(NodeIx(*n), true));
        bits
    }

    #[test]
    fn the_order_does_not_tell_how_long_a_set_once_was() {
        let fresh = bits(&(0..500).map(|n| n * 7).collect());
        let mut grown = fresh.clone();
        for far in [9_000, 70_000] {
            grown.put(NodeIx(far), true);
            grown.put(NodeIx(far), false);
        }
        for start in [0, 3, 54, 70, 1_000, 5_000] {
            let order = |set: &Bits| -> Vec<NodeIx> {
                Sieve::of(set).iter_from(start, &Cell::new(usize::MAX)).collect()
            };
            assert_eq!(order(&fresh), order(&grown), "from {start}");
        }
    }

    proptest! {
        #[test]
        fn it_is_what_sets_say(
            a in btree_set(0_u32..9_000, 0..400), b in btree_set(0_u32..9_000, 0..400),
            c in btree_set(0_u32..9_000, 0..400), start in 0_usize..300,
        ) {
            let sets = [&a, &b, &c].map(bits);
            let mut sieve = Sieve::of(&sets[0]);
            sieve.without(&sets[2]);
            let wanted: Vec<u32> = a.difference(&c).copied().collect();
            let got: Vec<u32> = sieve.iter().map(|n| n.0).collect();
            prop_assert_eq!(&got, &wanted);
            prop_assert_eq!(sieve.count(), wanted.len());
            let mut around: Vec<u32> = sieve.iter_from(start, &Cell::new(usize::MAX)).map(|n| n.0).collect();
            around.sort_unstable();
            prop_assert_eq!(&around, &wanted);
            let n = start * 30;
            let mut behind: Vec<u32> = sieve.iter_behind(n).map(|ix| ix.0).collect();
            prop_assert!(behind.windows(2).filter(|w| w[0] > w[1]).count() <= 1);
            prop_assert!(behind.first().is_none_or(|first| *first as usize > n || behind.is_sorted()));
            behind.sort_unstable();
            prop_assert_eq!(&behind, &wanted);
            sieve.keep(&sets[1]);
            let wanted: Vec<u32> = a.intersection(&b).filter(|n| !c.contains(n)).copied().collect();
            let got: Vec<u32> = sieve.iter().map(|n| n.0).collect();
            prop_assert_eq!(sieve.is_empty(), wanted.is_empty());
            prop_assert_eq!(got, wanted);
        }
    }
}
