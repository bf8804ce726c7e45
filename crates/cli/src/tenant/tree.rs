//! `plenum tenant tree`: who has how much of what it was promised, and from whom the rest comes.

use super::below;
use crate::output::table::{Cell, Column, Table};
use crate::output::text;
use plenum_client::v1::amounts::Amounts as Shown;
use plenum_client::v1::tenant::Tenant;
use plenum_model::amounts::Amounts;

const COLUMNS: &[Column] = &[
    Column::new("TENANT", 9),
    Column::new("WEIGHT", 2).right(),
    Column::new("GUARANTEE", 8),
    Column::new("USED", 8),
    Column::new("BORROWED", 7),
    Column::new("LENT", 6),
    Column::new("LIMIT", 5),
    Column::new("PENDING", 4),
    Column::new("STARVED", 8),
];

/// What follows from a tenant's guarantee.
struct Standing {
    /// Used beyond it.
    borrowed: Amounts,
    /// Of it, neither used nor asked for: others may have it meanwhile.
    lent: Amounts,
    /// Of it, asked for and not given.
    starved: Amounts,
}

impl Standing {
    fn of(tenant: &Tenant) -> Self {
        let model = |shown: &Shown| Amounts::from(shown.clone());
        let (guarantee, used) = (model(&tenant.guarantee), model(&tenant.used));
        let unused = guarantee.saturating_sub(&used);
        let pending = model(&tenant.pending);
        // The lesser of the two, resource by resource.
        let starved = unused.saturating_sub(&unused.saturating_sub(&pending));
        Self {
            borrowed: used.saturating_sub(&guarantee),
            lent: unused.saturating_sub(&starved),
            starved,
        }
    }
}

/// Each under the nearest tenant above it that is there; they come in the order of their paths, part by part.
pub(super) fn table(tenants: &[Tenant]) -> Table {
    let mut above: Vec<&str> = Vec::new();
    let rows = tenants.iter().map(|t| {
        while above.last().is_some_and(|top| below(top, &t.path).is_none()) {
            above.pop();
        }
        let name = above
            .last()
            .and_then(|top| below(top, &t.path))
            .unwrap_or(&t.path);
        let name = format!("{}{name}", "  ".repeat(above.len()));
        above.push(&t.path);
        let standing = Standing::of(t);
        let amounts = |a: &Amounts| Cell::text(text::amounts(&Shown::from(a)));
        vec![
            Cell::text(name),
            Cell::count(t.weight),
            Cell::text(text::amounts(&t.guarantee)),
            Cell::text(text::amounts(&t.used)),
            amounts(&standing.borrowed),
            amounts(&standing.lent),
            Cell::text(text::amounts(&t.limit)),
            Cell::text(text::amounts(&t.pending)),
            amounts(&standing.starved),
        ]
    });
    Table::new(COLUMNS, rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(path: &str, [guarantee, used, pending]: [u64; 3]) -> Tenant {
        let cpu = |cpu_millis| Shown {
            cpu_millis,
            ..Shown::default()
        };
        Tenant {
            path: path.to_owned(),
            weight: 1,
            guarantee: cpu(guarantee),
            limit: cpu(0),
            used: cpu(used),
            pending: cpu(pending),
            tasks: 1,
        }
    }

    #[test]
    fn what_is_asked_of_a_guarantee_and_not_given_is_starved_and_the_rest_is_lent() {
        // guarantee, used, pending -> borrowed, lent, starved
        let cases = [
            ([4, 1, 0], [0, 3, 0]),
            ([4, 1, 2], [0, 1, 2]),
            ([4, 1, 9], [0, 0, 3]),
            ([4, 6, 2], [2, 0, 0]),
            ([0, 6, 2], [6, 0, 0]),
        ];
        for (is, wanted) in cases {
            let standing = Standing::of(&tenant("t", is));
            let got = [standing.borrowed, standing.lent, standing.starved].map(|a| a.cpu_millis);
            assert_eq!(got, wanted, "{is:?}");
        }
    }

    #[test]
    fn a_name_is_below_another_only_at_a_slash() {
        assert_eq!(below("web", "web/shop"), Some("shop"));
        assert_eq!(below("web", "webs/shop"), None);
        assert_eq!(below("web", "web"), None);
    }
}
