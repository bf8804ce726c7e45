//! `plenum tenant usage`: resource by resource, what tenants use of what they are promised and of the whole pool.

use crate::failure::Failure;
use crate::output::table::{Cell, Column, Table};
use crate::session::Session;
use plenum_client::v1::tenant::Tenant;
use plenum_model::amounts::{Amounts, Resource};
use plenum_model::code;
use serde::Serialize;
use std::collections::BTreeSet;

const COLUMNS: &[Column] = &[
    Column::new("TENANT", 9),
    Column::new("RESOURCE", 8),
    Column::new("USED", 8).right(),
    Column::new("GUARANTEE", 6).right(),
    Column::new("LIMIT", 6).right(),
    Column::new("PENDING", 5).right(),
    Column::new("OF POOL", 7).right(),
];

/// One resource of a tenant, in the resource's own unit: thousandths of a core, bytes, or pieces.
#[derive(Debug, Serialize)]
pub(super) struct Usage {
    pub(super) tenant: String,
    resource: String,
    used: u64,
    guarantee: u64,
    limit: u64,
    pending: u64,
    /// What all nodes offer together.
    pool: u64,
    #[serde(skip)]
    of: Resource,
}

/// What a tenant and those below it use, or all of them.
pub(super) async fn usages(path: Option<&str>, session: &Session<'_>) -> Result<Vec<Usage>, Failure> {
    let mut tenants = session.client.tenants().await?;
    tenants.sort_by(|a, b| a.path.split('/').cmp(b.path.split('/')));
    if let Some(path) = path {
        tenants.retain(|t| t.path == path || super::below(path, &t.path).is_some());
        if tenants.is_empty() {
            let failure = Failure::new(code::NOT_FOUND, format!("there is no tenant `{path}`"));
            return Err(failure.hint("plenum tenant list"));
        }
    }
    let mut pool = Amounts::default();
    for node in session.client.nodes().await? {
        let offered = Amounts::from(node.capacity).saturating_sub(&Amounts::from(node.system));
        pool = pool.checked_add(&offered).unwrap_or(pool);
    }
    Ok(tenants.iter().flat_map(|tenant| of(tenant, &pool)).collect())
}

/// A resource for each that the tenant uses, waits for, or has a word about.
fn of(tenant: &Tenant, pool: &Amounts) -> Vec<Usage> {
    let all = [&tenant.used, &tenant.guarantee, &tenant.limit, &tenant.pending];
    let [used, guarantee, limit, pending] = all.map(|shown| Amounts::from(shown.clone()));
    let named = [&used, &guarantee, &limit, &pending];
    let resources: BTreeSet<Resource> = named.iter().flat_map(|a| a.iter()).map(|(r, _)| r).collect();
    let usage = |of: Resource| Usage {
        tenant: tenant.path.clone(),
        resource: of.to_string(),
        used: used.get(&of),
        guarantee: guarantee.get(&of),
        limit: limit.get(&of),
        pending: pending.get(&of),
        pool: pool.get(&of),
        of,
    };
    resources.into_iter().map(usage).collect()
}

pub(super) fn table(usages: &[Usage]) -> Table {
    Table::new(COLUMNS, usages.iter().map(row))
}

#[allow(clippy::cast_precision_loss, reason = "an order of amounts for people")]
fn row(usage: &Usage) -> Vec<Cell> {
    let amount = |count: u64| {
        let text = match (count, &usage.of) {
            (0, _) => "-".to_owned(),
            (_, Resource::Cpu) => crate::output::text::cpu(count),
            (_, Resource::Memory | Resource::Disk) => crate::output::text::bytes(count),
            (_, Resource::Slot | Resource::Extended(_)) => count.to_string(),
        };
        Cell::keyed(text, count as f64)
    };
    let share = usage.used as f64 / usage.pool.max(1) as f64;
    vec![
        Cell::text(&usage.tenant),
        Cell::text(&usage.resource),
        amount(usage.used),
        amount(usage.guarantee),
        amount(usage.limit),
        amount(usage.pending),
        Cell::keyed(format!("{:.1} %", share * 100.0), share),
    ]
}
