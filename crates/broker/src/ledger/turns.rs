//! Whose turn it is among classes that wait, as a tree of ordered sets: at each tenant those below it that have a
//! waiting class, in the order in which they go. A placement moves the tenant that is charged and those above it,
//! each within its own set; how many tenants wait beside them matters no more than for looking one up.
//!
//! At each level, from the top down: the system's own first; then who has not all of its guarantee; then the higher
//! priority, as far as it counts there; then the lowest share; then age. A priority counts within its scope, so
//! above that, between tenants, only guarantees and shares do (else everybody would claim the highest one).

use super::queue::ClassKey;
use super::share::Share;
use super::tenants::{TenantIx, Tenants};
use plenum_model::amounts::Amounts;
use plenum_model::why::Because;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// What ranks a class beside the tenants it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stand {
    /// Who is charged.
    pub tenant: TenantIx,
    /// How many tenants are above that one.
    pub depth: u32,
    /// Its rank.
    pub rank: Rank,
}

/// A rank, and where it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// That of whoever names none.
    Plain,
    /// A priority that counts within a tenant.
    Within(TenantIx, i32),
    /// That of the system's own tasks; it counts everywhere, before everything else.
    System,
}

impl Stand {
    /// Where it waits: among the tenant's own.
    fn spot(&self) -> Spot {
        Spot {
            tenant: self.tenant,
            depth: self.depth,
            own: true,
            rank: self.rank,
        }
    }
}

/// A tenant within the set of the tenant above it, with those of its waiting classes that have one rank there. Of
/// the tenant's own classes apart from those below it: they stand beside these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Spot {
    tenant: TenantIx,
    depth: u32,
    own: bool,
    rank: Rank,
}

impl Spot {
    /// In whose set it stands; none: it stands at the top.
    fn above(&self, tenants: &Tenants) -> Option<Self> {
        let row = tenants.row(self.tenant);
        let (tenant, depth) = if self.own {
            (self.tenant, self.depth)
        } else {
            (row.above?, self.depth.checked_sub(1)?)
        };
        // It counts there only if its scope is above that tenant.
        let counts = |scope| tenants.upward(tenant).skip(1).any(|above| above == scope);
        let rank = match self.rank {
            Rank::Within(scope, _) if !counts(scope) => Rank::Plain,
            rank => rank,
        };
        Some(Self {
            tenant,
            depth,
            own: false,
            rank,
        })
    }

    /// Those that are furthest down come first.
    fn deep(&self) -> (Reverse<(u32, bool)>, Self) {
        (Reverse((self.depth, self.own)), *self)
    }
}

/// A place in a set; the lowest goes first. Ages differ, so it never comes to what stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    system: Reverse<bool>,
    beyond_guarantee: bool,
    priority: Reverse<i32>,
    share: Share,
    age: u64,
    who: Who,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Class(ClassKey),
    Spot(Spot),
}

#[derive(Debug, Default)]
struct Row {
    places: BTreeSet<Place>,
    filed: Option<Place>,
}

/// Classes in the order of their turns.
#[derive(Debug, Default)]
pub struct Turns {
    rows: BTreeMap<Spot, Row>,
    top: BTreeSet<Place>,
    stale: BTreeSet<(Reverse<(u32, bool)>, Spot)>,
}

/// The next class and how it came to be that: its places, from the bottom up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Which class.
    pub key: ClassKey,
    trail: Vec<Place>,
}

impl Turn {
    /// Whether it comes before the next one of another tree over the same tenants.
    #[must_use]
    pub fn before(&self, other: &Self) -> bool {
        let mut both = self.trail.iter().rev().zip(other.trail.iter().rev());
        both.find(|(a, b)| a.who != b.who).is_none_or(|(a, b)| a < b)
    }

    /// Why it comes before the other; none: it does not, or is it.
    #[must_use]
    pub fn because(&self, other: &Self) -> Option<Because> {
        let mut both = self.trail.iter().rev().zip(other.trail.iter().rev());
        let (a, b) = both.find(|(a, b)| a.who != b.who).filter(|(a, b)| a < b)?;
        Some(if a.system != b.system {
            Because::System
        } else if a.beyond_guarantee != b.beyond_guarantee {
            Because::Guarantee
        } else if a.priority != b.priority {
            Because::Priority
        } else if a.share != b.share {
            Because::Share
        } else {
            Because::Age
        })
    }

    /// Its place at the level that was looked at last.
    fn front(&self) -> Option<&Place> {
        self.trail.last()
    }
}

impl Turns {
    /// Whether no class is in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Puts a class in or takes it out, by the age of its oldest waiter.
    pub fn put(&mut self, stand: &Stand, age: u64, key: ClassKey, within: bool) {
        let spot = stand.spot();
        let place = Place::of_class(age, key);
        let places = &mut self.rows.entry(spot).or_default().places;
        if within {
            places.insert(place);
        } else {
            places.remove(&place);
        }
        self.stale.insert(spot.deep());
    }

    /// The share of a tenant, or whether it has all of its guarantee, may be another than before.
    pub fn moved(&mut self, tenant: TenantIx) {
        let first = Spot {
            tenant,
            depth: 0,
            own: false,
            rank: Rank::Plain,
        };
        let spots = self.rows.range(first..).map(|(spot, _)| spot);
        let spots = spots.take_while(|spot| spot.tenant == tenant);
        self.stale.extend(spots.map(Spot::deep));
    }

    /// All shares are others: the pool has more or less than before.
    pub fn all_moved(&mut self) {
        self.stale.extend(self.rows.keys().map(Spot::deep));
    }

    /// Brings all places up to date, from the bottom up.
    pub fn settle(&mut self, tenants: &Tenants, total: &Amounts) {
        while let Some((_, spot)) = self.stale.pop_first() {
            let Some(row) = self.rows.get_mut(&spot) else {
                continue;
            };
            let first = row.places.first().map(|first| first.age);
            let now = first.map(|age| spot.place(age, tenants, total));
            let was = std::mem::replace(&mut row.filed, now);
            if now.is_none() {
                self.rows.remove(&spot);
            }
            let above = spot.above(tenants);
            let beside = match above {
                Some(above) => &mut self.rows.entry(above).or_default().places,
                None => &mut self.top,
            };
            if let Some(place) = was {
                beside.remove(&place);
            }
            beside.extend(now);
            if was != now
                && let Some(above) = above
            {
                self.stale.insert(above.deep());
            }
        }
    }

    /// The first class. Up to date after `settle`.
    #[must_use]
    pub fn first(&self) -> Option<Turn> {
        self.first_where(&mut |_| true)
    }

    /// The first class that passes.
    pub fn first_where(&self, passes: &mut impl FnMut(&ClassKey) -> bool) -> Option<Turn> {
        self.seek(&self.top, passes)
    }

    /// Where a class stands that is in: its tenants as old as those of theirs are that go before it. Up to date after
    /// `settle`.
    #[must_use]
    pub fn standing(&self, stand: &Stand, age: u64, key: ClassKey, tenants: &Tenants) -> Turn {
        let mut trail = vec![Place::of_class(age, key)];
        let mut at = Some(stand.spot());
        while let Some(spot) = at {
            trail.extend(self.rows.get(&spot).and_then(|row| row.filed));
            at = spot.above(tenants);
        }
        Turn { key, trail }
    }

    /// A tenant stands by the age of its first class. If that one does not pass, the tenant is as old as the first
    /// that does: so those that are beside it but for age are asked, too.
    fn seek(&self, among: &BTreeSet<Place>, passes: &mut impl FnMut(&ClassKey) -> bool) -> Option<Turn> {
        let mut best: Option<Turn> = None;
        for place in among {
            let front = best.as_ref().and_then(Turn::front);
            if front.is_some_and(|front| !place.older_equal(front)) {
                break;
            }
            let found = match place.who {
                Who::Class(key) => passes(&key).then(|| Turn {
                    key,
                    trail: Vec::with_capacity(4),
                }),
                Who::Spot(spot) => {
                    let row = self.rows.get(&spot);
                    row.and_then(|row| self.seek(&row.places, passes))
                }
            };
            let Some(mut found) = found else { continue };
            let age = found.front().map_or(place.age, |front| front.age);
            let here = Place { age, ..*place };
            if front.is_none_or(|front| here < *front) {
                found.trail.push(here);
                best = Some(found);
            }
        }
        best
    }
}

impl Place {
    fn of_class(age: u64, key: ClassKey) -> Self {
        Self {
            system: Reverse(false),
            beyond_guarantee: false,
            priority: Reverse(0),
            share: Share::NONE,
            age,
            who: Who::Class(key),
        }
    }

    /// Whether it is equal to the other but for age, and older.
    fn older_equal(&self, other: &Self) -> bool {
        let but_age = Self {
            age: other.age,
            who: other.who,
            ..*self
        };
        but_age == *other && self.age < other.age
    }
}

impl Spot {
    fn place(&self, age: u64, tenants: &Tenants, total: &Amounts) -> Place {
        let row = tenants.row(self.tenant);
        let (beyond_guarantee, share) = if self.own {
            (true, row.own_share(total))
        } else {
            (!row.within_guarantee(), row.share(total))
        };
        let priority = match self.rank {
            Rank::Plain | Rank::System => 0,
            Rank::Within(_, value) => value,
        };
        Place {
            system: Reverse(self.rank == Rank::System),
            beyond_guarantee,
            priority: Reverse(priority),
            share,
            age,
            who: Who::Spot(*self),
        }
    }
}
