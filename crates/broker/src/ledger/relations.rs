//! Who counts whom: ties terms to the tallies their rules ask, to those that count their tasks, and to those that
//! keep their tasks away. Both sides are found by what they have in common (a workload, a label), never by going
//! through all.

use super::Ledger;
use super::tallies::{Name, Tallies, TallyRow};
use super::terms::TermsRow;
use crate::fact::{NodeIx, TermsIx};
use crate::input::Held;
use crate::place::relation::{Bar, No, Order, Relation, Stir, TallyIx, orders};
use crate::place::verdict::Around;
use plenum_model::ids::SchedulerId;
use plenum_model::node::NodeFacts;
use plenum_model::rules::Op;
use plenum_model::tally::{Among, Scope, Subject};
use std::collections::{BTreeSet, HashMap};

/// How some terms stand to others.
#[derive(Debug, Default)]
pub struct Related {
    /// The tally of each rule about other tasks.
    asks: Vec<TallyIx>,
    /// The tallies that count these tasks as bearers of a rule.
    bears: Vec<TallyIx>,
    /// All tallies that count these tasks.
    counted_by: Vec<TallyIx>,
    /// What refuses nodes, in the order in which it is asked: the hard rules, then what keeps these tasks away.
    pub bars: Vec<Bar>,
    /// In which order the soft rules look.
    pub orders: Vec<Order>,
}

impl Related {
    /// What a node's verdict looks at.
    #[must_use]
    pub fn around<'a>(&'a self, node: NodeIx, counts: &'a Tallies) -> Around<'a, NodeIx, Tallies> {
        Around {
            bars: &self.bars,
            counts,
            node,
        }
    }
}

/// What tallies and the terms they are about have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Common {
    Workload(String),
    Label(String, String),
    Scheduler,
}

impl Common {
    /// Every task that is meant has this in common.
    fn of_all(among: &Among, own: &Subject<'_>) -> Self {
        match among.scope {
            Scope::Workload | Scope::Version => Self::Workload(own.workload.to_owned()),
            Scope::Scheduler => {
                let exact = among
                    .labels
                    .iter()
                    .find(|e| e.op == Op::In && e.values.len() == 1 && !e.absent_matches && !e.fold_case);
                exact.map_or(Self::Scheduler, |e| Self::Label(e.key.clone(), e.values.concat()))
            }
        }
    }

    /// Everything that some tasks may have in common with others.
    fn all_of(subject: &Subject<'_>) -> Vec<Self> {
        let labels = subject.labels.iter();
        let mut all = vec![Self::Scheduler, Self::Workload(subject.workload.to_owned())];
        all.extend(labels.map(|(key, value)| Self::Label(key.clone(), value.clone())));
        all
    }
}

/// Things by what they have in common.
#[derive(Debug)]
struct Buckets<T>(HashMap<(SchedulerId, Common), BTreeSet<T>>);

impl<T> Default for Buckets<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: Ord + Copy> Buckets<T> {
    fn put(&mut self, scheduler: &SchedulerId, common: Common, thing: T) {
        self.0
            .entry((scheduler.clone(), common))
            .or_default()
            .insert(thing);
    }

    fn take(&mut self, scheduler: &SchedulerId, common: Common, thing: T) {
        let key = (scheduler.clone(), common);
        if let Some(set) = self.0.get_mut(&key) {
            set.remove(&thing);
            if set.is_empty() {
                self.0.remove(&key);
            }
        }
    }

    fn get(&self, scheduler: &SchedulerId, common: Common) -> impl Iterator<Item = T> + '_ {
        self.0
            .get(&(scheduler.clone(), common))
            .into_iter()
            .flatten()
            .copied()
    }
}

/// Finds the two sides.
#[derive(Debug, Default)]
pub struct Finder {
    tallies: Buckets<TallyIx>,
    terms: Buckets<TermsIx>,
}

impl Ledger {
    /// Ties new terms to tallies.
    pub(super) fn relate(&mut self, ix: TermsIx) {
        let Some(row) = self.terms.get(ix) else { return };
        let scheduler = row.scheduler.clone();
        let terms = row.needs.terms.clone();
        let own = terms.subject();
        let relations: Vec<Relation> = row.needs.relations.clone();
        let mut related = Related::default();
        for relation in &relations {
            let tally = self.ask(ix, &scheduler, &own, relation, false);
            related.bars.extend(relation.bar(tally));
            related.asks.push(tally);
            if relation.binds() {
                let bearers = self.ask(ix, &scheduler, &own, relation, true);
                related.bears.push(bearers);
            }
        }
        related.orders = orders(&relations, &related.asks);
        related.counted_by.clone_from(&related.bears);
        for common in Common::all_of(&own) {
            for tally in self.finder.tallies.get(&scheduler, common.clone()) {
                let Some(row) = self.tallies.row_mut(tally).filter(|row| row.is_about(&own)) else {
                    continue;
                };
                if row.bearers() {
                    row.users.insert(ix);
                    related.bars.push(Bar::kept_away(tally));
                } else {
                    related.counted_by.push(tally);
                }
            }
            self.finder.terms.put(&scheduler, common, ix);
        }
        if let Some(row) = self.terms.get_mut(ix) {
            row.related = related;
        }
    }

    /// The tally that a rule asks, kept from now on if it was not.
    fn ask(
        &mut self,
        ix: TermsIx,
        scheduler: &SchedulerId,
        own: &Subject<'_>,
        relation: &Relation,
        bearers: bool,
    ) -> TallyIx {
        let name = Name::new(scheduler, own, &relation.tally, bearers);
        let tally = match self.tallies.find(&name) {
            Some(known) => known,
            None => {
                let tally = self.tallies.add(name, relation.picked.clone(), &self.nodes);
                let common = Common::of_all(&relation.tally.among, own);
                self.introduce(tally, scheduler, &common);
                self.finder.tallies.put(scheduler, common, tally);
                tally
            }
        };
        self.tallies.refer(tally, relation.over().is_some());
        if let Some(row) = self.tallies.row_mut(tally).filter(|_| !bearers) {
            row.users.insert(ix);
        }
        tally
    }

    /// Ties a new tally to the terms that were there before it, and counts their tasks.
    fn introduce(&mut self, tally: TallyIx, scheduler: &SchedulerId, common: &Common) {
        let candidates: Vec<_> = self.finder.terms.get(scheduler, common.clone()).collect();
        let (mut counted, mut hosts) = (BTreeSet::new(), BTreeSet::new());
        for ix in candidates {
            let (Some(terms), Some(row)) = (self.terms.get_mut(ix), self.tallies.row_mut(tally)) else {
                continue;
            };
            if !row.is_about(&terms.needs.terms.subject()) {
                continue;
            }
            if row.bearers() {
                row.users.insert(ix);
                terms.related.bars.push(Bar::kept_away(tally));
            } else {
                terms.related.counted_by.push(tally);
                counted.insert(ix);
                hosts.extend(self.workloads.get(terms.workload).hosts());
            }
        }
        for node in hosts {
            let tasks = self.nodes.get(node).into_iter().flat_map(|row| &row.tasks);
            for row in tasks.filter_map(|id| self.tasks.get(*id)) {
                if row.held == Held::Full && counted.contains(&row.terms) {
                    self.tallies.count(tally, node, true);
                }
            }
        }
    }

    /// Unties terms that are gone: none of their tasks holds anything any more.
    pub(super) fn unrelate(&mut self, ix: TermsIx, gone: &TermsRow) {
        let own = gone.needs.terms.subject();
        for common in Common::all_of(&own) {
            self.finder.terms.take(&gone.scheduler, common, ix);
        }
        let used = gone.related.bars.iter().map(|bar| bar.tally);
        for tally in used.chain(gone.related.asks.iter().copied()) {
            if let Some(row) = self.tallies.row_mut(tally) {
                row.users.remove(&ix);
            }
        }
        let relations = &gone.needs.relations;
        let asks = relations.iter().zip(&gone.related.asks);
        let asks: Vec<_> = asks.map(|(r, tally)| (r, *tally)).collect();
        let binding = relations.iter().filter(|r| r.binds());
        let bears: Vec<_> = binding.zip(gone.related.bears.iter().copied()).collect();
        for (relation, tally) in asks.into_iter().chain(bears) {
            if let Some(row) = self.tallies.drop_ref(tally, relation.over().is_some()) {
                let common = Common::of_all(&relation.tally.among, &own);
                self.dismiss(tally, &row, &gone.scheduler, common);
            }
        }
    }

    /// Unties a tally that is not kept any more.
    fn dismiss(&mut self, tally: TallyIx, row: &TallyRow, scheduler: &SchedulerId, common: Common) {
        for ix in self.finder.terms.get(scheduler, common.clone()) {
            if let Some(terms) = self
                .terms
                .get_mut(ix)
                .filter(|t| row.is_about(&t.needs.terms.subject()))
            {
                terms.related.counted_by.retain(|other| *other != tally);
                terms.related.bars.retain(|bar| bar.tally != tally);
            }
        }
        self.finder.tallies.take(scheduler, common, tally);
    }

    /// Counts one task more on a node, or one less, wherever such tasks count.
    pub(crate) fn count(&mut self, terms: TermsIx, node: NodeIx, up: bool) {
        let Some(row) = self.terms.get(terms) else { return };
        for tally in &row.related.counted_by {
            self.tallies.count(*tally, node, up);
        }
    }

    /// A node has other facts now, or is gone: what stands there counts in other domains.
    pub(super) fn regroup(&mut self, node: NodeIx, facts: Option<&NodeFacts>) {
        let tasks = self.nodes.get(node).into_iter().flat_map(|row| &row.tasks);
        let full = tasks
            .filter_map(|id| self.tasks.get(*id))
            .filter(|row| row.held == Held::Full);
        let standing: Vec<_> = full.map(|row| row.terms).collect();
        standing.iter().for_each(|terms| self.count(*terms, node, false));
        self.tallies.regroup(node, facts);
        standing.iter().for_each(|terms| self.count(*terms, node, true));
    }

    /// Brings the bars of terms up to date: which counts pass now.
    pub(crate) fn set_bars(&mut self, ix: TermsIx) {
        let Some((row, eligible)) = self.terms.get_with_eligible(ix) else {
            return;
        };
        let asks = row.needs.relations.iter().zip(&row.related.asks);
        let mut bars = row.related.bars.iter_mut();
        for (relation, tally) in asks.filter(|(r, _)| r.is_hard()) {
            let totals = self.tallies.totals(*tally, relation.over(), eligible.groups());
            if let Some(bar) = bars.next() {
                bar.set(relation.passing(totals));
            }
        }
    }

    /// Nobody waits whom what was let go or counted since the last step could help.
    pub(crate) fn nobody_waits(&mut self) {
        self.nodes.freed.clear();
        self.tenants.freed.clear();
        self.tenants.moved.clear();
        self.tallies.take_stirred();
    }

    /// The terms to which something that happened to tallies may help.
    pub(crate) fn helped(&mut self) -> BTreeSet<TermsIx> {
        let mut helped = BTreeSet::new();
        for (tally, stir) in self.tallies.take_stirred() {
            let Some(row) = self.tallies.get(tally) else {
                continue;
            };
            let users = row.users.iter().copied();
            helped.extend(users.filter(|ix| self.terms.get(*ix).is_some_and(|t| helps(t, tally, stir))));
        }
        helped
    }
}

fn helps(terms: &TermsRow, tally: TallyIx, stir: Stir) -> bool {
    let mut asks = terms.needs.relations.iter().zip(&terms.related.asks);
    let own = asks.any(|(r, ix)| *ix == tally && r.is_hard() && r.helped_by(stir));
    // What keeps tasks away is no rule of theirs.
    own || (stir.fewer
        && terms
            .related
            .bars
            .iter()
            .any(|bar| bar.tally == tally && bar.no == No::KeptAway))
}
