//! Tenants: who is charged how much, and whose turn it is.

use plenum_model::amounts::Amounts;
use plenum_model::ids::TenantPath;
use plenum_model::tenant::Tenant;
use plenum_model::why::LimitReached;
use std::collections::{BTreeMap, BTreeSet};

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantRow {
    /// As it was set.
    pub tenant: Tenant,
    /// What its tasks hold, those of tenants below it included.
    pub used: Amounts,
}

/// All tenants.
#[derive(Debug, Default)]
pub struct Tenants {
    rows: BTreeMap<TenantPath, TenantRow>,
    /// Those that may take more than before: something was let go, or the limit was raised.
    pub freed: BTreeSet<TenantPath>,
}

/// A tenant's turn: its share and those of the tenants above it, from the top down. The lowest goes first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Turn(Vec<u64>);

impl Tenants {
    /// A tenant.
    #[must_use]
    pub fn get(&self, path: &TenantPath) -> Option<&TenantRow> {
        self.rows.get(path)
    }

    /// All, by path.
    pub fn iter(&self) -> impl Iterator<Item = &TenantRow> {
        self.rows.values()
    }

    /// Creates or replaces one.
    pub fn set(&mut self, tenant: Tenant) {
        self.freed.insert(tenant.path.clone());
        match self.rows.get_mut(&tenant.path) {
            Some(row) => row.tenant = tenant,
            None => {
                // Tenants below it may have been there before it.
                let prefix = format!("{}/", tenant.path);
                let below = self.rows.values().filter(|row| {
                    let rest = row.tenant.path.as_str().strip_prefix(&prefix);
                    rest.is_some_and(|rest| !self.between(&tenant.path, rest))
                });
                let used = below.fold(Amounts::default(), |sum, row| plus(&sum, &row.used));
                self.rows.insert(tenant.path.clone(), TenantRow { tenant, used });
            }
        }
    }

    /// Whether a tenant stands between `top` and `top/rest`.
    fn between(&self, top: &TenantPath, rest: &str) -> bool {
        rest.match_indices('/').any(|(i, _)| {
            TenantPath::new(format!("{top}/{}", &rest[..i])).is_ok_and(|path| self.rows.contains_key(&path))
        })
    }

    /// Charges the tenant and those above it: `old` is let go, `new` is taken.
    pub fn charge(&mut self, path: &TenantPath, old: &Amounts, new: &Amounts) {
        for path in lineage(path) {
            if let Some(row) = self.rows.get_mut(&path) {
                row.used = plus(&row.used.saturating_sub(old), new);
                if !old.is_zero() {
                    self.freed.insert(path);
                }
            }
        }
    }

    /// The first limit, from the top down, that `more` would break; `holds` of it is charged already.
    #[must_use]
    pub fn limit(&self, path: &TenantPath, more: &Amounts, holds: &Amounts) -> Option<LimitReached> {
        lineage(path).find_map(|path| {
            let row = self.rows.get(&path)?;
            let broken = row.tenant.limit.iter().find(|(resource, limit)| {
                let asked = more.get(resource).saturating_sub(holds.get(resource));
                asked > 0 && row.used.get(resource).saturating_add(asked) > *limit
            });
            broken.map(|(resource, limit)| LimitReached {
                used: row.used.get(&resource),
                tenant: path,
                resource,
                limit,
            })
        })
    }

    /// Whose turn it is: weighted dominant shares of what `total` offers.
    #[must_use]
    pub fn turn(&self, path: &TenantPath, total: &Amounts) -> Turn {
        let shares = lineage(path).filter_map(|path| {
            let row = self.rows.get(&path)?;
            Some(share(&row.used, total, row.tenant.weight))
        });
        Turn(shares.collect())
    }
}

/// The largest part that any resource of `used` is of `total`, over the weight, in 2^-32.
fn share(used: &Amounts, total: &Amounts, weight: u32) -> u64 {
    let parts = used.iter().map(|(resource, count)| {
        let of = u128::from(total.get(&resource)).max(1);
        (u128::from(count) << 32) / of / u128::from(weight.max(1))
    });
    parts
        .max()
        .map_or(0, |part| u64::try_from(part).unwrap_or(u64::MAX))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> TenantPath {
        TenantPath::new(text).unwrap()
    }

    #[test]
    fn a_limit_above_binds_those_below_whenever_it_was_set() {
        let mut tenants = Tenants::default();
        tenants.set(Tenant::new(path("web/a")));
        tenants.set(Tenant::new(path("web/a/x")));
        tenants.charge(&path("web/a/x"), &Amounts::default(), &Amounts::task(500, 0, 0));
        let limit = Amounts {
            cpu_millis: 1000,
            ..Amounts::default()
        };
        tenants.set(Tenant {
            limit,
            ..Tenant::new(path("web"))
        });
        assert_eq!(tenants.get(&path("web")).unwrap().used.cpu_millis, 500);
        let none = Amounts::default();
        assert_eq!(
            tenants.limit(&path("web/a"), &Amounts::task(500, 0, 0), &none),
            None
        );
        let reached = tenants
            .limit(&path("web/a"), &Amounts::task(501, 0, 0), &none)
            .unwrap();
        assert_eq!(
            (reached.tenant, reached.limit, reached.used),
            (path("web"), 1000, 500)
        );
    }

    #[test]
    fn a_share_is_the_largest_part_over_the_weight() {
        let total = Amounts::task(9_000, 18, 0);
        assert_eq!(
            share(&Amounts::task(3_000, 1, 0), &total, 1),
            share(&Amounts::task(0, 6, 0), &total, 1)
        );
        assert_eq!(
            share(&Amounts::task(9_000, 1, 0), &total, 3) * 3,
            (1 << 32) / 3 * 3
        );
    }
}
