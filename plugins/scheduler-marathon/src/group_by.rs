//! Whom to stop so that what stays is as even as `GROUP_BY` wants it.

use plenum_model::ids::TaskId;
use std::collections::BTreeMap;

/// An instance that may be stopped, and the value its node has of each `GROUP_BY` field. The order of candidates
/// is the order in which they would be stopped otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Which.
    pub id: TaskId,
    /// By field; none: the node is not known, or has no such value.
    pub groups: Vec<Option<String>>,
}

/// Chooses up to `count` of `candidates`: each from one of the largest groups, as long as no field becomes more
/// uneven by it than by one. May choose fewer; then the rest is chosen by other rules.
#[must_use]
pub fn victims(candidates: &[Candidate], count: usize) -> Vec<TaskId> {
    let fields = candidates.first().map_or(0, |c| c.groups.len());
    if fields == 0 || count >= candidates.len() {
        return Vec::new();
    }
    let all: Vec<Groups<'_>> = (0..fields).map(|f| Groups::of(candidates, f)).collect();
    let (mut left, mut chosen) = (all.clone(), Vec::new());
    while chosen.len() < count {
        let may_go = |c: &&Candidate| {
            let even = |(f, now): (usize, &Groups<'_>)| {
                let after = now.without(c.groups[f].as_deref()).unevenness();
                after <= 1 || after < all[f].unevenness()
            };
            !chosen.contains(&c.id) && left.iter().enumerate().all(even)
        };
        let from_largest = |c: &&Candidate| {
            let largest = |(f, now): (usize, &Groups<'_>)| now.is_largest(c.groups[f].as_deref());
            left.iter().enumerate().any(largest)
        };
        let mut fit = candidates.iter().filter(may_go);
        let Some(next) = fit.clone().find(from_largest).or_else(|| fit.next()) else {
            break;
        };
        for (f, groups) in left.iter_mut().enumerate() {
            *groups = groups.without(next.groups[f].as_deref());
        }
        chosen.push(next.id);
    }
    chosen
}

/// How many instances each value of one field has; values that have none any more included.
#[derive(Debug, Clone)]
struct Groups<'a>(BTreeMap<Option<&'a str>, usize>);

impl<'a> Groups<'a> {
    fn of(candidates: &'a [Candidate], field: usize) -> Self {
        let mut counts = BTreeMap::new();
        for candidate in candidates {
            *counts.entry(candidate.groups[field].as_deref()).or_default() += 1;
        }
        Self(counts)
    }

    fn without(&self, value: Option<&'a str>) -> Self {
        let mut counts = self.0.clone();
        if let Some(count) = counts.get_mut(&value) {
            *count = count.saturating_sub(1);
        }
        Self(counts)
    }

    fn unevenness(&self) -> usize {
        let most = self.0.values().max().copied().unwrap_or(0);
        most - self.0.values().min().copied().unwrap_or(0)
    }

    fn is_largest(&self, value: Option<&'a str>) -> bool {
        self.unevenness() > 0 && self.0.get(&value) == self.0.values().max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plenum_model::ids::SchedulerId;
    use proptest::prelude::*;

    fn id(slot: u64) -> TaskId {
        TaskId::derive(&SchedulerId::new("m").unwrap(), "u", slot, 1)
    }

    fn in_racks(racks: &[&str]) -> Vec<Candidate> {
        let one = |(i, rack): (u64, &&str)| Candidate {
            id: id(i),
            groups: vec![Some((*rack).to_owned())],
        };
        (0..).zip(racks).map(one).collect()
    }

    #[test]
    fn those_of_the_largest_group_go_first() {
        let candidates = in_racks(&["a", "b", "b", "b", "c"]);
        assert_eq!(victims(&candidates, 2), [id(1), id(2)]);
        assert_eq!(
            victims(&candidates, 3),
            [id(1), id(2), id(0)],
            "then any, as long as it is even within one"
        );
    }

    #[test]
    fn without_such_a_rule_or_with_all_to_go_nobody_is_chosen() {
        assert_eq!(victims(&in_racks(&["a", "b"]), 2), []);
        let none = [Candidate {
            id: id(0),
            groups: vec![],
        }];
        assert_eq!(victims(&none, 0), []);
    }

    proptest! {
        #[test]
        fn what_was_even_within_one_stays_so(counts in proptest::collection::vec(2..4_usize, 1..4), stop in 0..6_usize) {
            let least = counts.iter().min().copied().unwrap_or(0);
            let racks: Vec<String> = counts
                .iter()
                .enumerate()
                .flat_map(|(i, n)| std::iter::repeat_n(format!("r{i}"), (*n).min(least + 1)))
                .collect();
            let racks: Vec<&str> = racks.iter().map(String::as_str).collect();
            let candidates = in_racks(&racks);
            let gone = victims(&candidates, stop);
            let mut left: BTreeMap<&str, usize> = racks.iter().map(|r| (*r, 0)).collect();
            for c in candidates.iter().filter(|c| !gone.contains(&c.id)) {
                *left.entry(c.groups[0].as_deref().unwrap_or("")).or_default() += 1;
            }
            let (most, fewest) = (left.values().max().unwrap(), left.values().min().unwrap());
            prop_assert!(most - fewest <= 1, "{left:?}");
            prop_assert!(gone.len() == stop || stop >= candidates.len());
        }
    }
}
