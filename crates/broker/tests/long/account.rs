//! An account of its own, kept from what the broker tells and from nothing that it knows. Only what a step touched is
//! summed up anew; what must hold of it is in `laws`.

use plenum_broker::input::{Change, Happened, Held, NodeNow, TaskEvent, TaskNow, What};
use plenum_model::amounts::Amounts;
use plenum_model::claim::{Desired, Protocol};
use plenum_model::ids::{Cursor, NodeId, SchedulerId, SlotKey, TaskId, TenantPath};
use plenum_model::phase::Phase;
use plenum_model::tenant::Tenant;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A port of a node: its number, and whether over UDP.
pub(crate) type Port = (u16, bool);

#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) tasks: BTreeMap<TaskId, TaskNow>,
    pub(crate) nodes: BTreeMap<NodeId, NodeBook>,
    pub(crate) tenants: BTreeMap<TenantPath, TenantBook>,
    pub(crate) groups: BTreeMap<(SchedulerId, String), BTreeSet<TaskId>>,
    /// The highest attempt of each slot that was ever told of.
    pub(crate) attempts: BTreeMap<SlotKey, u32>,
    pub(crate) gangs: BTreeMap<TaskId, Arc<Vec<TaskId>>>,
    cursor: Cursor,
}

#[derive(Debug)]
pub(crate) struct NodeBook {
    pub(crate) now: NodeNow,
    pub(crate) held: Amounts,
    pub(crate) ports: BTreeMap<Port, TaskId>,
    pub(crate) tasks: BTreeSet<TaskId>,
    pub(crate) kept: BTreeSet<TaskId>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct TenantBook {
    pub(crate) tenant: Tenant,
    pub(crate) used: Amounts,
}

/// What a step touched, as it was before.
#[derive(Default)]
pub(crate) struct Before {
    pub(crate) tasks: BTreeMap<TaskId, Option<TaskNow>>,
    pub(crate) nodes: BTreeMap<NodeId, Amounts>,
    pub(crate) tenants: BTreeMap<TenantPath, Amounts>,
}

impl Account {
    /// The account that begins with all there is.
    pub(crate) fn of(changes: &[Change]) -> Self {
        let mut account = Self::default();
        account.take(changes);
        account
    }

    /// Goes on where another one ended: it knows what that one knew of the past.
    pub(crate) fn after(mut self, other: Self) -> Self {
        self.attempts = other.attempts;
        self.gangs = other.gangs;
        self.cursor = other.cursor;
        self
    }

    /// Takes in what a step changed, and holds it against all that must be.
    pub(crate) fn see(&mut self, changes: &[Change]) {
        self.number(changes);
        self.stops_in_time(changes);
        let before = self.take(changes);
        self.check(&before, changes);
    }

    fn number(&mut self, changes: &[Change]) {
        let cursors = changes.iter().filter_map(|change| match change {
            Change::Task(now) => Some(now.cursor),
            Change::Node(now) => Some(now.cursor),
            Change::Forgotten { cursor, .. } | Change::Happened(Happened { cursor, .. }) => Some(*cursor),
            Change::Start(_)
            | Change::NodeGone(_)
            | Change::Assign { .. }
            | Change::Remove { .. }
            | Change::Tenant(_)
            | Change::Scheduler { .. } => None,
        });
        for cursor in cursors {
            assert!(cursor > self.cursor, "{cursor} is told after {}", self.cursor);
            self.cursor = cursor;
        }
    }

    /// What is let go of is taken out before what is new is put in: a port may go from one to another in one step.
    fn take(&mut self, changes: &[Change]) -> Before {
        let mut before = Before::default();
        for change in changes {
            match change {
                Change::Node(now) => self.node_is(now, &mut before),
                Change::Tenant(tenant) => self.tenant_is(tenant, &mut before),
                Change::Task(TaskNow { task, .. }) => self.take_out(task.id(), &mut before),
                Change::Forgotten { task, .. } => {
                    assert!(
                        self.tasks.contains_key(task),
                        "{task} is forgotten and was not there"
                    );
                    self.take_out(*task, &mut before);
                }
                Change::Start(_)
                | Change::NodeGone(_)
                | Change::Assign { .. }
                | Change::Remove { .. }
                | Change::Scheduler { .. }
                | Change::Happened(_) => {}
            }
        }
        for change in changes {
            match change {
                Change::Task(now) => self.put_in(now, &mut before),
                Change::NodeGone(id) => {
                    let gone = self.nodes.remove(id).expect("only what is there goes");
                    assert!(gone.held.is_zero(), "{id} is gone and holds {:?}", gone.held);
                    assert!(gone.tasks.is_empty() && gone.kept.is_empty());
                }
                _ => {}
            }
        }
        before
    }

    fn node_is(&mut self, now: &NodeNow, before: &mut Before) {
        let id = &now.facts.id;
        let book = self.nodes.entry(id.clone()).or_insert_with(|| NodeBook {
            now: now.clone(),
            held: Amounts::default(),
            ports: BTreeMap::new(),
            tasks: BTreeSet::new(),
            kept: BTreeSet::new(),
        });
        book.now = now.clone();
        before
            .nodes
            .entry(id.clone())
            .or_insert_with(|| book.held.clone());
    }

    fn tenant_is(&mut self, tenant: &Tenant, before: &mut Before) {
        let path = &tenant.path;
        let used = match self.tenants.get(path) {
            Some(book) => book.used.clone(),
            None => {
                let mut used = Amounts::default();
                let below = |now: &&TaskNow| lineage(&now.task.terms.tenant).any(|p| p == *path);
                for now in self.tasks.values().filter(below) {
                    add(&mut used, &held(now));
                }
                used
            }
        };
        before.tenants.entry(path.clone()).or_insert_with(|| used.clone());
        let tenant = tenant.clone();
        self.tenants.insert(path.clone(), TenantBook { tenant, used });
    }

    fn take_out(&mut self, id: TaskId, before: &mut Before) {
        let Some(old) = self.tasks.remove(&id) else {
            before.tasks.entry(id).or_insert(None);
            return;
        };
        let mut nothing = Amounts::default();
        let holds = held(&old);
        if let Some(book) = old.on.as_ref().and_then(|node| self.nodes.get_mut(node)) {
            touch(&mut before.nodes, &book.now.facts.id, &book.held);
            book.held = book.held.checked_sub(&holds).expect("it was added");
            book.tasks.remove(&id);
            for port in ports(&old) {
                book.ports.remove(&port);
            }
        }
        if let Some(kept) = &old.kept
            && let Some(book) = self.nodes.get_mut(&kept.node)
        {
            touch(&mut before.nodes, &kept.node, &book.held);
            book.kept.remove(&id);
        }
        for path in lineage(&old.task.terms.tenant) {
            let used = self
                .tenants
                .get_mut(&path)
                .map_or(&mut nothing, |book| &mut book.used);
            touch(&mut before.tenants, &path, used);
            *used = used.saturating_sub(&holds);
        }
        if let Some(group) = group(&old)
            && let Some(members) = self.groups.get_mut(&group)
        {
            members.remove(&id);
        }
        before.tasks.entry(id).or_insert(Some(old));
    }

    fn put_in(&mut self, now: &TaskNow, before: &mut Before) {
        let (id, holds) = (now.task.id(), held(now));
        if let Some(node) = &now.on {
            let book = self
                .nodes
                .get_mut(node)
                .expect("a task is on a node that is there");
            touch(&mut before.nodes, node, &book.held);
            add(&mut book.held, &holds);
            book.tasks.insert(id);
            for port in ports(now) {
                let other = book.ports.insert(port, id);
                assert_eq!(other, None, "port {port:?} of {node} is held twice");
            }
        }
        assert!(now.on.is_some() || holds.is_zero(), "{id} holds room nowhere");
        if let Some(kept) = &now.kept {
            let book = self
                .nodes
                .get_mut(&kept.node)
                .expect("room is kept on a node that is there");
            touch(&mut before.nodes, &kept.node, &book.held);
            book.kept.insert(id);
        }
        for path in lineage(&now.task.terms.tenant) {
            let book = self.tenants.get_mut(&path).expect("whoever is charged is there");
            touch(&mut before.tenants, &path, &book.used);
            add(&mut book.used, &holds);
        }
        if let Some(group) = group(now) {
            self.groups.entry(group).or_default().insert(id);
        }
        self.tasks.insert(id, now.clone());
    }

    /// Whether two say the same of all there is.
    pub(crate) fn assert_same(&self, other: &Self) {
        assert_eq!(
            self.tasks.keys().collect::<Vec<_>>(),
            other.tasks.keys().collect::<Vec<_>>(),
            "what was told, and what the log gives back"
        );
        for (id, now) in &self.tasks {
            assert_eq!(
                Some(now),
                other.tasks.get(id),
                "what was told, and what the log gives back"
            );
        }
        assert_eq!(self.tenants, other.tenants);
        assert_eq!(self.nodes.len(), other.nodes.len());
        for (id, book) in &self.nodes {
            let there = other.nodes.get(id).expect("the same nodes");
            let said = |book: &NodeBook| {
                let now = &book.now;
                (
                    now.facts.clone(),
                    now.liveness,
                    now.scheduling,
                    now.joined_at,
                    now.since,
                )
            };
            assert_eq!(said(book), said(there));
            assert_eq!((&book.held, &book.ports), (&there.held, &there.ports));
        }
    }
}

fn touch<K: Ord + Clone>(before: &mut BTreeMap<K, Amounts>, key: &K, now: &Amounts) {
    if !before.contains_key(key) {
        before.insert(key.clone(), now.clone());
    }
}

pub(crate) fn add(sum: &mut Amounts, part: &Amounts) {
    *sum = sum.checked_add(part).expect("tests stay small");
}

/// What is held for a task.
pub(crate) fn held(now: &TaskNow) -> Amounts {
    let charge = &now.task.terms.charge;
    match now.held {
        Held::Nothing => Amounts::default(),
        Held::Disk => Amounts {
            disk_bytes: charge.disk_bytes,
            ..Amounts::default()
        },
        Held::Full => charge.clone(),
    }
}

/// The ports that a task holds.
fn ports(now: &TaskNow) -> Vec<Port> {
    if now.held != Held::Full {
        return Vec::new();
    }
    let given = &now.task.status.ports;
    assert_eq!(
        now.task.terms.ports.len(),
        given.len(),
        "a port for each that was asked for"
    );
    numbers(now, given)
}

/// These ports, over each transport for which they were asked.
pub(crate) fn numbers(now: &TaskNow, given: &[u16]) -> Vec<Port> {
    let asks = now.task.terms.ports.iter().zip(given);
    let over = asks.flat_map(|(ask, port)| match ask.protocol {
        Protocol::Tcp => vec![(*port, false)],
        Protocol::Udp => vec![(*port, true)],
        Protocol::Both => vec![(*port, false), (*port, true)],
    });
    over.collect()
}

/// A tenant and those above it.
pub(crate) fn lineage(path: &TenantPath) -> impl Iterator<Item = TenantPath> + '_ {
    std::iter::successors(Some(path.as_str()), |path| Some(path.rsplit_once('/')?.0))
        .map(|path| path.parse().unwrap())
}

/// The group of which some must stay healthy.
pub(crate) fn group(now: &TaskNow) -> Option<(SchedulerId, String)> {
    let budget = now.task.terms.budget.as_ref()?;
    Some((now.task.scheduler.clone(), budget.group.clone()))
}

/// Whether a task is to be stopped.
pub(crate) fn leaves(now: &TaskNow) -> bool {
    now.task.released || now.task.desired == Desired::Stopped || now.held != Held::Full
}

/// Whether it runs well and is to stay, for all that its owner and its node say.
pub(crate) fn is_well(now: &TaskNow) -> bool {
    let status = &now.task.status;
    let runs = status.phase() == Phase::Running && status.ready != Some(false);
    runs && !status.unreachable && !leaves(now)
}

/// The tasks whose stop for another was ordered in a step.
pub(crate) fn stopped_for_others(changes: &[Change]) -> impl Iterator<Item = (TaskId, u64)> + '_ {
    changes.iter().filter_map(|change| match change {
        Change::Happened(Happened {
            at,
            what: What::Task(TaskEvent::Stopping, task, by),
            ..
        }) if by == "broker" => Some((task.id(), *at)),
        _ => None,
    })
}
