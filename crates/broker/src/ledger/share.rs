//! The share of a tenant: what it uses beyond its guarantee, as the largest part that any resource of it is of the
//! pool, over its weight. An exact fraction; shares are compared by cross multiplication, never divided.
//! (Ghodsi et al., Dominant Resource Fairness, NSDI 2011; with guarantees taken out first, as Kueue does.)

use plenum_model::amounts::Amounts;
use std::cmp::Ordering;

/// `over / (capacity * weight)`. Of what the pool has none, any use is more than any share of something.
#[derive(Debug, Clone, Copy)]
pub struct Share {
    over: u64,
    capacity: u64,
    weight: u32,
}

impl Share {
    /// Nothing is used beyond the guarantee.
    pub const NONE: Self = Self {
        over: 0,
        capacity: 1,
        weight: 1,
    };

    /// The share of whoever uses so much.
    #[must_use]
    pub fn of(used: &Amounts, guarantee: &Amounts, total: &Amounts, weight: u32) -> Self {
        let weight = weight.max(1);
        let parts = used.iter().map(|(resource, count)| Self {
            over: count.saturating_sub(guarantee.get(&resource)),
            capacity: total.get(&resource),
            weight,
        });
        parts.filter(|part| part.over > 0).max().unwrap_or(Self::NONE)
    }

    /// In thousandths, rounded down: for people, never to compare.
    #[must_use]
    pub fn per_mille(self) -> u64 {
        let of = u128::from(self.capacity.max(1)) * u128::from(self.weight);
        u64::try_from(u128::from(self.over) * 1_000 / of).unwrap_or(u64::MAX)
    }

    /// The numerator with the denominator of the other multiplied in: what is compared instead of quotients.
    fn crossed(self, other: Self) -> Wide {
        let weighted = u128::from(self.over) * u128::from(other.weight);
        Wide::product(weighted, other.capacity)
    }
}

impl Ord for Share {
    fn cmp(&self, other: &Self) -> Ordering {
        self.crossed(*other).cmp(&other.crossed(*self))
    }
}

impl PartialOrd for Share {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Share {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Share {}

/// A product of up to 160 bits: 64 of an amount, 32 of a weight, 64 of a capacity. The upper part comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Wide(u128, u64);

impl Wide {
    /// `a` has at most 96 bits.
    fn product(a: u128, b: u64) -> Self {
        const LOW: u128 = (1 << 64) - 1;
        let low = (a & LOW) * u128::from(b);
        let high = (a >> 64) * u128::from(b) + (low >> 64);
        Self(high, u64::try_from(low & LOW).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn share(over: u64, capacity: u64, weight: u32) -> Share {
        Share {
            over,
            capacity,
            weight,
        }
    }

    #[test]
    fn equal_fractions_are_equal_however_they_are_written() {
        let total = Amounts::task(9_000, 18, 0);
        let of = |used: Amounts, weight| Share::of(&used, &Amounts::default(), &total, weight);
        let cpu = Amounts {
            slots: 0,
            ..Amounts::task(3_000, 1, 0)
        };
        let memory = Amounts {
            slots: 0,
            ..Amounts::task(0, 6, 0)
        };
        assert_eq!(of(cpu.clone(), 1), of(memory, 1));
        assert_eq!(share(9, 9, 3), of(cpu, 1));
        assert_eq!(share(1 << 60, 1 << 61, 1 << 31), share(1, 2, 1 << 31));
        assert!(share(u64::MAX, u64::MAX - 1, u32::MAX) > share(u64::MAX - 1, u64::MAX - 1, u32::MAX));
    }

    #[test]
    fn what_is_guaranteed_is_no_share_and_what_the_pool_has_not_is_the_largest() {
        let total = Amounts::task(8_000, 0, 0);
        let used = Amounts::task(3_000, 0, 0);
        assert_eq!(Share::of(&used, &used, &total, 1), Share::NONE);
        let memory = Amounts::task(0, 1, 0);
        assert!(Share::of(&memory, &Amounts::default(), &total, 9) > share(7, 8, 1));
    }

    proptest! {
        #[test]
        fn they_compare_as_fractions_do(a: u32, b in 1..u32::MAX, v in 1..1000_u32, c: u32, d in 1..u32::MAX, w in 1..1000_u32) {
            let exact = (u128::from(a) * u128::from(d) * u128::from(w)).cmp(&(u128::from(c) * u128::from(b) * u128::from(v)));
            prop_assert_eq!(share(a.into(), b.into(), v).cmp(&share(c.into(), d.into(), w)), exact);
        }
    }
}
