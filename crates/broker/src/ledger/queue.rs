//! Who waits, and for what. Waiters that ask the same are one class and are thought about once. A class that
//! found no room is parked under one resource it asks, with the amount; a node that frees is offered to those
//! whose amount it has, in the order of their turns. A class that met its tenant's limit is parked under the
//! tenant. Which class is awake is not a fact: after a restart all are, and park again.

use super::tenants::{TenantIx, Tenants};
use super::turns::{Stand, Turn, Turns};
use crate::fact::{NodeIx, TermsIx};
use crate::place::levels::INDEXED;
use plenum_model::amounts::Amounts;
use plenum_model::ids::TaskId;
use plenum_model::why::Why;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Waiters that ask the same: terms, and the node if they wait to be admitted again there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClassKey {
    /// Their terms.
    pub terms: TermsIx,
    /// Their node, if only that one will do.
    pub node: Option<NodeIx>,
    /// Who of them.
    pub whom: Whom,
}

/// Who of those that ask the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Whom {
    /// All that ask for themselves.
    Each,
    /// The one for whom room is kept.
    Nominated(TaskId),
    /// A gang. Its tasks may have different terms; the key has none.
    Gang(u64),
}

/// Where a class looks next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// At all nodes.
    Fresh,
    /// At all nodes; it was told why it waits, and only rules about other tasks may have changed that.
    Again,
    /// At those that are offered: under a resource (by position) and an amount of it.
    ForRoom(usize, u64),
    /// Nowhere: under a tenant.
    ForLimit(TenantIx),
}

/// Waiters that ask the same.
#[derive(Debug, Clone)]
pub struct Class {
    /// Who is charged, and its rank.
    pub stand: Stand,
    /// Where it looks next.
    pub state: State,
    /// What its waiters were told, and when.
    pub told: Option<(Arc<Why>, u64)>,
    waiting: BTreeSet<(u64, TaskId)>,
    /// Who has joined since the others were told; some of them may have gone since.
    untold: Vec<(u64, TaskId)>,
    refresh: Option<u64>,
    /// The age by which it stands among the others; none: it does not yet.
    filed: Option<u64>,
}

impl Class {
    /// The oldest waiter.
    #[must_use]
    pub fn first(&self) -> Option<(u64, TaskId)> {
        self.waiting.first().copied()
    }

    /// All waiters, by age.
    pub fn waiting(&self) -> impl Iterator<Item = TaskId> + '_ {
        self.waiting.iter().map(|(_, id)| *id)
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    fn awake(&self) -> bool {
        matches!(self.state, State::Fresh | State::Again)
    }
}

/// All that wait.
#[derive(Debug, Default)]
pub struct Queue {
    classes: BTreeMap<ClassKey, Class>,
    awake: Turns,
    /// Those that are awake and do not stand in `awake` yet: most are placed before anybody asks for an order.
    fresh: BTreeSet<ClassKey>,
    parked: Turns,
    for_room: [BTreeSet<(u64, ClassKey)>; INDEXED],
    for_limit: BTreeMap<TenantIx, BTreeSet<ClassKey>>,
    /// What the pool offered when turns were last brought up to date.
    total: Amounts,
    untold: BTreeSet<ClassKey>,
    refresh: BTreeSet<(u64, ClassKey)>,
    len: usize,
}

impl Queue {
    /// How many tasks wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A class.
    #[must_use]
    pub fn get(&self, key: &ClassKey) -> Option<&Class> {
        self.classes.get(key)
    }

    /// A task begins to wait. `stand`: that of its class, asked for the first of it.
    pub fn enter(&mut self, key: ClassKey, stand: impl FnOnce() -> Stand, age: u64, id: TaskId) {
        // A class stands where its oldest waiter is; any other changes nothing about that.
        let oldest = self.classes.get(&key).and_then(Class::first);
        let first = oldest.is_none_or(|oldest| (age, id) < oldest);
        if first {
            self.unfile(&key);
        }
        let class = self.classes.entry(key).or_insert_with(|| Class {
            stand: stand(),
            state: State::Fresh,
            told: None,
            waiting: BTreeSet::new(),
            untold: Vec::new(),
            refresh: None,
            filed: None,
        });
        self.len += usize::from(class.waiting.insert((age, id)));
        class.untold.push((age, id));
        if class.untold.len() == 1 {
            self.untold.insert(key);
        }
        if first {
            self.file(&key);
        }
    }

    /// A task waits no longer.
    pub fn leave(&mut self, key: ClassKey, age: u64, id: TaskId) {
        // A gang that is smaller now may have room.
        let gang = matches!(key.whom, Whom::Gang(_));
        let first = gang || self.classes.get(&key).and_then(Class::first) == Some((age, id));
        if first {
            self.unfile(&key);
        }
        let Some(class) = self.classes.get_mut(&key) else {
            return;
        };
        self.len -= usize::from(class.waiting.remove(&(age, id)));
        if gang {
            class.state = State::Fresh;
        }
        if class.waiting.is_empty() {
            if let Some(due) = class.refresh.take() {
                self.refresh.remove(&(due, key));
            }
            self.untold.remove(&key);
            self.classes.remove(&key);
        }
        if first {
            self.file(&key);
        }
    }

    /// Changes where a class looks next.
    pub fn turn(&mut self, key: &ClassKey, state: State) {
        self.unfile(key);
        if let Some(class) = self.classes.get_mut(key) {
            class.state = state;
        }
        self.file(key);
    }

    fn unfile(&mut self, key: &ClassKey) {
        let filed = self.classes.get_mut(key).and_then(|class| class.filed.take());
        match filed {
            Some(age) => self.put(key, age, false),
            None => {
                self.fresh.remove(key);
            }
        }
    }

    fn file(&mut self, key: &ClassKey) {
        let Some(class) = self.classes.get_mut(key) else {
            return;
        };
        let Some((age, _)) = class.first() else { return };
        if class.awake() {
            self.fresh.insert(*key);
        } else {
            class.filed = Some(age);
            self.put(key, age, true);
        }
    }

    /// Puts a class into the sets that its state says, or takes it out.
    fn put(&mut self, key: &ClassKey, age: u64, within: bool) {
        let Some(class) = self.classes.get(key) else {
            return;
        };
        match class.state {
            State::Fresh | State::Again => self.awake.put(&class.stand, age, *key, within),
            State::ForRoom(resource, amount) => {
                self.parked.put(&class.stand, age, *key, within);
                if within {
                    self.for_room[resource].insert((amount, *key));
                } else {
                    self.for_room[resource].remove(&(amount, *key));
                }
            }
            State::ForLimit(tenant) => {
                let set = self.for_limit.entry(tenant).or_default();
                if within {
                    set.insert(*key);
                } else {
                    set.remove(key);
                }
                if set.is_empty() {
                    self.for_limit.remove(&tenant);
                }
            }
        }
    }

    /// Brings the order of turns up to date: to be asked before it is looked at.
    pub fn settle(&mut self, tenants: &mut Tenants, total: &Amounts) {
        for key in std::mem::take(&mut self.fresh) {
            let Some(class) = self.classes.get_mut(&key) else {
                continue;
            };
            if let Some((age, _)) = class.first() {
                class.filed = Some(age);
                self.put(&key, age, true);
            }
        }
        let moved = std::mem::take(&mut tenants.moved);
        let same = self.total == *total;
        for turns in [&mut self.awake, &mut self.parked] {
            if same {
                moved.iter().for_each(|ix| turns.moved(*ix));
            } else {
                turns.all_moved();
            }
            turns.settle(tenants, total);
        }
        if !same {
            self.total.clone_from(total);
        }
    }

    /// Whether a class is awake.
    #[must_use]
    pub fn is_awake(&self) -> bool {
        !self.awake.is_empty() || !self.fresh.is_empty()
    }

    /// The only class that is awake: its turn it is whatever the order.
    #[must_use]
    pub fn only_awake(&self) -> Option<ClassKey> {
        let only = self.awake.is_empty() && self.fresh.len() == 1;
        self.fresh.first().copied().filter(|_| only)
    }

    /// The awake class whose turn it is.
    #[must_use]
    pub fn first_awake(&self) -> Option<Turn> {
        self.awake.first()
    }

    /// The class whose turn it is among those that are parked for room and pass; they ask so much of a resource.
    pub fn first_parked(&self, mut passes: impl FnMut(&ClassKey, usize, u64) -> bool) -> Option<Turn> {
        self.parked
            .first_where(&mut |key| match self.classes.get(key).map(|class| class.state) {
                Some(State::ForRoom(resource, amount)) => passes(key, resource, amount),
                Some(State::Fresh | State::Again | State::ForLimit(_)) | None => false,
            })
    }

    /// Whether any class is parked for at most so much.
    #[must_use]
    pub fn asks_within(&self, free: &[u64; INDEXED]) -> bool {
        let mut sets = self.for_room.iter().zip(free);
        sets.any(|(set, free)| set.first().is_some_and(|(asked, _)| asked <= free))
    }

    /// The classes that are parked under a tenant.
    #[must_use]
    pub fn parked_under(&self, tenant: TenantIx) -> Vec<ClassKey> {
        self.for_limit
            .get(&tenant)
            .map_or_else(Vec::new, |set| set.iter().copied().collect())
    }

    /// Any node may help those of these terms that wait for room.
    pub fn wake_all(&mut self, terms: TermsIx) {
        let first = ClassKey {
            terms,
            node: None,
            whom: Whom::Each,
        };
        let parked = self
            .classes
            .range(first..)
            .take_while(|(key, _)| key.terms == terms);
        let parked = parked.filter(|(_, class)| matches!(class.state, State::ForRoom(..)));
        // What helps one task of a gang may help the gang.
        let gangs = self.classes.range(
            ClassKey {
                terms: TermsIx(u64::MAX),
                ..first
            }..,
        );
        let gangs = gangs.filter(|(_, class)| matches!(class.state, State::ForRoom(..)));
        let keys: Vec<_> = parked.chain(gangs).map(|(key, _)| *key).collect();
        for key in keys {
            self.turn(&key, State::Again);
        }
    }

    /// Those that have not been told why they wait, class by class; they count as told.
    pub fn take_untold(&mut self) -> Vec<(ClassKey, Vec<TaskId>)> {
        let parked = |class: &Class| !class.awake();
        let keys: Vec<_> = self
            .untold
            .iter()
            .filter(|key| self.classes.get(key).is_some_and(parked))
            .copied()
            .collect();
        let mut untold = Vec::with_capacity(keys.len());
        for key in keys {
            self.untold.remove(&key);
            if let Some(class) = self.classes.get_mut(&key) {
                let joined: BTreeSet<_> = std::mem::take(&mut class.untold).into_iter().collect();
                let wait = joined.into_iter().filter(|one| class.waiting.contains(one));
                let mut wait: Vec<TaskId> = wait.map(|(_, id)| id).collect();
                wait.sort_unstable();
                untold.push((key, wait));
            }
        }
        untold
    }

    /// The waiters of a class have been told why they wait.
    pub fn told(&mut self, key: &ClassKey, why: Arc<Why>, now: u64) {
        if let Some(class) = self.classes.get_mut(key) {
            class.told = Some((why, now));
        }
    }

    /// What the waiters of a class were told may be old; look again when it is due.
    pub fn refresh_at(&mut self, key: &ClassKey, due: u64) {
        if let Some(class) = self.classes.get_mut(key)
            && class.refresh.is_none()
        {
            class.refresh = Some(due);
            self.refresh.insert((due, *key));
        }
    }

    /// All parked classes.
    #[must_use]
    pub fn parked(&self) -> Vec<ClassKey> {
        self.classes
            .iter()
            .filter(|(_, class)| !class.awake())
            .map(|(key, _)| *key)
            .collect()
    }

    /// The next class whose look is due.
    pub fn take_due(&mut self, now: u64) -> Option<ClassKey> {
        let (due, key) = self.refresh.first().copied().filter(|(due, _)| *due <= now)?;
        self.refresh.remove(&(due, key));
        if let Some(class) = self.classes.get_mut(&key) {
            class.refresh = None;
        }
        Some(key)
    }
}
