//! The order in which waiting tasks are placed: the rule of the core (`ledger::turns`), played through on a copy of what
//! readers see, a placement at a time, as shares change with each.

use super::super::{TenantSeen, View};
use crate::fact::TermsIx;
use crate::input::TaskNow;
use crate::ledger::apply::stand;
use crate::ledger::queue::{ClassKey, Whom};
use crate::ledger::tenants::{Tenants, lineage};
use crate::ledger::turns::{Stand, Turns};
use plenum_contract::pool::Ahead;
use plenum_model::amounts::Amounts;
use plenum_model::ids::TenantPath;
use plenum_model::why::Because;
use std::collections::BTreeMap;

/// Tasks in the order of their turns.
pub(super) struct Line<'v> {
    tenants: Tenants,
    total: Amounts,
    turns: Turns,
    waiting: BTreeMap<ClassKey, (&'v TaskNow, Stand)>,
    me: ClassKey,
}

/// Who goes before a task.
pub(super) struct Before<'v> {
    /// In their order, up to [`Ahead::COUNTED`].
    pub(super) tasks: Vec<&'v TaskNow>,
    /// Why the first of them does.
    pub(super) because: Option<Because>,
}

/// Every task is a class of its own here: its age tells it from all others.
fn key(now: &TaskNow) -> ClassKey {
    ClassKey {
        terms: TermsIx(now.age),
        node: None,
        whom: Whom::Each,
    }
}

impl<'v> Line<'v> {
    /// A task among others that wait.
    pub(super) fn new(view: &'v View, me: &'v TaskNow, rivals: impl Iterator<Item = &'v TaskNow>) -> Self {
        let mut line = Self {
            tenants: view.tenants_now(),
            total: view.total(),
            turns: Turns::default(),
            waiting: BTreeMap::new(),
            me: key(me),
        };
        for now in rivals.chain([me]) {
            let system = view.system.as_ref() == Some(&now.task.scheduler);
            let tenant = line.tenants.find(&now.task.terms.tenant).unwrap_or_default();
            let stand = stand(&now.task.terms, tenant, &line.tenants, system);
            line.turns.put(&stand, now.age, key(now), true);
            line.waiting.insert(key(now), (now, stand));
        }
        line
    }

    /// Who is placed before it, if there is room for all of them.
    pub(super) fn before(mut self) -> Before<'v> {
        self.turns.settle(&self.tenants, &self.total);
        let mine = self.waiting.get(&self.me);
        let mine = mine.map(|(me, stand)| self.turns.standing(stand, me.age, self.me, &self.tenants));
        let first = self.turns.first();
        let because = first.zip(mine).and_then(|(first, mine)| first.because(&mine));
        let mut tasks = Vec::new();
        while tasks.len() < Ahead::COUNTED {
            self.turns.settle(&self.tenants, &self.total);
            let next = self.turns.first().map(|turn| turn.key);
            let Some(key) = next.filter(|key| *key != self.me) else {
                break;
            };
            let Some((now, stand)) = self.waiting.remove(&key) else {
                break;
            };
            self.turns.put(&stand, now.age, key, false);
            let (charge, none) = (&now.task.terms.charge, Amounts::default());
            if self.tenants.limit(stand.tenant, charge, &none).is_some() {
                continue;
            }
            self.tenants.charge(stand.tenant, &none, charge);
            for tenant in std::mem::take(&mut self.tenants.moved) {
                self.turns.moved(tenant);
            }
            tasks.push(now);
        }
        let because = because.filter(|_| !tasks.is_empty());
        Before { tasks, because }
    }
}

impl View {
    /// The tenants as the ledger has them, made of what readers see.
    pub(super) fn tenants_now(&self) -> Tenants {
        let mut tenants = Tenants::default();
        let mut own: BTreeMap<&TenantPath, Amounts> = BTreeMap::new();
        for (path, seen) in &self.tenants {
            tenants.set(seen.tenant.clone());
            own.insert(path, seen.used.clone());
            if let Some((above, _)) = self.above(path)
                && let Some(rest) = own.get_mut(above)
            {
                *rest = rest.saturating_sub(&seen.used);
            }
        }
        for (path, own) in own {
            if let Some(ix) = tenants.find(path) {
                tenants.charge(ix, &Amounts::default(), &own);
            }
        }
        tenants
    }

    /// The nearest tenant above one.
    fn above(&self, path: &TenantPath) -> Option<(&TenantPath, &TenantSeen)> {
        let above = lineage(path).filter(|other| other != path);
        above.filter_map(|path| self.tenants.get_key_value(&path)).last()
    }

    /// What all nodes offer together.
    pub(super) fn total(&self) -> Amounts {
        let all = self.nodes.values().map(|seen| seen.now.facts.allocatable());
        all.fold(Amounts::default(), |sum, of| sum.checked_add(&of).unwrap_or(sum))
    }
}
