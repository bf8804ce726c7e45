//! Who holds what a waiting task lacks: the part of a "no" that no orchestrator can say of itself, since it sees
//! only its own.

use plenum_model::amounts::Amounts;
use plenum_model::node::Node;
use plenum_model::why::{Cause, Why};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What each scheduler holds, and what there is, over the whole pool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holders {
    held: BTreeMap<String, Amounts>,
    all: Amounts,
}

impl Holders {
    /// Summed over these nodes.
    #[must_use]
    pub fn of<'n>(nodes: impl Iterator<Item = &'n Arc<Node>>) -> Self {
        let mut sums = Self::default();
        for node in nodes {
            sums.all = added(&sums.all, &node.facts.allocatable());
            for (scheduler, held) in &node.held {
                let sum = sums.held.entry(scheduler.clone()).or_default();
                *sum = added(sum, held);
            }
        }
        sums
    }

    /// `of 2.0 cpu marathon holds 1.9 cpu, swarm 0.1 cpu`, for each resource that is short; none: nothing is, or
    /// nobody holds any of it.
    #[must_use]
    pub fn of_what_is_short(&self, why: &Why) -> Option<String> {
        let short = why.by.iter().filter_map(|(cause, _)| match cause {
            Cause::Short(resource) => Some(resource),
            _ => None,
        });
        let short: BTreeSet<_> = short.collect();
        let parts = short.into_iter().filter_map(|resource| {
            let holders = self.held.iter().map(|(who, held)| (who, held.get(resource)));
            let mut holders = holders.filter(|(_, amount)| *amount > 0);
            let (first, amount) = holders.next()?;
            let all = resource.amount(self.all.get(resource));
            let mut text = format!("of {all} {first} holds {}", resource.amount(amount));
            for (who, amount) in holders {
                text.push_str(&format!(", {who} {}", resource.amount(amount)));
            }
            Some(text)
        });
        let parts: Vec<String> = parts.collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

/// Sums for people: one that does not fit its number stays what it was.
fn added(sum: &Amounts, more: &Amounts) -> Amounts {
    sum.checked_add(more).unwrap_or_else(|| sum.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use plenum_model::amounts::Resource;

    #[test]
    fn it_names_who_holds_what_is_short_and_nothing_else() {
        let holders = Holders {
            held: [
                ("marathon".to_owned(), Amounts::task(1_900, 1 << 30, 0)),
                ("swarm".to_owned(), Amounts::task(100, 0, 0)),
            ]
            .into(),
            all: Amounts::task(2_000, 4 << 30, 0),
        };
        let why = |by: &[Cause]| Why {
            nodes: 3,
            by: by.iter().map(|c| (c.clone(), 1)).collect(),
            limit: None,
            ..Why::default()
        };
        let said = |by: &[Cause]| holders.of_what_is_short(&why(by));
        assert_eq!(
            said(&[Cause::Short(Resource::Cpu), Cause::Cordoned]).as_deref(),
            Some("of 2.0 cpu marathon holds 1.9 cpu, swarm 0.1 cpu")
        );
        assert_eq!(
            said(&[Cause::Short(Resource::Memory), Cause::Short(Resource::Cpu)]).as_deref(),
            Some(
                "of 2.0 cpu marathon holds 1.9 cpu, swarm 0.1 cpu; \
                 of 4096 MiB memory marathon holds 1024 MiB memory"
            )
        );
        assert_eq!(said(&[Cause::Cordoned]), None);
        assert_eq!(said(&[Cause::Short(Resource::Disk)]), None);
    }
}
