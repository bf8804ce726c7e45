//! Why a task waits, node by node and in numbers. The same funnel as the core's, over what readers see.

use super::{NodeSeen, View};
use crate::input::{Held, TaskNow};
use crate::ledger::book::part;
use crate::place::needs::Needs;
use crate::place::ports::Ports;
use crate::place::verdict::{Extra, NodeLook, in_words, verdict};
use plenum_contract::pool::Explanation;
use plenum_model::amounts::{Amounts, Resource};
use plenum_model::ids::{NodeId, SchedulerId, TaskId};
use plenum_model::node::NodeFacts;
use plenum_model::why::{Cause, NodeVerdict, Why};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl View {
    /// Why a task waits, in full; none if there is no such task.
    #[must_use]
    pub fn explain(&self, id: TaskId, strict_caps: bool) -> Option<Explanation> {
        let now = self.tasks.get(&id)?;
        let task = Arc::clone(&now.task);
        let needs = Needs::new(Arc::clone(&task.terms), Arc::clone(&now.spec), strict_caps).ok();
        let (Some(needs), true) = (needs, now.waits) else {
            let (why, nodes, holders) = (None, Vec::new(), Vec::new());
            return Some(Explanation {
                task,
                why,
                nodes,
                ahead: 0,
                holders,
                fix: None,
            });
        };
        let nodes = self.verdicts(now, &needs);
        let limit = task.status.why.as_ref().and_then(|why| why.limit.clone());
        let mut by: BTreeMap<Cause, u32> = BTreeMap::new();
        for cause in nodes.iter().filter_map(|v| v.cause.clone()) {
            *by.entry(cause).or_insert(0) += 1;
        }
        let by = if limit.is_some() {
            Vec::new()
        } else {
            by.into_iter().collect()
        };
        let why = Why {
            nodes: u32::try_from(nodes.len()).unwrap_or(u32::MAX),
            by,
            limit,
            kept: now.kept.as_ref().map(|kept| kept.node.clone()),
            ..Why::default()
        };
        // What a gang is short of shows only beside the others of it: it was told.
        let told = task.status.why.clone().filter(|told| told.gang.is_some());
        let why = told.unwrap_or(why);
        let (tenant, priority) = (&task.terms.tenant, task.terms.priority.value);
        let before = |(age, other): &&(u64, TaskId)| {
            let other = &self.tasks[other].task.terms;
            let (theirs, older) = (other.priority.value, *age < now.age);
            other.tenant == *tenant && (theirs > priority || (theirs == priority && older))
        };
        let ahead = self.waiting.iter().filter(before).count();
        Some(Explanation {
            ahead: u32::try_from(ahead).unwrap_or(u32::MAX),
            holders: self.holders(&why),
            fix: self.fix(&why, &nodes, &needs),
            why: Some(why),
            nodes,
            task,
        })
    }

    fn verdicts(&self, now: &TaskNow, needs: &Needs) -> Vec<NodeVerdict> {
        let standing = self.standing(now, needs);
        let kept = now.kept.as_deref();
        let only = now.on.as_ref().or(kept.map(|kept| &kept.node));
        let holds = match kept {
            Some(kept) => Some(kept.amounts.clone()),
            None => only.map(|_| part(&now.task.terms.charge, now.held)),
        };
        let extra = Extra {
            task: now.task.id(),
            holds: holds.as_ref(),
            given: kept.map(|kept| kept.ports.as_slice()),
            past_cordon: false,
        };
        let look = |(id, seen): (&NodeId, &NodeSeen)| {
            let (free, (ports, others)) = (seen.free(), self.ports(now, seen, needs));
            let facts: &NodeFacts = &seen.now.facts;
            let node = NodeLook {
                facts,
                liveness: seen.now.liveness,
                scheduling: seen.now.scheduling,
                free: &free,
                ports: &ports,
                kept: &others,
            };
            let around = standing.around(facts);
            let cause = match only {
                Some(only) if only != id => Some(Cause::NotPinned),
                Some(_) | None => verdict(needs, &node, &extra, &around).err(),
            };
            let words = cause.as_ref().map(|c| in_words(c, needs, &node, &around));
            let detail = words.unwrap_or_default();
            NodeVerdict {
                node: id.clone(),
                cause,
                detail,
            }
        };
        self.nodes.iter().map(look).collect()
    }

    /// The ports of a node that are held, and those that are kept for others.
    fn ports(&self, waits: &TaskNow, seen: &NodeSeen, needs: &Needs) -> (Ports, Ports) {
        let (mut ports, mut others) = (Ports::default(), Ports::default());
        if !needs.terms.ports.is_empty() {
            let full = seen
                .tasks
                .iter()
                .filter_map(|id| self.tasks.get(id))
                .filter(|t| t.held == Held::Full);
            for now in full {
                ports.hold(&now.task.terms.ports, &now.task.status.ports);
            }
            let kept = seen.kept.iter().filter_map(|id| self.tasks.get(id));
            for now in kept.filter(|now| now.task.id() != waits.task.id()) {
                if let Some(kept) = &now.kept {
                    others.hold(&now.task.terms.ports, &kept.ports);
                }
            }
        }
        (ports, others)
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

    /// One change that would help.
    fn fix(&self, why: &Why, nodes: &[NodeVerdict], needs: &Needs) -> Option<String> {
        let charge = &needs.terms.charge;
        if let Some(limit) = &why.limit {
            let (resource, used) = (&limit.resource, limit.used);
            let enough = resource.amount(used.saturating_add(charge.get(resource)));
            return Some(format!("raise the limit of tenant {} to {enough}", limit.tenant));
        }
        if why.kept.is_some() {
            return None;
        }
        if nodes.is_empty() {
            return Some("add a node".to_owned());
        }
        let missing = nodes.iter().filter_map(|v| {
            let Some(Cause::Short(resource)) = &v.cause else {
                return None;
            };
            let seen = self.nodes.get(&v.node)?;
            let lacks = charge.get(resource).saturating_sub(seen.free().get(resource));
            let of = seen.now.facts.allocatable().get(resource);
            Some((
                lacks.saturating_mul(1000) / of.max(1),
                resource,
                lacks,
                &v.node,
                of,
            ))
        });
        if let Some((_, resource, lacks, node, of)) = missing.min_by_key(|(part, ..)| *part) {
            let asks = charge.get(resource);
            if asks > of {
                let (asks, of) = (resource.amount(asks), resource.amount(of));
                return Some(format!(
                    "no node is large enough: it asks {asks}, {node} has {of} in all"
                ));
            }
            return Some(format!("free {} on {node}", resource.amount(lacks)));
        }
        nodes.iter().find_map(|v| match v.cause.as_ref()? {
            Cause::Cordoned => Some(format!("open node {}", v.node)),
            Cause::Runtime(name) => Some(format!("add a node with runtime {name}")),
            Cause::Capability(name) => Some(format!("add a node that can do {name}")),
            Cause::Attribute(key) => Some(format!("add a node whose {key} matches, or change the rule")),
            Cause::LimitPerKey(key) => Some(format!("add a node with another {key}, or raise the limit")),
            Cause::Port(port) => Some(format!("release what holds port {port}, or ask for any port")),
            Cause::Spread(key) => Some(format!(
                "free room where the {key} has the fewest of them, or allow a larger skew"
            )),
            Cause::Near(key) => Some(format!("free room in the {key} of those it must be near to")),
            Cause::Away(key) | Cause::KeptAway(key) => Some(format!("add a node with another {key}")),
            Cause::Unreachable
            | Cause::NotPinned
            | Cause::Taint(_)
            | Cause::Short(_)
            | Cause::Device(_)
            | Cause::DynamicPorts => None,
        })
    }
}
