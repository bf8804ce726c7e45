//! Who waits, and for what. Waiters that ask the same are one class and are thought about once. A class that
//! found no room is parked under one resource it asks, with the amount; a node that frees wakes only those
//! whose amount it has, and they look at that node only. A class that met its tenant's limit is parked under
//! the tenant. Which class is awake is not a fact: after a restart all are, and park again.

use crate::fact::{NodeIx, TermsIx};
use crate::place::levels::INDEXED;
use plenum_model::ids::{TaskId, TenantPath};
use plenum_model::why::Why;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A class that so many nodes may help looks at all of them, by the index: each one in turn would cost more.
const WOKEN: usize = 64;

/// Waiters that ask the same: terms, and the node if they wait to be admitted again there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClassKey {
    /// Their terms.
    pub terms: TermsIx,
    /// Their node, if only that one will do.
    pub node: Option<NodeIx>,
}

/// Where a class looks next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// At all nodes.
    Fresh,
    /// At all nodes; it was told why it waits, and only rules about other tasks may have changed that.
    Again,
    /// At these.
    Woken(BTreeSet<NodeIx>),
    /// Nowhere: under a resource (by position) and an amount of it.
    ForRoom(usize, u64),
    /// Nowhere: under a tenant.
    ForLimit(TenantPath),
}

/// Waiters that ask the same.
#[derive(Debug, Clone)]
pub struct Class {
    /// Who is charged.
    pub tenant: TenantPath,
    /// Where it looks next.
    pub state: State,
    /// What its waiters were told, and when.
    pub told: Option<(Arc<Why>, u64)>,
    waiting: BTreeSet<(u64, TaskId)>,
    untold: BTreeSet<TaskId>,
    refresh: Option<u64>,
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
        matches!(self.state, State::Fresh | State::Again | State::Woken(_))
    }
}

/// All that wait.
#[derive(Debug, Default)]
pub struct Queue {
    classes: BTreeMap<ClassKey, Class>,
    awake: BTreeMap<TenantPath, BTreeSet<(u64, ClassKey)>>,
    for_room: [BTreeSet<(u64, ClassKey)>; INDEXED],
    for_limit: BTreeMap<TenantPath, BTreeSet<ClassKey>>,
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

    /// A task begins to wait.
    pub fn enter(&mut self, key: ClassKey, tenant: &TenantPath, age: u64, id: TaskId) {
        self.unfile(&key);
        let class = self.classes.entry(key).or_insert_with(|| Class {
            tenant: tenant.clone(),
            state: State::Fresh,
            told: None,
            waiting: BTreeSet::new(),
            untold: BTreeSet::new(),
            refresh: None,
        });
        self.len += usize::from(class.waiting.insert((age, id)));
        class.untold.insert(id);
        self.untold.insert(key);
        self.file(&key);
    }

    /// A task waits no longer.
    pub fn leave(&mut self, key: ClassKey, age: u64, id: TaskId) {
        self.unfile(&key);
        let Some(class) = self.classes.get_mut(&key) else {
            return;
        };
        self.len -= usize::from(class.waiting.remove(&(age, id)));
        class.untold.remove(&id);
        if class.waiting.is_empty() {
            if let Some(due) = class.refresh.take() {
                self.refresh.remove(&(due, key));
            }
            self.untold.remove(&key);
            self.classes.remove(&key);
        }
        self.file(&key);
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
        let Some(class) = self.classes.get(key) else {
            return;
        };
        match &class.state {
            State::Fresh | State::Again | State::Woken(_) => {
                if let (Some((age, _)), Some(set)) = (class.first(), self.awake.get_mut(&class.tenant)) {
                    set.remove(&(age, *key));
                    if set.is_empty() {
                        self.awake.remove(&class.tenant);
                    }
                }
            }
            State::ForRoom(resource, amount) => {
                self.for_room[*resource].remove(&(*amount, *key));
            }
            State::ForLimit(path) => {
                if let Some(set) = self.for_limit.get_mut(path) {
                    set.remove(key);
                    if set.is_empty() {
                        self.for_limit.remove(path);
                    }
                }
            }
        }
    }

    fn file(&mut self, key: &ClassKey) {
        let Some(class) = self.classes.get(key) else {
            return;
        };
        match &class.state {
            State::Fresh | State::Again | State::Woken(_) => {
                if let Some((age, _)) = class.first() {
                    self.awake
                        .entry(class.tenant.clone())
                        .or_default()
                        .insert((age, *key));
                }
            }
            State::ForRoom(resource, amount) => {
                self.for_room[*resource].insert((*amount, *key));
            }
            State::ForLimit(path) => {
                self.for_limit.entry(path.clone()).or_default().insert(*key);
            }
        }
    }

    /// The tenants with classes that are awake, each with the age of its oldest.
    pub fn awake(&self) -> impl Iterator<Item = (&TenantPath, u64)> {
        self.awake
            .iter()
            .filter_map(|(path, set)| Some((path, set.first()?.0)))
    }

    /// The oldest class of a tenant that is awake.
    #[must_use]
    pub fn next_of(&self, tenant: &TenantPath) -> Option<(u64, ClassKey)> {
        self.awake.get(tenant)?.first().copied()
    }

    /// The parked classes that ask at most what is free, resource by resource.
    #[must_use]
    pub fn parked_within(&self, free: [u64; INDEXED]) -> Vec<ClassKey> {
        let mut keys = Vec::new();
        for (set, free) in self.for_room.iter().zip(free) {
            keys.extend(
                set.iter()
                    .take_while(|(asked, _)| *asked <= free)
                    .map(|(_, key)| *key),
            );
        }
        keys
    }

    /// The classes that are parked under a tenant.
    #[must_use]
    pub fn parked_under(&self, path: &TenantPath) -> Vec<ClassKey> {
        self.for_limit
            .get(path)
            .map_or_else(Vec::new, |set| set.iter().copied().collect())
    }

    /// A node may help them now; says whether a class was parked for room.
    pub fn wake(&mut self, key: &ClassKey, node: NodeIx) {
        let state = match self.classes.get(key).map(|c| &c.state) {
            Some(State::Woken(nodes)) if nodes.len() >= WOKEN => State::Fresh,
            Some(State::Woken(nodes)) => {
                let mut nodes = nodes.clone();
                nodes.insert(node);
                State::Woken(nodes)
            }
            Some(State::ForRoom(..)) => State::Woken(BTreeSet::from([node])),
            Some(State::Fresh | State::Again | State::ForLimit(_)) | None => return,
        };
        self.turn(key, state);
    }

    /// Any node may help those of these terms that wait for room.
    pub fn wake_all(&mut self, terms: TermsIx) {
        let first = ClassKey { terms, node: None };
        let parked = self
            .classes
            .range(first..)
            .take_while(|(key, _)| key.terms == terms);
        let parked = parked.filter(|(_, class)| matches!(class.state, State::ForRoom(..) | State::Woken(_)));
        let keys: Vec<_> = parked.map(|(key, _)| *key).collect();
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
                untold.push((key, std::mem::take(&mut class.untold).into_iter().collect()));
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
