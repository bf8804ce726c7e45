//! One change that would let a task go. Each is looked at with what else is against the node, so that what is said to
//! help does; of several the one that costs the least, what an operator can do before what only whoever claims can.

use super::asked::{Asked, Kept};
use super::other;
use crate::input::{Held, TaskNow};
use crate::place::ports::Ports;
use crate::place::relation::{Bar, Counts, No};
use crate::view::{NodeSeen, View};
use plenum_model::amounts::Amounts;
use plenum_model::claim::HostPort;
use plenum_model::expr::{Expr, Op, keys};
use plenum_model::fix::{Fix, NewNode};
use plenum_model::ids::NodeId;
use plenum_model::node::{NodeFacts, PortRange, RuntimeFacts};
use plenum_model::why::{Block, Cause, GangShort, LimitReached, Other, Why};
use std::collections::{BTreeMap, BTreeSet};

/// How much a change costs, roughly, and among equals how much of it there is; the lowest is said.
type Cost = (u8, u64);

impl View {
    /// One change that would help a task that this keeps waiting, beside those that go before it.
    pub(super) fn fix(
        &self,
        asked: &Asked<'_>,
        block: &Block,
        why: &Why,
        before: &[&TaskNow],
    ) -> Option<Fix> {
        let charge = &asked.now.task.terms.charge;
        let all = before.iter().map(|now| &now.task.terms.charge);
        let with_those = all.fold(charge.clone(), |sum, more| sum.checked_add(more).unwrap_or(sum));
        if let Some(short) = why.gang {
            return self.for_gang(asked, why, short);
        }
        match block {
            Block::Limit(limit) => Some(raised(limit, limit.used, &with_those)),
            Block::Gang(..) | Block::Seat(_) => None,
            Block::NoNodes | Block::Kept { .. } | Block::Turn { .. } => {
                new_node(asked, &with_those, before.len())
            }
            Block::Nodes(_) => {
                let changes = self.nodes.iter().filter_map(|(id, seen)| {
                    let (cost, fix) = self.at_node(asked, &with_those, (id, seen))?;
                    (before.is_empty() || is_about_room(&fix)).then_some((cost, fix))
                });
                let best = changes.min_by_key(|(cost, _)| *cost).map(|(_, fix)| fix);
                best.or_else(|| new_node(asked, &with_those, before.len()))
                    .or_else(|| self.other_rule(asked))
            }
        }
    }

    fn for_gang(&self, asked: &Asked<'_>, why: &Why, short: GangShort) -> Option<Fix> {
        let times = |n: u32| {
            let charge = &asked.now.task.terms.charge;
            (0..n).try_fold(Amounts::default(), |sum, _| sum.checked_add(charge))
        };
        match &why.limit {
            Some(limit) => {
                // What it tells is used on trial is the gang's own in part.
                let used = self.tenants.get(&limit.tenant)?.used.get(&limit.resource);
                Some(raised(limit, used, &times(short.of)?))
            }
            None => new_node(asked, &times(short.of.saturating_sub(short.fit))?, 0),
        }
    }

    /// The change at a node that makes so much room of it usable, if one does.
    fn at_node(
        &self,
        asked: &Asked<'_>,
        amounts: &Amounts,
        (id, seen): (&NodeId, &NodeSeen),
    ) -> Option<(Cost, Fix)> {
        let all = asked.all_against(id, seen, Kept::Counts);
        let node = id.clone();
        match all.as_slice() {
            [Cause::Cordoned] if amounts.fits(&seen.free()) => Some(((0, 0), Fix::OpenNode { node })),
            [Cause::Port(port)] => {
                let holder = self.holder(asked, seen, *port)?;
                let port = *port;
                Some(((1, 0), Fix::ReleasePort { node, port, holder }))
            }
            [Cause::DynamicPorts] => {
                let free = u32::try_from(asked.needs.dynamic_ports()).ok()?;
                Some(((3, 0), Fix::FreePorts { node, free }))
            }
            [Cause::Taint(_)] => {
                let facts: &NodeFacts = &seen.now.facts;
                let taint = asked.needs.kept_off_by(facts, &seen.now.taints)?.clone();
                Some(((4, 0), Fix::BearTaint { node, taint }))
            }
            [Cause::Unreachable] => Some(((5, 0), Fix::ReviveNode { node })),
            short if !short.is_empty() && short.iter().all(|cause| matches!(cause, Cause::Short(_))) => {
                self.room_at(asked, amounts, (node, seen))
            }
            _ => None,
        }
    }

    /// What must be freed on a node that is large enough.
    fn room_at(
        &self,
        asked: &Asked<'_>,
        wanted: &Amounts,
        (node, seen): (NodeId, &NodeSeen),
    ) -> Option<(Cost, Fix)> {
        let of = seen.now.facts.allocatable();
        if !wanted.fits(&of) {
            return None;
        }
        let mine = asked.now.kept.as_ref().map(|kept| kept.amounts.clone());
        let mine = mine.unwrap_or_default();
        let amounts = wanted.saturating_sub(&mine).saturating_sub(&seen.free());
        let parts = amounts
            .iter()
            .map(|(resource, lacks)| lacks.saturating_mul(1_000) / of.get(&resource).max(1));
        let part = parts.max().unwrap_or(0);
        Some(((2, part), Fix::FreeRoom { node, amounts }))
    }

    /// Who holds a fixed port with a protocol that is asked for.
    fn holder(&self, asked: &Asked<'_>, seen: &NodeSeen, port: u16) -> Option<Other> {
        let asks = &asked.now.task.terms.ports;
        let wanted = asks.iter().filter(|ask| ask.host == HostPort::Fixed(port));
        let holds = |now: &&TaskNow| {
            let mut theirs = Ports::default();
            theirs.hold(&now.task.terms.ports, &now.task.status.ports);
            wanted.clone().any(|ask| !theirs.free(port, ask.protocol))
        };
        let there = seen.tasks.iter().filter_map(|id| self.tasks.get(id));
        let mut full = there.filter(|now| now.held == Held::Full);
        full.find(holds).map(|now| other(&now.task))
    }

    /// A rule about other tasks that keeps it from a node alone: to be loosened as far as that takes.
    fn other_rule(&self, asked: &Asked<'_>) -> Option<Fix> {
        let loosened = |(id, seen): (&NodeId, &NodeSeen)| {
            let all = asked.all_against(id, seen, Kept::Counts);
            let [Cause::LimitPerKey(key) | Cause::Spread(key)] = all.as_slice() else {
                return None;
            };
            let facts: &NodeFacts = &seen.now.facts;
            let bar = *asked.standing.around(facts).against()?;
            let here = asked.standing.here(bar.tally, facts)?;
            let key = key.clone();
            match bar.no {
                No::Limit => Some(Fix::RaiseMax { key, to: here + 1 }),
                No::Uneven => {
                    let mut skews = asked.now.task.terms.rules.spread.iter();
                    let skew = skews.find(|rule| rule.hard && rule.tally.key == key)?.max_skew;
                    let to = skew.saturating_add((here + 1).saturating_sub(bar.below));
                    Some(Fix::AllowSkew { key, to })
                }
                No::NotNear | No::NotAway | No::KeptAway => None,
            }
        };
        self.nodes.iter().find_map(loosened)
    }
}

/// Whether a change makes room that whoever goes first takes, too.
fn is_about_room(fix: &Fix) -> bool {
    matches!(fix, Fix::OpenNode { .. } | Fix::FreeRoom { .. })
}

fn raised(limit: &LimitReached, used: u64, more: &Amounts) -> Fix {
    let to = used.saturating_add(more.get(&limit.resource));
    Fix::RaiseLimit {
        tenant: limit.tenant.clone(),
        resource: limit.resource.clone(),
        to: to.max(limit.limit),
    }
}

/// A node that would take the task, with so much room: that of those that go before it included.
fn new_node(asked: &Asked<'_>, amounts: &Amounts, before: usize) -> Option<Fix> {
    let required = &asked.now.task.terms.rules.required;
    let any = [Vec::new()];
    let alternatives = if required.is_empty() { &any[..] } else { required };
    alternatives.iter().find_map(|all_of| {
        let mut with = NewNode {
            amounts: amounts.clone(),
            before: u32::try_from(before).unwrap_or(u32::MAX),
            runtimes: asked.needs.runtimes(),
            ..NewNode::default()
        };
        for expr in all_of {
            put_witness(expr, &mut with)?;
        }
        for bar in asked.standing.bars() {
            put_domain(asked, bar, &mut with)?;
        }
        let facts = facts(&with);
        let mut ruled_out = asked.needs.against(&facts, &[]).into_iter();
        let barred = asked.standing.around(&facts).against().is_some();
        let taken = with
            .name
            .as_ref()
            .is_some_and(|name| asked.view.nodes.contains_key(name));
        (ruled_out.next().is_none() && !barred && !taken).then_some(Fix::AddNode { with })
    })
}

/// An attribute that passes a test, if one is easily told.
fn put_witness(expr: &Expr, with: &mut NewNode) -> Option<()> {
    let test = expr.compile().ok()?;
    let now = match expr.key.as_str() {
        keys::NODE => with.name.as_ref().map(|name| name.as_str().to_owned()),
        key => with.attributes.get(key).cloned(),
    };
    if test.matches(now.as_deref()) {
        return Some(());
    }
    let bound = || expr.values.first()?.parse::<i64>().ok();
    let value = match expr.op {
        Op::In => expr.values.first()?.clone(),
        Op::Exists => "yes".to_owned(),
        Op::NotIn | Op::NotRegex => "other".to_owned(),
        Op::Less => bound()?.checked_sub(1)?.to_string(),
        Op::Greater => bound()?.checked_add(1)?.to_string(),
        // A pattern without anything special in it is matched by itself.
        Op::Regex => expr.values.first()?.clone(),
        Op::NotExists => return None,
    };
    if !test.matches(Some(&value)) || now.is_some() {
        return None;
    }
    match expr.key.as_str() {
        keys::NODE => with.name = Some(NodeId::new(value).ok()?),
        keys::HOSTNAME | keys::ADDRESS => return None,
        key => drop(with.attributes.insert(key.to_owned(), value)),
    }
    Some(())
}

/// A domain that a rule about other tasks lets pass.
fn put_domain(asked: &Asked<'_>, bar: &Bar, with: &mut NewNode) -> Option<()> {
    let tally = asked.standing.tally(bar.tally)?;
    let there = tally.domain(&facts(with)).map(str::to_owned);
    let passes = |domain: Option<&str>| match domain {
        None => bar.domainless,
        Some(domain) => bar.passes(Some(asked.standing.count(bar.tally, domain))),
    };
    if passes(there.as_deref()) {
        return Some(());
    }
    if there.is_some() || !tally.nodes.is_empty() {
        return None;
    }
    let domain = match bar.no {
        No::NotNear => asked.standing.first_domain(bar.tally, |n| bar.passes(Some(n)))?,
        No::Limit | No::Uneven | No::NotAway | No::KeptAway => {
            let names = (1..).map(|n: u32| format!("new-{n}"));
            names.take(1_000).find(|name| passes(Some(name)))?
        }
    };
    with.attributes.insert(tally.key.clone(), domain);
    Some(())
}

/// The node as its agent would describe it.
fn facts(with: &NewNode) -> NodeFacts {
    let named = with.name.clone().or_else(|| NodeId::new("a-new-node").ok());
    let runtime = |(name, can): (&String, &BTreeSet<String>)| {
        let facts = RuntimeFacts {
            capabilities: can.clone(),
            ..RuntimeFacts::default()
        };
        (name.clone(), facts)
    };
    let id = named.expect("a name of letters and hyphens is one");
    NodeFacts {
        hostname: id.to_string(),
        id,
        address: String::new(),
        capacity: with.amounts.clone(),
        system: Amounts::default(),
        devices: BTreeMap::new(),
        attributes: with.attributes.clone(),
        runtimes: with.runtimes.iter().map(runtime).collect(),
        ports: PortRange {
            low: 1,
            high: u16::MAX,
        },
        agent_version: String::new(),
        taints: Vec::new(),
    }
}
