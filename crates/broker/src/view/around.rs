//! What rules about other tasks look at, counted anew for one question over what readers see. Knows nothing of the
//! ledger's tallies, so that each can be held against the other.

use super::View;
use crate::input::{Held, NodeNow, TaskNow};
use crate::place::needs::Needs;
use crate::place::relation::{Bar, Counts, Relation, TallyIx, Totals};
use crate::place::verdict::Around;
use plenum_model::claim::Terms;
use plenum_model::node::NodeFacts;
use plenum_model::rules::Domains;
use plenum_model::tally::Tally;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One tally.
struct Counted {
    tally: Arc<Tally>,
    by_domain: BTreeMap<String, u32>,
}

impl Counted {
    fn over(tally: &Arc<Tally>, standing: impl Iterator<Item = Arc<NodeFacts>>) -> Self {
        let mut by_domain = BTreeMap::new();
        for node in standing {
            if let Some(domain) = tally.domain(&node) {
                *by_domain.entry(domain.to_owned()).or_insert(0) += 1;
            }
        }
        Self {
            tally: Arc::clone(tally),
            by_domain,
        }
    }

    fn here(&self, node: &NodeFacts) -> Option<u32> {
        let domain = self.tally.domain(node)?;
        Some(self.by_domain.get(domain).copied().unwrap_or(0))
    }

    fn totals(&self, over: Option<(Domains, u32)>, all: &[&NodeNow], needs: &Needs) -> Totals {
        let counts: BTreeMap<&str, u32> = match over {
            None | Some((Domains::Seen, _)) => self.by_domain.iter().map(|(d, n)| (d.as_str(), *n)).collect(),
            Some((over, _)) => {
                let passes = |node: &NodeNow| needs.against(&node.facts, &node.taints).is_none();
                let domains = all
                    .iter()
                    .filter(|node| over == Domains::All || passes(node))
                    .filter_map(|node| self.tally.domain(&node.facts));
                domains
                    .map(|d| (d, self.by_domain.get(d).copied().unwrap_or(0)))
                    .collect()
            }
        };
        Totals {
            fewest: counts.values().min().copied().unwrap_or(0),
            domains: u32::try_from(counts.len()).unwrap_or(u32::MAX),
            anywhere: self.by_domain.values().sum(),
        }
    }
}

/// All that one task's rules, and those of others about it, look at.
pub(super) struct Standing {
    bars: Vec<Bar>,
    tallies: Vec<Counted>,
}

impl Counts<&NodeFacts> for Standing {
    fn here(&self, tally: TallyIx, node: &NodeFacts) -> Option<u32> {
        self.tallies.get(tally.0 as usize)?.here(node)
    }

    fn tally(&self, tally: TallyIx) -> Option<&Tally> {
        Some(&self.tallies.get(tally.0 as usize)?.tally)
    }
}

impl Standing {
    /// As one node looks at it.
    pub(super) fn around<'a>(&'a self, node: &'a NodeFacts) -> Around<'a, &'a NodeFacts, Self> {
        Around {
            bars: &self.bars,
            counts: self,
            node,
        }
    }

    /// What refuses nodes.
    pub(super) fn bars(&self) -> &[Bar] {
        &self.bars
    }

    /// How many a tally counts in a domain.
    pub(super) fn count(&self, tally: TallyIx, domain: &str) -> u32 {
        let counted = self.tallies.get(tally.0 as usize);
        counted.map_or(0, |counted| counted.by_domain.get(domain).copied().unwrap_or(0))
    }

    /// The first domain whose count passes, of those where something is counted.
    pub(super) fn first_domain(&self, tally: TallyIx, passes: impl Fn(u32) -> bool) -> Option<String> {
        let mut domains = self.tallies.get(tally.0 as usize)?.by_domain.iter();
        domains
            .find(|(_, n)| passes(**n))
            .map(|(domain, _)| domain.clone())
    }

    /// Takes in a tally.
    fn add(&mut self, counted: Counted) -> TallyIx {
        self.tallies.push(counted);
        TallyIx(u32::try_from(self.tallies.len() - 1).unwrap_or(u32::MAX))
    }
}

impl View {
    /// What the rules of a task, and those of others about it, look at.
    pub(super) fn standing(&self, now: &TaskNow, needs: &Needs) -> Standing {
        let (own, scheduler) = (now.task.terms.subject(), &now.task.scheduler);
        let full = || {
            let same = self.tasks.values();
            same.filter(move |other| other.held == Held::Full && other.task.scheduler == *scheduler)
                .filter_map(|other| Some((&other.task.terms, self.facts_under(other)?)))
        };
        let mut standing = Standing {
            bars: Vec::new(),
            tallies: Vec::new(),
        };
        let all: Vec<_> = self.nodes.values().map(|seen| &seen.now).collect();
        for relation in &needs.relations {
            let counted = full().filter(|(terms, _)| relation.picked.counts(&own, &terms.subject()));
            let counted = Counted::over(&relation.tally, counted.map(|(_, node)| node));
            let passing = relation.passing(counted.totals(relation.over(), &all, needs));
            let ix = standing.add(counted);
            if let Some(mut bar) = relation.bar(ix) {
                bar.set(passing);
                standing.bars.push(bar);
            }
        }
        let mut asked: BTreeSet<*const Terms> = BTreeSet::new();
        let bearing = self.tasks.values().filter(|other| {
            let binds = !other.task.terms.rules.affinity.is_empty() && other.held == Held::Full;
            binds && other.task.scheduler == *scheduler
        });
        for other in bearing {
            let terms = &other.task.terms;
            if !asked.insert(Arc::as_ptr(terms)) {
                continue;
            }
            let binding = Relation::all_of(terms).unwrap_or_default();
            let about = |r: &&Relation| r.binds() && r.picked.counts(&terms.subject(), &own);
            for relation in binding.iter().filter(about) {
                let bearers = full().filter(|(other, _)| Arc::ptr_eq(other, terms));
                let ix = standing.add(Counted::over(&relation.tally, bearers.map(|(_, node)| node)));
                standing.bars.push(Bar::kept_away(ix));
            }
        }
        standing
    }

    fn facts_under(&self, now: &TaskNow) -> Option<Arc<NodeFacts>> {
        Some(Arc::clone(&self.nodes.get(now.on.as_ref()?)?.now.facts))
    }
}
