//! Why things wait, in full and in numbers: the same funnel as the core's and the same order of turns, over what readers
//! see. One task here; what is against it on each node is in `asked`, who goes before it in `line`, what would help
//! in `fix`; whole nodes and tenants in `places`.

mod asked;
mod fix;
mod line;
mod places;

use super::View;
use crate::input::TaskNow;
use asked::{Asked, Kept};
use line::{Before, Line};
use plenum_contract::pool::{Ahead, Explanation};
use plenum_model::amounts::{Amounts, Resource};
use plenum_model::claim::Terms;
use plenum_model::ids::{SchedulerId, TaskId, TenantPath};
use plenum_model::task::Task;
use plenum_model::why::{Because, Block, Cause, NodeVerdict, Other, Why};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Kinds of waiting tasks that are asked whether they could use the same room; those beyond count as if they could.
const KINDS: usize = 64;

impl View {
    /// Why a task waits, in full; none if there is no such task.
    #[must_use]
    pub fn explain(&self, id: TaskId, strict_caps: bool) -> Option<Explanation> {
        let now = self.tasks.get(&id)?;
        let asked = now.waits.then(|| Asked::new(self, now, strict_caps)).flatten();
        let Some(asked) = asked else {
            return Some(Explanation {
                task: Arc::clone(&now.task),
                why: None,
                block: None,
                nodes: Vec::new(),
                ahead: Ahead::default(),
                holders: Vec::new(),
                fix: None,
            });
        };
        let nodes: Vec<_> = self
            .nodes
            .iter()
            .map(|(id, seen)| asked.verdict(id, seen))
            .collect();
        let why = why(now, &nodes);
        let rivals = self.rivals(&asked, &why, strict_caps);
        let before = Line::new(self, now, rivals.into_iter()).before();
        let block = self.block(&asked, &why, &before);
        Some(Explanation {
            task: Arc::clone(&now.task),
            holders: self.holders(&why),
            fix: block
                .as_ref()
                .and_then(|block| self.fix(&asked, block, &why, &before.tasks)),
            ahead: ahead(&before),
            block,
            why: Some(why),
            nodes,
        })
    }

    /// What keeps a task waiting before all else.
    fn block(&self, asked: &Asked<'_>, why: &Why, before: &Before<'_>) -> Option<Block> {
        let told = why.block();
        let Some(Block::Nodes(_)) = told else {
            return told;
        };
        if let Some(kept) = self.kept_from(asked) {
            return Some(kept);
        }
        let first = before.tasks.first().zip(before.because);
        let first = first.filter(|(first, because)| {
            // That others of its own were there earlier is no news.
            *because != Because::Age || first.task.terms.tenant != asked.now.task.terms.tenant
        });
        match first {
            Some((first, because)) => Some(Block::Turn {
                first: other(&first.task),
                because,
            }),
            None => told,
        }
    }

    /// Room for it that is kept for another.
    fn kept_from(&self, asked: &Asked<'_>) -> Option<Block> {
        let (node, seen) = self.nodes.iter().find(|(id, seen)| {
            !seen.kept.is_empty() && asked.all_against(id, seen, Kept::IsFree).is_empty()
        })?;
        let by = self.kept_for_others(asked.now, seen).next()?;
        let tenants = self.tenants_now();
        let guarantees = |ix| tenants.row(ix).guarantees(&by.task.terms.charge);
        let tenant = tenants.find(&by.task.terms.tenant)?;
        // A seat is handed on, whatever is guaranteed.
        let guaranteed = by.task.seat.replaces.is_none() && tenants.upward(tenant).any(guarantees);
        Some(Block::Kept {
            node: node.clone(),
            by: other(&by.task),
            guaranteed,
        })
    }

    /// Others that wait for what this one waits for: under the same limit, or for room where it could go.
    fn rivals<'v>(&'v self, asked: &Asked<'v>, why: &Why, strict_caps: bool) -> Vec<&'v TaskNow> {
        let me = asked.now.task.id();
        let others = self.waiting.iter().filter_map(|(_, id)| self.tasks.get(id));
        let others = others.filter(|now| now.task.id() != me && now.kept.is_none());
        let limit_of = |now: &TaskNow| -> Option<TenantPath> {
            let told = now.task.status.why.as_ref()?;
            told.limit.as_ref().map(|limit| limit.tenant.clone())
        };
        if let Some(limit) = &why.limit {
            return others
                .filter(|now| limit_of(now).as_ref() == Some(&limit.tenant))
                .collect();
        }
        let lacks = |(id, seen)| Some((id, seen, asked.lacks(id, seen)?));
        let nodes: Vec<_> = self.nodes.iter().filter_map(lacks).collect();
        if nodes.is_empty() || asked.now.kept.is_some() {
            return Vec::new();
        }
        let mut kinds: BTreeMap<*const Terms, bool> = BTreeMap::new();
        let contends = |now: &&TaskNow| {
            if limit_of(now).is_some() {
                return false;
            }
            let kind = Arc::as_ptr(&now.task.terms);
            let known = kinds.get(&kind).copied();
            known.unwrap_or_else(|| {
                let more = kinds.len() < KINDS;
                let other = Asked::new(self, now, strict_caps).filter(|_| more);
                let same = other.is_none_or(|other| {
                    let mut nodes = nodes.iter();
                    nodes.any(|(id, seen, lacked)| other.asks_for(lacked) && other.lacks(id, seen).is_some())
                });
                kinds.insert(kind, same);
                same
            })
        };
        others.filter(contends).collect()
    }

    /// Who holds what is short: on all nodes, or of the tenant whose limit is reached.
    fn holders(&self, why: &Why) -> Vec<(SchedulerId, Amounts)> {
        let short: BTreeSet<Resource> = match &why.limit {
            Some(limit) => BTreeSet::from([limit.resource.clone()]),
            None => why
                .by
                .iter()
                .filter_map(|(cause, _)| {
                    let Cause::Short(resource) = cause else {
                        return None;
                    };
                    Some(resource.clone())
                })
                .collect(),
        };
        let holders = self.schedulers.iter().filter_map(|(id, seen)| {
            let mut held = Amounts::default();
            for resource in &short {
                held.set(resource, seen.held.get(resource));
            }
            (!held.is_zero()).then(|| (id.clone(), held))
        });
        holders.collect()
    }
}

/// The funnel, of what each node says; but for what only the core knows.
fn why(now: &TaskNow, nodes: &[NodeVerdict]) -> Why {
    let told = now.task.status.why.as_ref();
    // What a gang is short of shows only beside the others of it: it was told.
    if let Some(told) = told.filter(|told| told.gang.is_some()) {
        return told.clone();
    }
    let limit = told.and_then(|why| why.limit.clone());
    let mut by: BTreeMap<Cause, u32> = BTreeMap::new();
    if limit.is_none() {
        for cause in nodes.iter().filter_map(|v| v.cause.clone()) {
            *by.entry(cause).or_insert(0) += 1;
        }
    }
    Why {
        nodes: u32::try_from(nodes.len()).unwrap_or(u32::MAX),
        by: by.into_iter().collect(),
        limit,
        kept: now.kept.as_ref().map(|kept| kept.node.clone()),
        ..Why::default()
    }
}

fn ahead(before: &Before<'_>) -> Ahead {
    let named = before.tasks.iter().take(Ahead::NAMED);
    Ahead {
        tasks: u32::try_from(before.tasks.len()).unwrap_or(u32::MAX),
        first: named.map(|now| other(&now.task)).collect(),
        because: before.because,
    }
}

fn other(task: &Task) -> Other {
    Other {
        task: task.id(),
        name: task.seat.name.clone(),
        tenant: task.terms.tenant.clone(),
    }
}
