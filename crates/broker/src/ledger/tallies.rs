//! Tallies: the counts that rules about other tasks ask, kept as tasks come and go. Equal tallies of all terms of
//! a scheduler are one. For each count there is the set of nodes whose domain has it, so that a question over all
//! nodes is a few ANDs over words of 64 of them; how many nodes there are matters no more than that.

use super::domains::{DomainIx, KeyIx, KeyRow, Keys, Members};
use super::nodes::Nodes;
use crate::fact::{NodeIx, TermsIx};
use crate::place::bits::Bits;
use crate::place::relation::{Bar, By, Counts, Order, Stir, TallyIx, Totals};
use crate::place::sieve::Sieve;
use plenum_model::ids::SchedulerId;
use plenum_model::node::NodeFacts;
use plenum_model::rules::Domains;
use plenum_model::tally::{Picked, Scope, Subject, Tally};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// What makes two tallies one: equal names count the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name {
    scheduler: SchedulerId,
    /// The workload and version within which it counts, as far as its scope says so.
    workload: String,
    version: String,
    tally: Arc<Tally>,
    /// It counts those who bear the rule, instead of those the rule is about.
    bearers: bool,
}

impl Name {
    /// The name of a tally in terms of a scheduler.
    #[must_use]
    pub fn new(scheduler: &SchedulerId, own: &Subject<'_>, tally: &Arc<Tally>, bearers: bool) -> Self {
        let (workload, version) = match tally.among.scope {
            Scope::Workload => (own.workload, ""),
            Scope::Version => (own.workload, own.version),
            Scope::Scheduler => ("", ""),
        };
        Self {
            scheduler: scheduler.clone(),
            workload: workload.to_owned(),
            version: version.to_owned(),
            tally: Arc::clone(tally),
            bearers,
        }
    }
}

/// Domains that have the same count.
#[derive(Debug, Default)]
struct Level {
    domains: u32,
    nodes: Bits,
}

/// One tally.
#[derive(Debug)]
pub struct TallyRow {
    /// What it is.
    pub name: Arc<Name>,
    picked: Picked,
    key: KeyIx,
    refs: usize,
    counts: HashMap<DomainIx, u32>,
    /// The domains that have some, by how many; a set of nodes for each.
    at: BTreeMap<u32, Level>,
    /// The nodes of all domains that have some.
    some: Bits,
    anywhere: u32,
    /// An empty set for the next level: counts go up and down all the time.
    spare: Option<Bits>,
    stir: Stir,
    /// How many terms ask it for an even spread.
    spreads: usize,
    /// The terms that ask it.
    pub users: BTreeSet<TermsIx>,
}

impl TallyRow {
    /// Whether it counts such tasks (or, if it counts bearers, is about them).
    #[must_use]
    pub fn is_about(&self, subject: &Subject<'_>) -> bool {
        let none = BTreeMap::new();
        let own = Subject {
            workload: &self.name.workload,
            version: &self.name.version,
            labels: &none,
        };
        self.picked.counts(&own, subject)
    }

    /// Whether it counts those who bear its rule.
    #[must_use]
    pub fn bearers(&self) -> bool {
        self.name.bearers
    }

    fn fewest(&self) -> u32 {
        self.at.keys().next().copied().unwrap_or(0)
    }

    fn shift(&mut self, domain: DomainIx, members: &Members, up: bool) {
        let was = self.counts.get(&domain).copied().unwrap_or(0);
        let now = if up {
            was.saturating_add(1)
        } else {
            was.saturating_sub(1)
        };
        if was == now {
            return;
        }
        let fewest = self.fewest();
        if was > 0 {
            self.out_of(was, members);
        }
        if now > 0 {
            self.counts.insert(domain, now);
            let spare = &mut self.spare;
            let level = self.at.entry(now).or_insert_with(|| Level {
                domains: 0,
                nodes: spare.take().unwrap_or_default(),
            });
            level.domains += 1;
            members.put_into(&mut level.nodes, true);
        } else {
            self.counts.remove(&domain);
        }
        if was == 0 || now == 0 {
            members.put_into(&mut self.some, now > 0);
        }
        if up {
            self.anywhere = self.anywhere.saturating_add(1);
            self.stir.more |= was == 0 || self.fewest() > fewest;
        } else {
            self.anywhere = self.anywhere.saturating_sub(1);
            self.stir.fewer = true;
        }
    }

    /// A node is in a domain now, or is no longer.
    fn belongs(&mut self, node: NodeIx, domain: Option<DomainIx>, within: bool) {
        let count = domain.and_then(|domain| self.counts.get(&domain));
        if let Some(level) = count.and_then(|count| self.at.get_mut(count)) {
            level.nodes.put(node, within);
            self.some.put(node, within);
        }
    }

    fn out_of(&mut self, count: u32, members: &Members) {
        let Some(level) = self.at.get_mut(&count) else {
            return;
        };
        members.put_into(&mut level.nodes, false);
        level.domains -= 1;
        if level.domains == 0 {
            self.spare = self.at.remove(&count).map(|level| level.nodes);
        }
    }
}

/// The fewest that a domain with one of these nodes has, and how many such domains there are, up to `enough`.
fn least<'b>(
    row: &TallyRow,
    key: &KeyRow,
    enough: u32,
    nodes: impl Iterator<Item = &'b Bits> + Clone,
) -> (u32, u32) {
    let empty = |set: &Bits| Bits::any_of(set, &key.within, &row.some);
    let met = |level: &Level| nodes.clone().any(|set| set.meets(&level.nodes));
    let fewest = if nodes.clone().any(empty) {
        None
    } else {
        row.at.iter().find(|(_, level)| met(level)).map(|(n, _)| *n)
    };
    (fewest.unwrap_or(0), key.count_in(nodes, enough))
}

/// All tallies.
#[derive(Debug, Default)]
pub struct Tallies {
    rows: Vec<Option<TallyRow>>,
    names: HashMap<Arc<Name>, TallyIx>,
    unused: Vec<TallyIx>,
    keys: Keys,
    stirred: BTreeSet<TallyIx>,
}

impl Tallies {
    /// The number of a tally, if it is kept.
    #[must_use]
    pub fn find(&self, name: &Name) -> Option<TallyIx> {
        self.names.get(name).copied()
    }

    /// Begins to keep a tally, with nothing counted.
    pub fn add(&mut self, name: Name, picked: Picked, nodes: &Nodes) -> TallyIx {
        let name = Arc::new(name);
        let row = TallyRow {
            key: self.keys.refer(&name.tally, nodes),
            name: Arc::clone(&name),
            picked,
            refs: 0,
            counts: HashMap::new(),
            at: BTreeMap::new(),
            some: Bits::default(),
            anywhere: 0,
            spare: None,
            stir: Stir::default(),
            spreads: 0,
            users: BTreeSet::new(),
        };
        let ix = self.unused.pop().unwrap_or_else(|| {
            self.rows.push(None);
            TallyIx(u32::try_from(self.rows.len() - 1).unwrap_or(u32::MAX))
        });
        self.rows[ix.0 as usize] = Some(row);
        self.names.insert(name, ix);
        ix
    }

    /// A rule of some terms refers to it once more.
    pub fn refer(&mut self, ix: TallyIx, spread: bool) {
        if let Some(row) = self.row_mut(ix) {
            row.refs += 1;
            row.spreads += usize::from(spread);
        }
    }

    /// A rule refers to it once less; without any it is not kept any more, and given back.
    pub fn drop_ref(&mut self, ix: TallyIx, spread: bool) -> Option<TallyRow> {
        let row = self.row_mut(ix)?;
        row.refs -= 1;
        row.spreads -= usize::from(spread);
        if row.refs > 0 {
            return None;
        }
        let row = self.rows[ix.0 as usize].take()?;
        self.keys.drop_ref(row.key);
        self.names.remove(&row.name);
        self.stirred.remove(&ix);
        self.unused.push(ix);
        Some(row)
    }

    /// A tally.
    #[must_use]
    pub fn get(&self, ix: TallyIx) -> Option<&TallyRow> {
        self.rows.get(ix.0 as usize)?.as_ref()
    }

    /// A tally, to be changed.
    pub fn row_mut(&mut self, ix: TallyIx) -> Option<&mut TallyRow> {
        self.rows.get_mut(ix.0 as usize)?.as_mut()
    }

    /// Counts one more on a node, or one less.
    pub fn count(&mut self, ix: TallyIx, node: NodeIx, up: bool) {
        let Some(row) = self.rows.get_mut(ix.0 as usize).and_then(Option::as_mut) else {
            return;
        };
        let key = self.keys.get(row.key);
        if let Some(domain) = key.of(node) {
            row.shift(domain, key.members(domain), up);
            if row.stir != Stir::default() {
                self.stirred.insert(ix);
            }
        }
    }

    /// A node has other facts now, or is gone. Nothing may be counted on it meanwhile.
    pub fn regroup(&mut self, node: NodeIx, facts: Option<&NodeFacts>) {
        for row in self.rows.iter_mut().flatten() {
            row.belongs(node, self.keys.get(row.key).of(node), false);
        }
        self.keys.regroup(node, facts);
        for (at, row) in self.rows.iter_mut().enumerate() {
            let Some(row) = row else { continue };
            row.belongs(node, self.keys.get(row.key).of(node), true);
            // Domains came or went: of what is asked, only an even spread looks at those that have nothing.
            if row.spreads > 0 {
                row.stir.more = true;
                self.stirred
                    .insert(TallyIx(u32::try_from(at).unwrap_or(u32::MAX)));
            }
        }
    }

    /// What has happened to which tallies since the last call.
    pub fn take_stirred(&mut self) -> Vec<(TallyIx, Stir)> {
        let stirred = std::mem::take(&mut self.stirred);
        let take = |ix: TallyIx| Some((ix, std::mem::take(&mut self.row_mut(ix)?.stir)));
        stirred.into_iter().filter_map(take).collect()
    }

    /// Says again what was taken.
    pub fn stir_again(&mut self, stirred: Vec<(TallyIx, Stir)>) {
        for (ix, stir) in stirred {
            if let Some(row) = self.row_mut(ix) {
                row.stir = stir;
                self.stirred.insert(ix);
            }
        }
    }

    fn look(&self, ix: TallyIx) -> Option<(&TallyRow, &KeyRow)> {
        let row = self.get(ix)?;
        Some((row, self.keys.get(row.key)))
    }

    /// What of the whole tally a rule looks at. `over`: which domains, and how many of them are enough; `eligible`:
    /// the nodes where the task may go at all.
    #[must_use]
    pub fn totals<'b>(
        &self,
        ix: TallyIx,
        over: Option<(Domains, u32)>,
        eligible: impl Iterator<Item = &'b Bits> + Clone,
    ) -> Totals {
        let Some((row, key)) = self.look(ix) else {
            return Totals::default();
        };
        let (fewest, domains) = match over {
            None => (0, 0),
            Some((Domains::Seen, _)) => (row.fewest(), u32::try_from(row.counts.len()).unwrap_or(u32::MAX)),
            Some((Domains::Eligible, enough)) => least(row, key, enough, eligible),
            Some((Domains::All, enough)) => least(row, key, enough, std::iter::once(&key.within)),
        };
        Totals {
            fewest,
            domains,
            anywhere: row.anywhere,
        }
    }

    /// Keeps in `set` the nodes that a rule does not refuse.
    pub fn keep<'a>(&'a self, bar: &Bar, set: &mut Sieve<'a>) {
        let Some((row, key)) = self.look(bar.tally) else {
            return;
        };
        if !bar.domainless {
            set.keep(&key.within);
        }
        if bar.low > 0 {
            set.keep(&row.some);
        }
        match bar.below {
            0 => set.without(&key.within),
            1 => set.without(&row.some),
            n => row.at.range(n..).for_each(|(_, level)| set.without(&level.nodes)),
        }
    }

    /// Goes through the nodes of `set` in the order of a soft rule, level by level, until `take` says something.
    pub fn in_order<'a, T>(
        &'a self,
        order: Order,
        set: &Sieve<'a>,
        mut take: impl FnMut(&Sieve<'a>) -> Option<T>,
    ) -> Option<T> {
        let Some((row, key)) = self.look(order.tally) else {
            return take(set);
        };
        let mut look = |keep: Option<&'a Bits>, without: Option<&'a Bits>| {
            let mut part = set.clone();
            keep.into_iter().for_each(|keep| part.keep(keep));
            without.into_iter().for_each(|without| part.without(without));
            if part.is_empty() { None } else { take(&part) }
        };
        let levels = row.at.values();
        // Where every domain has some there is none without to be looked for.
        let none = (row.counts.len() < key.count()).then_some(&key.within);
        match order.by {
            By::Fewest => none
                .and_then(|within| look(Some(within), Some(&row.some)))
                .or_else(|| {
                    levels
                        .into_iter()
                        .find_map(|level| look(Some(&level.nodes), None))
                })
                .or_else(|| look(None, Some(&key.within))),
            By::FewestOrNowhere => look(None, Some(&row.some)).or_else(|| {
                levels
                    .into_iter()
                    .find_map(|level| look(Some(&level.nodes), None))
            }),
            By::Most => levels
                .rev()
                .find_map(|level| look(Some(&level.nodes), None))
                .or_else(|| look(None, Some(&row.some))),
        }
    }
}

impl Counts<NodeIx> for Tallies {
    fn here(&self, tally: TallyIx, node: NodeIx) -> Option<u32> {
        let (row, key) = self.look(tally)?;
        let domain = key.of(node)?;
        Some(row.counts.get(&domain).copied().unwrap_or(0))
    }

    fn tally(&self, tally: TallyIx) -> Option<&Tally> {
        Some(&self.get(tally)?.name.tally)
    }
}
