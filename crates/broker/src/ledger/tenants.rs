//! Tenants: who is charged how much, what each can always have, and by how much it is beyond that. Whose turn it
//! is follows from it (`turns`).

use super::share::Share;
use plenum_model::amounts::{Amounts, Resource};
use plenum_model::ids::TenantPath;
use plenum_model::tenant::Tenant;
use plenum_model::why::LimitReached;
use std::collections::{BTreeMap, BTreeSet};

/// A tenant within the ledger. No tenant ever goes, so it stays the same until the broker ends; after a restart
/// it may be another, so nothing is decided by it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantIx(u32);

impl TenantIx {
    fn at(self) -> usize {
        self.0 as usize
    }
}

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantRow {
    /// As it was set.
    pub tenant: Tenant,
    /// What its tasks hold, those of tenants below it included.
    pub used: Amounts,
    /// What its own tasks hold.
    pub own: Amounts,
    /// What is nominated for its tasks that wait.
    pub promised: Amounts,
    /// What it can always have: its own guarantee, or what those below it are guaranteed together if that is
    /// more, resource by resource. (Kueue counts quotas of a cohort the same way.)
    pub guarantee: Amounts,
    /// The tenant above it.
    pub above: Option<TenantIx>,
    /// How many are above it.
    pub depth: u32,
    /// What those right below it are guaranteed.
    below: Amounts,
}

impl TenantRow {
    /// Whether it has a guarantee and less than that of everything the guarantee names.
    #[must_use]
    pub fn within_guarantee(&self) -> bool {
        let mut named = self.guarantee.iter().peekable();
        named.peek().is_some() && named.all(|(resource, all)| self.used.get(&resource) < all)
    }

    /// Whether it stays within its guarantee with so much more. What the guarantee does not name it does not cover,
    /// but for slots: everything holds one, and a guarantee of cpu without a place to use it would be none.
    #[must_use]
    pub fn guarantees(&self, more: &Amounts) -> bool {
        more.iter().all(|(resource, more)| {
            let all = self.guarantee.get(&resource);
            let taken = self
                .used
                .get(&resource)
                .saturating_add(self.promised.get(&resource));
            (resource == Resource::Slot && all == 0) || taken.saturating_add(more) <= all
        }) && !self.guarantee.is_zero()
    }

    /// Whether it uses more than it is guaranteed of one of these, using so much less than it does. Slots count only
    /// where the guarantee names them, or there is none.
    #[must_use]
    pub fn borrows(&self, of: &[Resource], less: Option<&Amounts>) -> bool {
        of.iter().any(|resource| {
            let all = self.guarantee.get(resource);
            let used = self
                .used
                .get(resource)
                .saturating_sub(less.map_or(0, |less| less.get(resource)));
            let named = *resource != Resource::Slot || all > 0 || self.guarantee.is_zero();
            named && used > all
        })
    }

    /// How far it is beyond its guarantee, for its weight.
    #[must_use]
    pub fn share(&self, total: &Amounts) -> Share {
        Share::of(&self.used, &self.guarantee, total, self.tenant.weight)
    }

    /// The same of its own tasks, which stand beside the tenants below it as one more of weight 1.
    #[must_use]
    pub fn own_share(&self, total: &Amounts) -> Share {
        Share::of(&self.own, &Amounts::default(), total, 1)
    }
}

/// All tenants.
#[derive(Debug, Default)]
pub struct Tenants {
    rows: Vec<TenantRow>,
    names: BTreeMap<TenantPath, TenantIx>,
    /// Those that may take more than before: something was let go, or a limit or a guarantee was raised.
    pub freed: BTreeSet<TenantIx>,
    /// Those whose share may be another than before.
    pub moved: BTreeSet<TenantIx>,
}

impl Tenants {
    /// The number of a tenant.
    #[must_use]
    pub fn find(&self, path: &TenantPath) -> Option<TenantIx> {
        self.names.get(path).copied()
    }

    /// A tenant.
    #[must_use]
    pub fn get(&self, path: &TenantPath) -> Option<&TenantRow> {
        Some(self.row(self.find(path)?))
    }

    /// A tenant by number.
    #[must_use]
    pub fn row(&self, ix: TenantIx) -> &TenantRow {
        &self.rows[ix.at()]
    }

    /// All, by path.
    pub fn iter(&self) -> impl Iterator<Item = &TenantRow> {
        self.names.values().map(|ix| self.row(*ix))
    }

    /// The tenant, then those above it, up to the top.
    pub fn upward(&self, from: TenantIx) -> impl Iterator<Item = TenantIx> + '_ {
        std::iter::successors(Some(from), |ix| self.row(*ix).above)
    }

    /// Creates or replaces one. Says whether it came between others, which are below it from now on.
    pub fn set(&mut self, tenant: Tenant) -> bool {
        let ix = self.find(&tenant.path);
        let between = ix.is_none() && self.create(&tenant.path);
        let ix = self.find(&tenant.path).unwrap_or_default();
        self.rows[ix.at()].tenant = tenant;
        self.freed.insert(ix);
        self.moved.insert(ix);
        self.guarantee_again(ix);
        between
    }

    /// Makes a row; those below it that were there before it are moved below it.
    fn create(&mut self, path: &TenantPath) -> bool {
        let above = lineage(path).filter(|p| p != path).filter_map(|p| self.find(&p));
        let above = above.last();
        let ix = TenantIx(u32::try_from(self.rows.len()).unwrap_or(u32::MAX));
        let mut row = TenantRow {
            tenant: Tenant::new(path.clone()),
            used: Amounts::default(),
            own: Amounts::default(),
            promised: Amounts::default(),
            guarantee: Amounts::default(),
            above,
            depth: above.map_or(0, |above| self.row(above).depth + 1),
            below: Amounts::default(),
        };
        let prefix = format!("{path}/");
        let mut between = false;
        for other in self
            .rows
            .iter_mut()
            .filter(|r| r.tenant.path.as_str().starts_with(&prefix))
        {
            between = true;
            if other.above == above {
                other.above = Some(ix);
                row.used = plus(&row.used, &other.used);
                row.below = plus(&row.below, &other.guarantee);
                row.promised = plus(&row.promised, &other.promised);
            }
            other.depth += 1;
        }
        if let Some(above) = above {
            self.rows[above.at()].below = self.rows[above.at()].below.saturating_sub(&row.below);
        }
        self.rows.push(row);
        self.names.insert(path.clone(), ix);
        between
    }

    /// What a tenant is guaranteed has changed, and with it what those above it are.
    fn guarantee_again(&mut self, from: TenantIx) {
        let mut at = Some(from);
        while let Some(ix) = at {
            let row = &mut self.rows[ix.at()];
            let now = most(&row.tenant.guarantee, &row.below);
            let was = std::mem::replace(&mut row.guarantee, now.clone());
            at = row.above;
            self.moved.insert(ix);
            self.freed.insert(ix);
            if let Some(above) = at {
                let sum = &mut self.rows[above.at()].below;
                // The first time a tenant is there nothing of it is in the sum yet: `was` is zero then.
                *sum = plus(&sum.saturating_sub(&was), &now);
            }
        }
    }

    /// Charges the tenant and those above it: `old` is let go, `new` is taken.
    pub fn charge(&mut self, ix: TenantIx, old: &Amounts, new: &Amounts) {
        let own = &mut self.rows[ix.at()].own;
        own.take(old);
        own.add(new);
        let frees = !old.is_zero();
        let mut at = Some(ix);
        while let Some(ix) = at {
            let row = &mut self.rows[ix.at()];
            row.used.take(old);
            row.used.add(new);
            at = row.above;
            self.moved.insert(ix);
            if frees {
                self.freed.insert(ix);
            }
        }
    }

    /// Room is nominated for a task of the tenant, or no longer.
    pub fn promise(&mut self, path: &TenantPath, more: &Amounts, up: bool) {
        let mut at = self.find(path);
        while let Some(ix) = at {
            let row = &mut self.rows[ix.at()];
            row.promised = if up {
                plus(&row.promised, more)
            } else {
                row.promised.saturating_sub(more)
            };
            at = row.above;
        }
    }

    /// The first limit, from the top down, that `more` would break; `holds` of it is charged already.
    #[must_use]
    pub fn limit(&self, ix: TenantIx, more: &Amounts, holds: &Amounts) -> Option<LimitReached> {
        let row = self.row(ix);
        if let Some(above) = row.above
            && let Some(reached) = self.limit(above, more, holds)
        {
            return Some(reached);
        }
        let broken = row.tenant.limit.iter().find(|(resource, limit)| {
            let asked = more.get(resource).saturating_sub(holds.get(resource));
            asked > 0 && row.used.get(resource).saturating_add(asked) > *limit
        });
        broken.map(|(resource, limit)| LimitReached {
            used: row.used.get(&resource),
            tenant: row.tenant.path.clone(),
            resource,
            limit,
        })
    }
}

/// The tenants above a tenant, from the top down, and itself.
pub fn lineage(path: &TenantPath) -> impl Iterator<Item = TenantPath> + '_ {
    let text = path.as_str();
    let above = text
        .match_indices('/')
        .filter_map(|(i, _)| TenantPath::new(&text[..i]).ok());
    above.chain(std::iter::once(path.clone()))
}

/// The sum. Counts are bounded where they enter the ledger (see `needs::countable`), so it never saturates.
fn plus(a: &Amounts, b: &Amounts) -> Amounts {
    a.checked_add(b).unwrap_or_else(|| a.clone())
}

/// The larger of both, resource by resource.
fn most(a: &Amounts, b: &Amounts) -> Amounts {
    plus(a, &b.saturating_sub(a))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> TenantPath {
        TenantPath::new(text).unwrap()
    }

    fn cpu(cpu_millis: u64) -> Amounts {
        Amounts {
            cpu_millis,
            ..Amounts::default()
        }
    }

    #[test]
    fn a_limit_above_binds_those_below_whenever_it_was_set() {
        let mut tenants = Tenants::default();
        tenants.set(Tenant::new(path("web/a")));
        tenants.set(Tenant::new(path("web/a/x")));
        tenants.charge(
            tenants.find(&path("web/a/x")).unwrap(),
            &Amounts::default(),
            &Amounts::task(500, 0, 0),
        );
        let between = tenants.set(Tenant {
            limit: cpu(1000),
            ..Tenant::new(path("web"))
        });
        assert!(between);
        assert_eq!(tenants.get(&path("web")).unwrap().used.cpu_millis, 500);
        let none = Amounts::default();
        assert_eq!(
            tenants.limit(
                tenants.find(&path("web/a")).unwrap(),
                &Amounts::task(500, 0, 0),
                &none
            ),
            None
        );
        let reached = tenants
            .limit(
                tenants.find(&path("web/a")).unwrap(),
                &Amounts::task(501, 0, 0),
                &none,
            )
            .unwrap();
        assert_eq!(
            (reached.tenant, reached.limit, reached.used),
            (path("web"), 1000, 500)
        );
    }

    #[test]
    fn what_those_below_are_guaranteed_those_above_are_too() {
        let mut tenants = Tenants::default();
        let set = |tenants: &mut Tenants, name: &str, guarantee: u64| {
            tenants.set(Tenant {
                guarantee: cpu(guarantee),
                ..Tenant::new(path(name))
            });
        };
        let have = |tenants: &Tenants, name: &str| tenants.get(&path(name)).unwrap().guarantee.cpu_millis;
        set(&mut tenants, "web", 0);
        set(&mut tenants, "web/a", 300);
        set(&mut tenants, "web/b/x", 200);
        assert_eq!(have(&tenants, "web"), 500);
        set(&mut tenants, "web/b", 100);
        assert_eq!((have(&tenants, "web/b"), have(&tenants, "web")), (200, 500));
        set(&mut tenants, "web/b", 400);
        assert_eq!(have(&tenants, "web"), 700);
        set(&mut tenants, "web", 1000);
        set(&mut tenants, "web/a", 0);
        assert_eq!(have(&tenants, "web"), 1000);
        set(&mut tenants, "web", 0);
        assert_eq!(have(&tenants, "web"), 400);
    }

    #[test]
    fn a_guarantee_covers_what_it_names_and_a_slot() {
        let mut tenants = Tenants::default();
        tenants.set(Tenant {
            guarantee: cpu(1000),
            ..Tenant::new(path("a"))
        });
        let row = tenants.get(&path("a")).unwrap();
        assert!(row.guarantees(&Amounts::task(1000, 0, 0)) && row.within_guarantee());
        assert!(!row.guarantees(&Amounts::task(1001, 0, 0)));
        assert!(
            !row.guarantees(&Amounts::task(1000, 1, 0)),
            "memory is not guaranteed"
        );
        tenants.charge(
            tenants.find(&path("a")).unwrap(),
            &Amounts::default(),
            &Amounts::task(1000, 0, 0),
        );
        assert!(!tenants.get(&path("a")).unwrap().within_guarantee());
    }
}
