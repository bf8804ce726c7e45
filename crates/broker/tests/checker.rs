//! An account of its own, kept from what the core says and from nothing it knows: what it must never be.

use crate::law;
use plenum_broker::input::{Change, Held, TaskEvent, TaskNow, What};
use plenum_broker::view::View;
use plenum_model::amounts::Amounts;
use plenum_model::claim::Desired;
use plenum_model::ids::{Cursor, NodeId, TaskId, TenantPath};
use plenum_model::node::Liveness;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub(crate) struct Checker {
    tasks: BTreeMap<TaskId, TaskNow>,
    ever_forgotten: BTreeSet<TaskId>,
    cursor: Cursor,
}

impl Checker {
    /// Takes in what a step said.
    pub(crate) fn see(&mut self, changes: &[Change]) {
        // A task may end and be forgotten in one step; then the timeline tells of its end.
        let ended_now: BTreeSet<TaskId> = changes.iter().filter_map(ended).collect();
        for change in changes {
            match change {
                Change::Task(now) => {
                    self.later(now.cursor);
                    self.changed(now);
                }
                Change::Forgotten { cursor, task, .. } => {
                    self.later(*cursor);
                    let gone = self.tasks.remove(task).expect("only what is known is forgotten");
                    let ended = gone.task.status.phase().is_terminal() || ended_now.contains(task);
                    assert!(ended, "{task} is forgotten before its end");
                    self.ever_forgotten.insert(*task);
                }
                Change::Node(now) => self.later(now.cursor),
                Change::Happened(happened) => self.later(happened.cursor),
                Change::Start(_)
                | Change::NodeGone(_)
                | Change::Assign { .. }
                | Change::Remove { .. }
                | Change::Tenant(_)
                | Change::Scheduler { .. } => {}
            }
        }
    }

    fn later(&mut self, cursor: Cursor) {
        assert!(
            cursor > self.cursor,
            "changes are numbered upwards: {cursor} after {}",
            self.cursor
        );
        self.cursor = cursor;
    }

    fn changed(&mut self, now: &TaskNow) {
        let id = now.task.id();
        assert!(!self.ever_forgotten.contains(&id), "{id} lives twice");
        if let Some(old) = self.tasks.insert(id, now.clone()) {
            law::goes_on(&old, now);
        }
    }

    /// Holds the account against the limits, and against what readers are shown.
    pub(crate) fn check(&self, view: &View) {
        let mut held: BTreeMap<NodeId, Amounts> = BTreeMap::new();
        let mut used: BTreeMap<TenantPath, Amounts> = BTreeMap::new();
        let mut ports: BTreeSet<(NodeId, u16, u8)> = BTreeSet::new();
        let mut kept: BTreeMap<NodeId, Amounts> = BTreeMap::new();
        for now in self.tasks.values() {
            law::is_kept_while_it_waits(now, &self.tasks);
            if let Some(room) = &now.kept {
                add(kept.entry(room.node.clone()).or_default(), &room.amounts);
            }
            let charge = match now.held {
                Held::Nothing => continue,
                Held::Disk => Amounts {
                    disk_bytes: now.task.terms.charge.disk_bytes,
                    ..Amounts::default()
                },
                Held::Full => now.task.terms.charge.clone(),
            };
            let node = now.on.clone().expect("what holds room has a node");
            assert_eq!(now.task.status.node.as_ref(), Some(&node));
            if now.held == Held::Full {
                for (ask, port) in now.task.terms.ports.iter().zip(&now.task.status.ports) {
                    let protocols: &[u8] = match ask.protocol {
                        plenum_model::claim::Protocol::Tcp => &[6],
                        plenum_model::claim::Protocol::Udp => &[17],
                        plenum_model::claim::Protocol::Both => &[6, 17],
                    };
                    for protocol in protocols {
                        let first = ports.insert((node.clone(), *port, *protocol));
                        assert!(first, "port {port} of {node} is held twice");
                    }
                }
                assert_eq!(now.task.terms.ports.len(), now.task.status.ports.len());
            }
            add(held.entry(node).or_default(), &charge);
            let mut path = now.task.terms.tenant.as_str();
            loop {
                add(used.entry(path.parse().unwrap()).or_default(), &charge);
                let Some((above, _)) = path.rsplit_once('/') else {
                    break;
                };
                path = above;
            }
        }
        self.check_nodes(view, &held, &kept);
        for tenant in view.tenants() {
            let sum = used.get(&tenant.tenant.path).cloned().unwrap_or_default();
            assert_eq!(
                tenant.used, sum,
                "what readers are shown of {}",
                tenant.tenant.path
            );
            for (resource, limit) in tenant.tenant.limit.iter() {
                assert!(
                    sum.get(&resource) <= limit,
                    "{} is over its limit",
                    tenant.tenant.path
                );
            }
        }
    }

    fn check_nodes(&self, view: &View, held: &BTreeMap<NodeId, Amounts>, kept: &BTreeMap<NodeId, Amounts>) {
        for node in view.nodes() {
            let mut sum = held.get(&node.facts.id).cloned().unwrap_or_default();
            if let Some(kept) = kept.get(&node.facts.id) {
                add(&mut sum, kept);
            }
            assert!(
                sum.fits(&node.facts.allocatable()),
                "{} is over its capacity: {sum:?}",
                node.facts.id
            );
            let shown = node.held.values().fold(Amounts::default(), |mut all, held| {
                add(&mut all, held);
                all
            });
            assert_eq!(shown, sum, "what readers are shown of {}", node.facts.id);
        }
        for (node, sum) in held {
            assert!(
                view.node(node).is_some() || sum.is_zero(),
                "{node} is gone and still holds {sum:?}"
            );
        }
    }

    /// Nobody waits for what is there: every waiter has a cause on every node, or a limit.
    pub(crate) fn nobody_waits_in_vain(&self, view: &View) {
        for now in self.tasks.values().filter(|now| now.waits) {
            let explained = view.explain(now.task.id(), false).expect("it is there");
            let why = now.task.status.why.as_ref().expect("whoever waits was told why");
            if why.limit.is_some() || why.gang.is_some() || self.predecessor_is_there(now) {
                continue;
            }
            for verdict in explained.nodes {
                let id = now.task.seat.name.as_str();
                assert!(
                    verdict.cause.is_some(),
                    "{id} waits, though {} could take it",
                    verdict.node
                );
            }
        }
    }

    /// A gang is placed as a whole or not at all: whoever still waits to be placed has no mate that ever was.
    pub(crate) fn gangs_are_whole(&self, gangs: &[Vec<TaskId>]) {
        for gang in gangs {
            let known = gang.iter().filter_map(|id| self.tasks.get(id));
            let waits = |now: &&TaskNow| now.waits && now.task.status.placed_at.is_none();
            let waiting = known.clone().find(waits);
            let placed = known.clone().find(|now| now.task.status.placed_at.is_some());
            if let (Some(waiting), Some(placed)) = (waiting, placed) {
                let (waiting, placed) = (&waiting.task.seat.name, &placed.task.seat.name);
                panic!("{waiting} waits, and {placed} of its gang was placed");
            }
        }
    }

    /// Whoever is to be stopped for another is so for one of two reasons: that other's tenant, or one above it, is
    /// guaranteed something that this one is not part of; or the other has the higher priority, and it counts there.
    pub(crate) fn announced_for_a_reason(&self, view: &View, changes: &[Change]) {
        let now = changes.iter().filter_map(|change| match change {
            Change::Task(now) => Some(now),
            _ => None,
        });
        for now in now.filter(|now| now.task.status.preempting.is_some()) {
            let victim = &self.tasks[&now.task.id()].task;
            // Once it is being stopped, what is guaranteed may be changed.
            let Some(announced) = victim
                .status
                .preempting
                .filter(|_| victim.desired != Desired::Stopped)
            else {
                continue;
            };
            let by = &self.tasks[&announced.by].task;
            let within = |path: &TenantPath, of: &TenantPath| {
                let rest = path.as_str().strip_prefix(of.as_str());
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            let tenants = view.tenants();
            let mut guarantees = tenants.iter().filter(|t| !t.tenant.guarantee.is_zero());
            // What is guaranteed below is guaranteed above.
            let guaranteed = guarantees.any(|t| {
                let path = &t.tenant.path;
                let top = path.as_str().split('/').next().unwrap().parse().unwrap();
                let shared = within(&victim.terms.tenant, path);
                within(&by.terms.tenant, &top) && !shared
            });
            let scope = by.terms.priority.scope.as_ref().unwrap_or(&by.terms.tenant);
            let theirs = victim
                .terms
                .priority
                .scope
                .as_ref()
                .unwrap_or(&victim.terms.tenant);
            let counts = *theirs == victim.terms.tenant && victim.terms.tenant == by.terms.tenant
                || within(&by.terms.tenant, theirs);
            let value = if counts { victim.terms.priority.value } else { 0 };
            let outranked = by.terms.may_preempt
                && within(&victim.terms.tenant, scope)
                && value < by.terms.priority.value;
            assert!(
                guaranteed || outranked,
                "{} is to be stopped for {} without a reason",
                victim.seat.name,
                by.seat.name
            );
        }
    }

    /// Whether the seat that it waits for is taken.
    fn predecessor_is_there(&self, now: &TaskNow) -> bool {
        let from = now.task.seat.replaces.and_then(|from| self.tasks.get(&from));
        let node = now.kept.as_ref().map(|kept| &kept.node);
        from.is_some_and(|from| from.held == Held::Full && from.on.as_ref() == node)
    }

    /// Who is on a node that is not silent.
    pub(crate) fn placed(&self, view: &View) -> Vec<(NodeId, TaskNow)> {
        let on = self
            .tasks
            .values()
            .filter_map(|now| Some((now.on.clone()?, now.clone())));
        on.filter(|(node, _)| view.node(node).is_some_and(|n| n.liveness == Liveness::Ready))
            .collect()
    }

    pub(crate) fn tasks(&self) -> Vec<TaskNow> {
        self.tasks.values().cloned().collect()
    }
}

fn ended(change: &Change) -> Option<TaskId> {
    let Change::Happened(happened) = change else {
        return None;
    };
    let What::Task(TaskEvent::Ended, task, _) = &happened.what else {
        return None;
    };
    Some(task.id())
}

fn add(sum: &mut Amounts, part: &Amounts) {
    *sum = sum.checked_add(part).expect("tests stay small");
}
