//! Which attempts of a slot were used before, although nothing of them is left. The broker remembers the
//! highest attempt of every slot for ever and refuses to go back; a scheduler that forgot its ended tasks and
//! was restarted learns of it from those refusals only.

use plenum_model::ids::{SlotKey, TaskId};
use std::collections::BTreeMap;

/// What is known to be spent, slot by slot.
#[derive(Debug, Clone, Default)]
pub struct SpentAttempts {
    slots: BTreeMap<SlotKey, Spent>,
}

#[derive(Debug, Clone, Copy)]
struct Spent {
    highest: u32,
    /// Refusals in a row; the next probe goes further by as many.
    refusals: u32,
}

impl SpentAttempts {
    /// The lowest attempt that may be unused, when `seen` is the highest attempt in the mirror.
    ///
    /// After the n-th refusal in a row the probe goes n further: a slot of which `a` attempts were used is
    /// found after about √(2a) refusals, and no more than that many numbers are skipped, so that restarts do
    /// not eat up the 32 bits of an attempt.
    #[must_use]
    pub fn next(&self, slot: SlotKey, seen: Option<u32>) -> u32 {
        let after_seen = seen.map_or(0, |a| a.saturating_add(1));
        let after_spent = self
            .slots
            .get(&slot)
            .map_or(0, |s| s.highest.saturating_add(s.refusals.max(1)));
        after_seen.max(after_spent)
    }

    /// The broker refused this id: its attempt, or one above it, was used before.
    pub fn refused(&mut self, id: TaskId) {
        let attempt = id.attempt();
        let spent = self.slots.entry(id.slot_key()).or_insert(Spent {
            highest: attempt,
            refusals: 0,
        });
        if attempt >= spent.highest {
            spent.highest = attempt;
            spent.refusals = spent.refusals.saturating_add(1);
        }
    }

    /// This id was used and its record let go by ourselves.
    pub fn forgotten(&mut self, id: TaskId) {
        let spent = self.slots.entry(id.slot_key()).or_insert(Spent {
            highest: id.attempt(),
            refusals: 0,
        });
        spent.highest = spent.highest.max(id.attempt());
    }

    /// The broker took this id: what was refused before no longer matters.
    pub fn taken(&mut self, id: TaskId) {
        if let Some(spent) = self.slots.get_mut(&id.slot_key()) {
            spent.highest = spent.highest.max(id.attempt());
            spent.refusals = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plenum_model::ids::SchedulerId;
    use proptest::prelude::*;

    fn id(attempt: u32) -> TaskId {
        TaskId::derive(&SchedulerId::new("s").unwrap(), "w", 0, attempt)
    }

    proptest! {
        #[test]
        fn probing_finds_an_unused_attempt_soon_and_skips_few(used in 0_u32..2_000_000) {
            let mut spent = SpentAttempts::default();
            let bound = 3 + (2.0 * f64::from(used)).sqrt() as u32;
            let mut rounds = 0;
            let found = loop {
                let attempt = spent.next(id(0).slot_key(), None);
                if attempt >= used {
                    break attempt;
                }
                spent.refused(id(attempt));
                rounds += 1;
            };
            prop_assert!(rounds <= bound, "{rounds} rounds for {used}");
            prop_assert!(found - used <= bound, "{found} for {used}");
        }
    }

    #[test]
    fn what_the_mirror_holds_counts_as_used() {
        let mut spent = SpentAttempts::default();
        assert_eq!(spent.next(id(0).slot_key(), Some(4)), 5);
        spent.forgotten(id(7));
        assert_eq!(spent.next(id(0).slot_key(), Some(4)), 8);
        spent.refused(id(8));
        spent.refused(id(9));
        spent.taken(id(11));
        assert_eq!(spent.next(id(0).slot_key(), Some(11)), 12);
    }
}
