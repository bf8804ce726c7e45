//! Rules about other tasks, prepared: which tally each asks, what counts of it pass now, and in which order soft
//! ones look. How the counts come about is the caller's: the ledger keeps them, the view counts when it is asked.

use plenum_model::claim::Terms;
use plenum_model::rules::{Affinity, BadRule, Domains, Rules, Spread};
use plenum_model::tally::{Picked, Tally};
use plenum_model::why::Cause;
use std::sync::Arc;

/// A tally, by the number its keeper gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TallyIx(pub u32);

/// Counts by domain, as rules look at them. `N` is how the keeper knows nodes.
pub trait Counts<N: Copy> {
    /// How many a tally counts in the node's domain; none: the node is in none.
    fn here(&self, tally: TallyIx, node: N) -> Option<u32>;

    /// What a tally counts.
    fn tally(&self, tally: TallyIx) -> Option<&Tally>;
}

/// What of a whole tally a rule looks at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// The fewest that a domain has; 0 without domains.
    pub fewest: u32,
    /// How many domains there are; a keeper may stop counting at the fewest that the rule asks.
    pub domains: u32,
    /// How many there are in all domains.
    pub anywhere: u32,
}

/// What happened to a tally.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stir {
    /// A domain has one less.
    pub fewer: bool,
    /// A domain has its first one, or the fewest that a domain has rose, or domains came or went.
    pub more: bool,
}

#[derive(Debug, Clone)]
enum Judge {
    Limit(u32),
    Spread(Spread),
    Affinity(Affinity),
}

/// A rule about other tasks.
#[derive(Debug, Clone)]
pub struct Relation {
    /// What it counts.
    pub tally: Arc<Tally>,
    /// Which tasks that is.
    pub picked: Picked,
    /// Whether the task whose rule it is counts itself.
    itself: bool,
    judge: Judge,
}

impl Relation {
    /// All of a task's, in the order in which they are asked.
    ///
    /// # Errors
    /// A test of labels that cannot be evaluated.
    pub fn all_of(terms: &Terms) -> Result<Vec<Self>, BadRule> {
        let Rules {
            limits,
            spread,
            affinity,
            ..
        } = &terms.rules;
        let limits = limits.iter().map(|l| (&l.tally, Judge::Limit(l.max)));
        let spread = spread.iter().map(|s| (&s.tally, Judge::Spread(s.clone())));
        let affinity = affinity.iter().map(|a| (&a.tally, Judge::Affinity(a.clone())));
        let relation = |(tally, judge): (&Tally, Judge)| {
            let picked = tally.among.compile()?;
            let own = terms.subject();
            Ok(Self {
                itself: picked.counts(&own, &own),
                tally: Arc::new(tally.clone()),
                picked,
                judge,
            })
        };
        limits.chain(spread).chain(affinity).map(relation).collect()
    }

    /// Whether it binds later tasks, too.
    #[must_use]
    pub fn binds(&self) -> bool {
        matches!(&self.judge, Judge::Affinity(a) if a.hard && a.away)
    }

    /// Whether it refuses nodes, instead of only preferring others.
    #[must_use]
    pub fn is_hard(&self) -> bool {
        match &self.judge {
            Judge::Limit(_) => true,
            Judge::Spread(s) => s.hard,
            Judge::Affinity(a) => a.hard,
        }
    }

    /// Over which domains its totals are; none: it needs no fewest.
    #[must_use]
    pub fn over(&self) -> Option<(Domains, u32)> {
        match &self.judge {
            Judge::Spread(s) if s.hard => Some((s.over, s.min_domains)),
            Judge::Spread(_) | Judge::Limit(_) | Judge::Affinity(_) => None,
        }
    }

    /// What it refuses, if it is hard. Set the counts that pass with [`Bar::set`].
    #[must_use]
    pub fn bar(&self, tally: TallyIx) -> Option<Bar> {
        let (no, domainless) = match &self.judge {
            Judge::Limit(_) => (No::Limit, false),
            Judge::Spread(s) if s.hard => (No::Uneven, false),
            Judge::Affinity(a) if a.hard && a.away => (No::NotAway, true),
            Judge::Affinity(a) if a.hard => (No::NotNear, false),
            Judge::Spread(_) | Judge::Affinity(_) => return None,
        };
        Some(Bar {
            tally,
            no,
            domainless,
            low: 0,
            below: 0,
        })
    }

    /// In which order it looks, if it is soft.
    #[must_use]
    pub fn order(&self, tally: TallyIx) -> Option<Order> {
        let by = match &self.judge {
            Judge::Spread(s) if !s.hard => By::Fewest,
            Judge::Affinity(a) if !a.hard && a.away => By::FewestOrNowhere,
            Judge::Affinity(a) if !a.hard => By::Most,
            Judge::Limit(_) | Judge::Spread(_) | Judge::Affinity(_) => return None,
        };
        Some(Order { tally, by })
    }

    /// The counts that pass: from the first, below the second.
    #[must_use]
    pub fn passing(&self, totals: Totals) -> (u32, u32) {
        let itself = u32::from(self.itself);
        match &self.judge {
            Judge::Limit(max) => (0, *max),
            Judge::Spread(s) => {
                let bound = s.bound(totals.fewest, totals.domains);
                (0, bound.saturating_add(1).saturating_sub(itself))
            }
            Judge::Affinity(a) if a.away => (0, 1),
            Judge::Affinity(_) => (u32::from(totals.anywhere > 0 || !self.itself), u32::MAX),
        }
    }

    /// Whether what happened to its tally may let something pass that did not before.
    #[must_use]
    pub fn helped_by(&self, stir: Stir) -> bool {
        match &self.judge {
            Judge::Limit(_) => stir.fewer,
            Judge::Affinity(a) if a.away => stir.fewer,
            Judge::Spread(_) | Judge::Affinity(_) => stir.fewer || stir.more,
        }
    }
}

/// Which rule says no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum No {
    /// A limit per domain.
    Limit,
    /// An even spread.
    Uneven,
    /// The task must be near to others.
    NotNear,
    /// The task must be away from others.
    NotAway,
    /// Others must be away from the task.
    KeptAway,
}

impl No {
    /// The cause that is said, for a key.
    #[must_use]
    pub fn cause(self, key: &str) -> Cause {
        let key = key.to_owned();
        match self {
            Self::Limit => Cause::LimitPerKey(key),
            Self::Uneven => Cause::Spread(key),
            Self::NotNear => Cause::Near(key),
            Self::NotAway => Cause::Away(key),
            Self::KeptAway => Cause::KeptAway(key),
        }
    }
}

/// What a hard rule refuses: nodes whose domain has too many, or too few.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bar {
    /// What is counted.
    pub tally: TallyIx,
    /// Which rule it is.
    pub no: No,
    /// Whether a node in no domain passes.
    pub domainless: bool,
    /// The fewest that pass.
    pub low: u32,
    /// The most that pass, and one.
    pub below: u32,
}

impl Bar {
    /// What keeps tasks away from those who said so first: the tally counts who bears their rule.
    #[must_use]
    pub fn kept_away(tally: TallyIx) -> Self {
        Self {
            tally,
            no: No::KeptAway,
            domainless: true,
            low: 0,
            below: 1,
        }
    }

    /// Why a domain of this name is refused, which has so many.
    #[must_use]
    pub fn in_words(&self, key: &str, domain: &str, here: u32) -> String {
        let below = self.below;
        let why = match self.no {
            No::Limit => format!("{here} of at most {below}"),
            No::Uneven => format!("{here}, those with less than {below} are next"),
            No::NotNear => "none that it must be near to".to_owned(),
            No::NotAway => format!("{here} that it must be away from"),
            No::KeptAway => format!("{here} that must be away from it"),
        };
        format!("{key} {domain} has {why}")
    }

    /// Which counts pass now.
    pub fn set(&mut self, (low, below): (u32, u32)) {
        (self.low, self.below) = (low, below);
    }

    /// Whether a node passes whose domain has so many (none: it is in none).
    #[must_use]
    pub fn passes(&self, here: Option<u32>) -> bool {
        match here {
            None => self.domainless,
            Some(n) => self.low <= n && n < self.below,
        }
    }
}

/// Which domains a soft rule likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Those with the fewest; nodes in no domain come last.
    Fewest,
    /// Those with the fewest; nodes in no domain have none.
    FewestOrNowhere,
    /// Those with the most; nodes in no domain come last.
    Most,
}

/// In which order a soft rule looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// What is counted.
    pub tally: TallyIx,
    /// Which domains come first.
    pub by: By,
}

impl Order {
    /// The place of a node whose domain has so many; the lowest comes first.
    #[must_use]
    pub fn place(&self, here: Option<u32>) -> u32 {
        match (self.by, here) {
            (By::Fewest, None) => u32::MAX,
            (By::Fewest, Some(n)) => n,
            (By::FewestOrNowhere, n) => n.unwrap_or(0),
            (By::Most, n) => u32::MAX - n.unwrap_or(0),
        }
    }
}

/// The soft rules in the order in which they decide: affinities, then spreads.
#[must_use]
pub fn orders(relations: &[Relation], tallies: &[TallyIx]) -> Vec<Order> {
    let orders = relations.iter().zip(tallies).filter_map(|(r, ix)| r.order(*ix));
    let (mut first, last): (Vec<_>, Vec<_>) = orders.partition(|o| o.by != By::Fewest);
    first.extend(last);
    first
}
