//! Who is stopped for a task on a node: only those who hold what a tenant is guaranteed, and those of lower priority
//! where priorities count. The largest share goes first, then the lowest priority, then the youngest; what turns out
//! not to be needed is given back in reverse. Nothing is decided here (`preempt` does).

use crate::fact::{NodeIx, Room};
use crate::input::Held;
use crate::ledger::Ledger;
use crate::ledger::book::part;
use crate::ledger::budgets::Group;
use crate::ledger::share::Share;
use crate::ledger::tasks::TaskRow;
use crate::ledger::tenants::TenantIx;
use crate::place::bits::Bits;
use crate::place::needs::Needs;
use crate::place::ports::Ports;
use plenum_model::amounts::{Amounts, Resource};
use plenum_model::claim::{HostPort, Terms};
use plenum_model::ids::TaskId;
use plenum_model::task::Task;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Room for a task on one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) node: NodeIx,
    pub(super) ports: Vec<u16>,
    pub(super) victims: Vec<TaskId>,
    /// The better plan is the lower one: its victims have larger shares, lower priorities, are fewer.
    pub(super) cost: (Reverse<Vec<Share>>, i32, usize, NodeIx),
}

/// Somebody for whom others may be stopped.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claimant<'a> {
    ledger: &'a Ledger,
    id: TaskId,
    terms: &'a Terms,
    tenant: TenantIx,
    /// Whether its tenant or one above stays within its guarantee with it.
    guaranteed: bool,
    /// Where its priority counts, if others may be stopped for that.
    scope: Option<TenantIx>,
}

impl<'a> Claimant<'a> {
    /// None: nobody is stopped for it, wherever they are.
    pub(super) fn new(ledger: &'a Ledger, id: TaskId) -> Option<Self> {
        let terms = &ledger.tasks.get(id)?.task.terms;
        let tenant = ledger.tenants.find(&terms.tenant)?;
        let scope = scope_of(ledger, terms).filter(|_| terms.may_preempt);
        let guaranteed = |ix| ledger.tenants.row(ix).guarantees(&terms.charge);
        let guaranteed = ledger.tenants.upward(tenant).any(guaranteed);
        (guaranteed || scope.is_some()).then_some(Self {
            guaranteed,
            ledger,
            id,
            terms,
            tenant,
            scope,
        })
    }

    /// The nodes where somebody stands who may be stopped for it, as far as that can be said without a look at them.
    pub(super) fn hosts(&self) -> Bits {
        let ledger = self.ledger;
        let asked: Vec<_> = self.terms.charge.iter().map(|(resource, _)| resource).collect();
        let mut hosts = Bits::default();
        for (_, row) in ledger.terms.iter() {
            let theirs = &row.needs.terms;
            let tenant = ledger.tenants.find(&theirs.tenant);
            let may = tenant.is_some_and(|tenant| self.may_stop(theirs, tenant, (&asked, &BTreeMap::new())));
            if let Some(nodes) = ledger.workloads.get(row.workload).more_than(0).filter(|_| may) {
                hosts.join(nodes);
            }
        }
        hosts
    }

    /// Whether what is left free by itself is kept for it, too.
    pub(super) fn is_guaranteed(&self) -> bool {
        self.guaranteed
    }

    /// Whether a task of a tenant may be stopped for it that is short of these, when so much less is used meanwhile.
    fn may_stop(
        &self,
        victim: &Terms,
        tenant: TenantIx,
        (short, less): (&[Resource], &BTreeMap<TenantIx, Amounts>),
    ) -> bool {
        let tenants = &self.ledger.tenants;
        let mine: Vec<_> = tenants.upward(self.tenant).collect();
        let theirs: Vec<_> = tenants.upward(tenant).collect();
        // The lowest tenant above both, if any.
        let common = theirs.iter().find(|ix| mine.contains(ix)).copied();
        let below = |path: &[TenantIx]| -> Vec<TenantIx> {
            path.iter()
                .copied()
                .take_while(|ix| Some(*ix) != common)
                .collect()
        };
        let borrows = |ix: &TenantIx| tenants.row(*ix).borrows(short, less.get(ix));
        // What is used within a guarantee is safe from all but its own tenant's.
        if !below(&theirs).iter().all(borrows) {
            return false;
        }
        let guaranteed = below(&mine)
            .last()
            .is_some_and(|ix| tenants.row(*ix).guarantees(&self.terms.charge));
        guaranteed || common.is_some_and(|common| self.outranks(victim, common))
    }

    /// Whether its priority is higher than the other's within a tenant above both.
    fn outranks(&self, victim: &Terms, common: TenantIx) -> bool {
        let tenants = &self.ledger.tenants;
        let counts = |scope: TenantIx| tenants.upward(common).any(|ix| ix == scope);
        let theirs = match scope_of(self.ledger, victim) {
            Some(scope) if counts(scope) => victim.priority.value,
            Some(_) | None => 0,
        };
        self.scope.is_some_and(counts) && theirs < self.terms.priority.value
    }

    /// How to make room on a node; none: there is no way.
    pub(super) fn plan(&self, needs: &Needs, ix: NodeIx) -> Option<Plan> {
        let node = self.ledger.nodes.get(ix)?;
        if !self.terms.charge.fits(&node.facts.allocatable()) {
            return None;
        }
        let mut search = Search::new(*self, ix)?;
        search.free_ports()?;
        search.free_room()?;
        search.give_back();
        // What others leave by themselves goes to whose turn it is, but for what is guaranteed.
        let waits = self.guaranteed && self.ledger.is_being_vacated(ix);
        if search.chosen.is_empty() && !waits {
            return None;
        }
        let ports = search
            .ports
            .choose(&needs.terms.ports, &node.kept_ports, node.facts.ports, self.id)
            .ok()?;
        let victims: Vec<_> = search.chosen.iter().map(|chosen| chosen.id).collect();
        let least = search.chosen.iter().map(|chosen| chosen.shares.clone()).min();
        let highest = search.chosen.iter().map(|chosen| chosen.priority).max();
        let cost = (
            Reverse(least.unwrap_or_default()),
            highest.unwrap_or(i32::MIN),
            victims.len(),
            ix,
        );
        Some(Plan {
            node: ix,
            ports,
            victims,
            cost,
        })
    }
}

fn scope_of(ledger: &Ledger, terms: &Terms) -> Option<TenantIx> {
    ledger
        .tenants
        .find(terms.priority.scope.as_ref().unwrap_or(&terms.tenant))
}

/// Somebody who may have to go.
#[derive(Debug, Clone)]
struct Candidate {
    id: TaskId,
    tenant: TenantIx,
    priority: i32,
    gives: Amounts,
    /// The shares of its tenants as they were when it was chosen, from the top down.
    shares: Vec<Share>,
    /// It holds a port that is asked for: it cannot be given back.
    needed: bool,
}

struct Search<'a> {
    who: Claimant<'a>,
    /// By tenant: the last one goes first.
    candidates: BTreeMap<TenantIx, Vec<Candidate>>,
    chosen: Vec<Candidate>,
    /// What is free once all have gone who go anyway, and all have come who are nominated.
    room: Amounts,
    ports: Ports,
    less: BTreeMap<TenantIx, Amounts>,
    spare: BTreeMap<Group, usize>,
}

impl<'a> Search<'a> {
    fn new(who: Claimant<'a>, ix: NodeIx) -> Option<Self> {
        let ledger = who.ledger;
        let node = ledger.nodes.get(ix)?;
        let room = room_at_last(ledger, ix, None)?;
        let (mut candidates, mut ports) = (BTreeMap::<_, Vec<Candidate>>::new(), node.ports.clone());
        for row in node.tasks.iter().filter_map(|id| ledger.tasks.get(*id)) {
            if row.held == Held::Full && ledger.is_going(row.task.id()) {
                ports.release(&row.task.terms.ports, &row.task.status.ports);
            } else if let Some(candidate) = candidate(ledger, row, ix) {
                candidates.entry(candidate.tenant).or_default().push(candidate);
            }
        }
        for of_tenant in candidates.values_mut() {
            let age = |c: &Candidate| ledger.tasks.get(c.id).map_or(0, |row| row.age);
            of_tenant.sort_by_key(|c| (Reverse(c.priority), age(c)));
        }
        let (chosen, less, spare) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        Some(Self {
            who,
            candidates,
            chosen,
            room,
            ports,
            less,
            spare,
        })
    }

    fn fits(&self) -> bool {
        self.who.terms.charge.fits(&self.room)
    }

    /// Whoever holds a port that is asked for has to go.
    fn free_ports(&mut self) -> Option<()> {
        for ask in &self.who.terms.ports {
            let HostPort::Fixed(port) = ask.host else { continue };
            if self.ports.free(port, ask.protocol) {
                continue;
            }
            let holds = |c: &Candidate| {
                let row = self.who.ledger.tasks.get(c.id);
                row.is_some_and(|row| {
                    let mut theirs = Ports::default();
                    theirs.hold(&row.task.terms.ports, &row.task.status.ports);
                    !theirs.free(port, ask.protocol)
                })
            };
            let mut all = self
                .candidates
                .iter()
                .flat_map(|(ix, of)| of.iter().map(move |c| (*ix, c)));
            let (tenant, id) = all.find(|(_, c)| holds(c)).map(|(ix, c)| (ix, c.id))?;
            self.choose(tenant, id, true)?;
            if !self.ports.free(port, ask.protocol) {
                return None;
            }
        }
        Some(())
    }

    fn free_room(&mut self) -> Option<()> {
        while !self.fits() {
            let mut best: Option<(Vec<Share>, TenantIx, TaskId)> = None;
            for (ix, of_tenant) in &self.candidates {
                let Some(next) = of_tenant.iter().rev().find(|c| self.allowed(c)) else {
                    continue;
                };
                let shares = self.shares(*ix);
                if best.as_ref().is_none_or(|(largest, ..)| shares > *largest) {
                    best = Some((shares, *ix, next.id));
                }
            }
            let (_, tenant, id) = best?;
            self.choose(tenant, id, false)?;
        }
        Some(())
    }

    fn allowed(&self, candidate: &Candidate) -> bool {
        let ledger = self.who.ledger;
        let Some(row) = ledger.tasks.get(candidate.id) else {
            return false;
        };
        let spared = ledger.group_of(candidate.id).is_none_or(|group| {
            let left = self.spare.get(&group).copied();
            !ledger.is_healthy(candidate.id) || left.unwrap_or_else(|| ledger.can_spare(&group)) > 0
        });
        let asked = self.who.terms.charge.iter();
        let mut short: Vec<_> = asked
            .filter(|(r, n)| *n > self.room.get(r))
            .map(|(r, _)| r)
            .collect();
        if short.is_empty() {
            // It is about a port.
            short.extend(self.who.terms.charge.iter().map(|(r, _)| r));
        }
        let helps = short.iter().any(|r| candidate.gives.get(r) > 0);
        let stopped = (short.as_slice(), &self.less);
        spared && helps && self.who.may_stop(&row.task.terms, candidate.tenant, stopped)
    }

    /// The shares of a tenant and those above it, from the top down, as they would be.
    fn shares(&self, tenant: TenantIx) -> Vec<Share> {
        let tenants = &self.who.ledger.tenants;
        let share = |ix: TenantIx| {
            let row = tenants.row(ix);
            let used = self
                .less
                .get(&ix)
                .map_or(row.used.clone(), |less| row.used.saturating_sub(less));
            Share::of(
                &used,
                &row.guarantee,
                &self.who.ledger.nodes.total,
                row.tenant.weight,
            )
        };
        let mut shares: Vec<_> = tenants.upward(tenant).map(share).collect();
        shares.reverse();
        shares
    }

    fn choose(&mut self, tenant: TenantIx, id: TaskId, needed: bool) -> Option<()> {
        let shares = self.shares(tenant);
        let of_tenant = self.candidates.get_mut(&tenant)?;
        let at = of_tenant.iter().position(|c| c.id == id)?;
        let mut candidate = of_tenant.remove(at);
        if needed && !self.allowed(&candidate) {
            return None;
        }
        (candidate.shares, candidate.needed) = (shares, needed);
        let ledger = self.who.ledger;
        for ix in ledger.tenants.upward(tenant) {
            let less = self.less.entry(ix).or_default();
            *less = less.checked_add(&candidate.gives)?;
        }
        if let Some(group) = ledger.group_of(id).filter(|_| ledger.is_healthy(id)) {
            let left = self
                .spare
                .entry(group.clone())
                .or_insert_with(|| ledger.can_spare(&group));
            *left = left.saturating_sub(1);
        }
        let row = ledger.tasks.get(id)?;
        self.ports.release(&row.task.terms.ports, &row.task.status.ports);
        self.room = self.room.checked_add(&candidate.gives)?;
        self.chosen.push(candidate);
        Some(())
    }

    /// Lets those live that are not needed, the last one chosen first.
    fn give_back(&mut self) {
        for at in (0..self.chosen.len()).rev() {
            let room = self.room.saturating_sub(&self.chosen[at].gives);
            if !self.chosen[at].needed && self.who.terms.charge.fits(&room) {
                let back = self.chosen.remove(at);
                self.room = room;
                if let Some(row) = self.who.ledger.tasks.get(back.id) {
                    self.ports.hold(&row.task.terms.ports, &row.task.status.ports);
                }
            }
        }
    }
}

/// What is free on a node once all have gone who go anyway, and all have come who are nominated there, but for one.
/// None: not even that fits.
fn room_at_last(ledger: &Ledger, ix: NodeIx, but: Option<TaskId>) -> Option<Amounts> {
    let node = ledger.nodes.get(ix)?;
    let mut taken = Amounts::default();
    for kept in node.kept.iter().filter(|kept| Some(kept.task) != but) {
        let from = ledger.tasks.get(kept.task).and_then(|row| row.task.seat.replaces);
        let stays = from.filter(|from| !ledger.is_going(*from));
        let given = stays.and_then(|from| ledger.gives(from, ix)).unwrap_or_default();
        taken = taken.checked_add(&kept.asked.saturating_sub(&given))?;
    }
    for row in node.tasks.iter().filter_map(|id| ledger.tasks.get(*id)) {
        let full = row.held == Held::Full;
        let held = if full && ledger.is_going(row.task.id()) {
            Held::Disk
        } else {
            row.held
        };
        taken = taken.checked_add(&part(&row.task.terms.charge, held))?;
    }
    node.facts.allocatable().checked_sub(&taken)
}

/// Who was announced for a task and need not be stopped any more.
pub(super) fn needless(ledger: &Ledger, id: TaskId, kept: &Room) -> Vec<TaskId> {
    let Some(terms) = ledger.tasks.get(id).map(|row| &row.task.terms) else {
        return Vec::new();
    };
    let Some(mut room) = room_at_last(ledger, kept.node, Some(id)) else {
        return Vec::new();
    };
    let mut live = Vec::new();
    for victim in kept
        .victims
        .iter()
        .rev()
        .filter(|victim| !ledger.is_leaving(**victim))
    {
        let Some(row) = ledger.tasks.get(*victim) else {
            continue;
        };
        let gives = ledger.gives(*victim, kept.node).unwrap_or_default();
        let without = room.checked_sub(&gives).filter(|room| terms.charge.fits(room));
        if let Some(without) = without.filter(|_| !holds_a_port(&row.task, terms, kept)) {
            room = without;
            live.push(*victim);
        }
    }
    live
}

/// Whether a task will fit where others are stopped for it, once all have gone who go. It will not when somebody who was
/// to go for another one stays after all.
pub(super) fn will_fit(ledger: &Ledger, id: TaskId, kept: &Room) -> bool {
    let Some(row) = ledger.tasks.get(id) else {
        return false;
    };
    let terms = &row.task.terms;
    let room = room_at_last(ledger, kept.node, Some(id));
    let holders = ledger.nodes.get(kept.node).map(|node| &node.tasks);
    let stays = |id: &&TaskId| ledger.gives(**id, kept.node).is_some() && !ledger.is_going(**id);
    let mut holders = holders.into_iter().flatten().filter(stays);
    let port_stays = holders.any(|holder| {
        let row = ledger.tasks.get(*holder);
        row.is_some_and(|row| holds_a_port(&row.task, terms, kept))
    });
    room.is_some_and(|room| terms.charge.fits(&room)) && !port_stays
}

/// Whether somebody holds a port that is kept for a task with these terms.
fn holds_a_port(holder: &Task, terms: &Terms, kept: &Room) -> bool {
    let mut theirs = Ports::default();
    theirs.hold(&holder.terms.ports, &holder.status.ports);
    theirs.taken(&terms.ports, &kept.ports).is_some()
}

/// A task that could be stopped on a node. Not one whose seat is promised, nor one of the system's.
fn candidate(ledger: &Ledger, row: &TaskRow, ix: NodeIx) -> Option<Candidate> {
    let id = row.task.id();
    let promised = ledger.nominations.heir(id).is_some();
    let system = ledger.system.as_ref() == Some(&row.task.scheduler);
    if promised || system || row.phase().is_terminal() {
        return None;
    }
    Some(Candidate {
        id,
        tenant: ledger.tenants.find(&row.task.terms.tenant)?,
        priority: row.task.terms.priority.value,
        gives: ledger.gives(id, ix)?,
        shares: Vec::new(),
        needed: false,
    })
}
