//! Whole nodes and tenants: what a node refuses and keeps and who waits for it, where a tenant stands and what waits
//! under it. Tasks of the same terms are asked once.

use super::asked::Asked;
use super::other;
use crate::input::TaskNow;
use crate::ledger::tenants::lineage;
use crate::view::View;
use plenum_contract::pool::{NodeExplanation, TenantExplanation, WaitsFor};
use plenum_model::claim::Terms;
use plenum_model::ids::{NodeId, TenantPath};
use plenum_model::why::{Block, Cause};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Tasks that are named one by one.
const NAMED: usize = 5;

/// Waiting tasks that ask the same of the same nodes.
type Kind<'v> = (*const Terms, Option<&'v NodeId>);

impl View {
    /// What a node refuses, what is kept there, and who waits for it; none if there is no such node.
    #[must_use]
    pub fn explain_node(&self, id: &NodeId, strict_caps: bool) -> Option<NodeExplanation> {
        let seen = self.nodes.get(id)?;
        let kept = seen.kept.iter().filter_map(|id| self.tasks.get(id));
        let kept = kept.filter_map(|now| Some((other(&now.task), now.kept.as_ref()?.amounts.clone())));
        let (mut refuses, mut only): (BTreeMap<Cause, u32>, Vec<&TaskNow>) = Default::default();
        let mut kinds: BTreeMap<Kind<'_>, (Option<Cause>, bool)> = BTreeMap::new();
        for (_, task) in &self.waiting {
            let Some(now) = self.tasks.get(task) else { continue };
            let at = now.on.as_ref().or(now.kept.as_ref().map(|kept| &kept.node));
            let kind = (Arc::as_ptr(&now.task.terms), at);
            let (cause, nowhere_else) = kinds.entry(kind).or_insert_with(|| {
                let asked = Asked::new(self, now, strict_caps);
                let cause = asked.as_ref().and_then(|asked| asked.verdict(id, seen).cause);
                (cause, asked.is_some_and(|asked| self.only_at(&asked, id)))
            });
            if let Some(cause) = cause {
                *refuses.entry(cause.clone()).or_insert(0) += 1;
            }
            if *nowhere_else {
                only.push(now);
            }
        }
        Some(NodeExplanation {
            node: Arc::new(seen.node()),
            waiting: count(self.waiting.len()),
            refuses: refuses.into_iter().collect(),
            kept: kept.collect(),
            waits_for_it: count(only.len()),
            first: only.into_iter().take(NAMED).map(|now| other(&now.task)).collect(),
        })
    }

    /// Whether a task can go to one node and to no other.
    fn only_at(&self, asked: &Asked<'_>, id: &NodeId) -> bool {
        let ruled_out = |(id, seen): (&NodeId, _)| {
            let cause = asked.verdict(id, seen).cause;
            cause.is_some_and(|cause| cause.rules_out())
        };
        let mut nodes = self.nodes.iter();
        nodes.all(|(other, seen)| ruled_out((other, seen)) != (other == id))
    }

    /// Where a tenant stands, and what waits under it for what; none if there is no such tenant.
    #[must_use]
    pub fn explain_tenant(&self, path: &TenantPath) -> Option<TenantExplanation> {
        let seen = self.tenants.get(path)?;
        let tenants = self.tenants_now();
        let row = tenants.get(path)?;
        Some(TenantExplanation {
            usage: seen.usage(),
            guarantee: row.guarantee.clone(),
            borrowed: row.used.saturating_sub(&row.guarantee),
            unused: row.guarantee.saturating_sub(&row.used),
            share_per_mille: row.share(&self.total()).per_mille(),
            within_guarantee: row.within_guarantee(),
            waits: self.waits_under(path),
        })
    }

    fn waits_under(&self, path: &TenantPath) -> Vec<WaitsFor> {
        let mut waits: Vec<WaitsFor> = Vec::new();
        let waiting = self.waiting.iter().filter_map(|(_, id)| self.tasks.get(id));
        let under = |now: &&TaskNow| lineage(&now.task.terms.tenant).any(|above| above == *path);
        for now in waiting.filter(under) {
            let Some(block) = now.task.status.why.as_ref().and_then(|why| why.block()) else {
                continue;
            };
            match waits.iter_mut().find(|known| same(&known.block, &block)) {
                Some(known) => known.tasks += 1,
                None => waits.push(WaitsFor {
                    block,
                    tasks: 1,
                    first: other(&now.task),
                }),
            }
        }
        waits.sort_by_key(|known| std::cmp::Reverse(known.tasks));
        waits
    }
}

/// Whether two wait for the same, though they were told at different times how much of it there is.
fn same(a: &Block, b: &Block) -> bool {
    match (a, b) {
        (Block::Limit(a), Block::Limit(b)) => (&a.tenant, &a.resource) == (&b.tenant, &b.resource),
        (a, b) => a == b,
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
