//! Terms and specs that tasks refer to: each kept once, however many tasks share it, and as long as one does.

use super::hashing::{Table, hash_of};
use super::relations::Related;
use super::tenants::TenantIx;
use super::workloads::WorkloadIx;
use crate::fact::TermsIx;
use crate::ledger::nodes::Nodes;
use crate::place::eligible::Eligible;
use crate::place::needs::{Lasting, Needs};
use plenum_model::claim::Terms;
use plenum_model::ids::{SchedulerId, SpecId};
use plenum_model::spec::TaskSpec;
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Terms that tasks refer to.
#[derive(Debug)]
pub struct TermsRow {
    /// Whose.
    pub scheduler: SchedulerId,
    /// Themselves, their spec, and what they need of a node.
    pub needs: Needs,
    /// Who is charged; known since the first task that refers to them.
    pub tenant: Option<TenantIx>,
    /// The workload of these tasks.
    pub workload: WorkloadIx,
    /// How they stand to other tasks.
    pub related: Related,
    eligible: usize,
    hash: u64,
    refs: usize,
}

#[derive(Debug)]
struct SpecRow {
    spec: Arc<TaskSpec>,
    refs: usize,
}

/// What terms ask of a node for good, and the nodes that pass.
#[derive(Debug, Default)]
struct LastingRow {
    asks: Option<Arc<Lasting>>,
    eligible: Eligible,
    refs: usize,
}

/// All terms and specs.
#[derive(Debug, Default)]
pub struct TermsTable {
    /// The number that the next terms get.
    pub next: u64,
    rows: Table<TermsIx, TermsRow>,
    /// By the hash of who claims and what.
    by_content: Table<u64, SmallVec<[TermsIx; 1]>>,
    lasting: Vec<LastingRow>,
    by_lasting: Table<Arc<Lasting>, usize>,
    unused: Vec<usize>,
    specs: BTreeMap<SpecId, SpecRow>,
}

impl TermsTable {
    /// Terms by number, which a task of the ledger must refer to.
    ///
    /// # Panics
    /// If no task or fact refers to them.
    #[must_use]
    pub fn row(&self, ix: TermsIx) -> &TermsRow {
        self.rows
            .get(&ix)
            .expect("terms stay as long as a task refers to them")
    }

    /// Terms by number.
    #[must_use]
    pub fn get(&self, ix: TermsIx) -> Option<&TermsRow> {
        self.rows.get(&ix)
    }

    /// Terms by number, to be changed.
    pub fn get_mut(&mut self, ix: TermsIx) -> Option<&mut TermsRow> {
        self.rows.get_mut(&ix)
    }

    /// Terms of a scheduler by content.
    #[must_use]
    pub fn find(&self, scheduler: &SchedulerId, terms: &Arc<Terms>) -> Option<TermsIx> {
        let same = |ix: &&TermsIx| {
            let row = self.rows.get(ix);
            row.is_some_and(|row| {
                let have = &row.needs.terms;
                row.scheduler == *scheduler && (Arc::ptr_eq(have, terms) || have == terms)
            })
        };
        let known = self.by_content.get(&hash_of(&(scheduler, terms)))?;
        known.iter().find(same).copied()
    }

    /// The nodes that pass what these terms ask for good, as of the last `refresh`.
    #[must_use]
    pub fn eligible(&self, row: &TermsRow) -> &Eligible {
        &self.lasting[row.eligible].eligible
    }

    /// Brings the nodes up to date that pass what these terms ask for good.
    pub fn refresh(&mut self, ix: TermsIx, nodes: &Nodes) {
        if let Some(row) = self.rows.get(&ix) {
            self.lasting[row.eligible].eligible.refresh(nodes, &row.needs);
        }
    }

    /// Terms to be changed, with the nodes that pass what they ask for good.
    pub fn get_with_eligible(&mut self, ix: TermsIx) -> Option<(&mut TermsRow, &Eligible)> {
        let row = self.rows.get_mut(&ix)?;
        let eligible = &self.lasting[row.eligible].eligible;
        Some((row, eligible))
    }

    /// A spec by id.
    #[must_use]
    pub fn spec(&self, id: &SpecId) -> Option<&Arc<TaskSpec>> {
        self.specs.get(id).map(|row| &row.spec)
    }

    /// All terms, by number.
    pub fn iter(&self) -> impl Iterator<Item = (TermsIx, &TermsRow)> {
        let mut rows: Vec<_> = self.rows.iter().map(|(ix, row)| (*ix, row)).collect();
        rows.sort_unstable_by_key(|(ix, _)| *ix);
        rows.into_iter()
    }

    /// All specs, by id.
    pub fn specs(&self) -> impl Iterator<Item = (SpecId, &Arc<TaskSpec>)> {
        self.specs.iter().map(|(id, row)| (*id, &row.spec))
    }

    /// Takes in a spec. Without terms that refer to it, it goes at the next `prune_specs`.
    pub fn add_spec(&mut self, id: SpecId, spec: Arc<TaskSpec>) {
        self.specs.entry(id).or_insert(SpecRow { spec, refs: 0 });
    }

    /// Takes in terms whose spec is there.
    pub fn add(&mut self, ix: TermsIx, scheduler: SchedulerId, needs: Needs, workload: WorkloadIx) {
        let hash = hash_of(&(&scheduler, &needs.terms));
        if let Some(spec) = self.specs.get_mut(&needs.terms.spec) {
            spec.refs += 1;
        }
        self.next = self.next.max(ix.0 + 1);
        self.by_content.entry(hash).or_default().push(ix);
        let eligible = self.refer_lasting(needs.lasting());
        self.rows.insert(
            ix,
            TermsRow {
                scheduler,
                needs,
                tenant: None,
                workload,
                related: Related::default(),
                eligible,
                hash,
                refs: 0,
            },
        );
    }

    fn refer_lasting(&mut self, asks: Lasting) -> usize {
        let at = match self.by_lasting.get(&asks) {
            Some(known) => *known,
            None => {
                let at = self.unused.pop().unwrap_or(self.lasting.len());
                if at == self.lasting.len() {
                    self.lasting.push(LastingRow::default());
                }
                let asks = Arc::new(asks);
                self.by_lasting.insert(Arc::clone(&asks), at);
                self.lasting[at].asks = Some(asks);
                at
            }
        };
        self.lasting[at].refs += 1;
        at
    }

    fn drop_lasting(&mut self, at: usize) {
        self.lasting[at].refs -= 1;
        if self.lasting[at].refs == 0 {
            let gone = std::mem::take(&mut self.lasting[at]);
            if let Some(asks) = gone.asks {
                self.by_lasting.remove(&asks);
            }
            self.unused.push(at);
        }
    }

    /// Says who is charged for tasks of these terms.
    pub fn charge_to(&mut self, ix: TermsIx, tenant: TenantIx) {
        if let Some(row) = self.rows.get_mut(&ix) {
            row.tenant = Some(tenant);
        }
    }

    /// A task refers to them so many times more.
    pub fn refer(&mut self, ix: TermsIx, times: usize) {
        if let Some(row) = self.rows.get_mut(&ix) {
            row.refs += times;
        }
    }

    /// One task less refers to them; without any they are gone, and given back.
    pub fn drop_ref(&mut self, ix: TermsIx) -> Option<TermsRow> {
        let row = self.rows.get_mut(&ix)?;
        row.refs -= 1;
        if row.refs > 0 {
            return None;
        }
        let row = self.rows.remove(&ix)?;
        self.drop_lasting(row.eligible);
        if let Some(same) = self.by_content.get_mut(&row.hash) {
            same.retain(|other| *other != ix);
            if same.is_empty() {
                self.by_content.remove(&row.hash);
            }
        }
        let spec = row.needs.terms.spec;
        if let Some(kept) = self.specs.get_mut(&spec) {
            kept.refs -= 1;
            if kept.refs == 0 {
                self.specs.remove(&spec);
            }
        }
        Some(row)
    }
}
