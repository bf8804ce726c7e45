//! Terms and specs that tasks refer to: each kept once, however many tasks share it, and as long as one does.

use super::relations::Related;
use super::workloads::WorkloadIx;
use crate::fact::TermsIx;
use crate::place::choose::Eligible;
use crate::place::needs::Needs;
use plenum_model::claim::Terms;
use plenum_model::ids::{SchedulerId, SpecId};
use plenum_model::spec::TaskSpec;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The content address of terms within one scheduler.
pub type TermsHash = [u8; 32];

/// Terms that tasks refer to.
#[derive(Debug)]
pub struct TermsRow {
    /// Whose.
    pub scheduler: SchedulerId,
    /// Themselves, their spec, and what they need of a node.
    pub needs: Needs,
    /// The nodes that pass what does not change with placements.
    pub eligible: Eligible,
    /// The workload of these tasks.
    pub workload: WorkloadIx,
    /// How they stand to other tasks.
    pub related: Related,
    hash: TermsHash,
    refs: usize,
}

#[derive(Debug)]
struct SpecRow {
    spec: Arc<TaskSpec>,
    refs: usize,
}

/// All terms and specs.
#[derive(Debug, Default)]
pub struct TermsTable {
    /// The number that the next terms get.
    pub next: u64,
    rows: BTreeMap<TermsIx, TermsRow>,
    by_hash: HashMap<TermsHash, TermsIx>,
    specs: BTreeMap<SpecId, SpecRow>,
}

/// Under which hash terms of a scheduler are known.
#[must_use]
pub fn hash(scheduler: &SchedulerId, terms: &Terms) -> TermsHash {
    let mut sha = Sha256::new();
    sha.update(scheduler.as_str());
    sha.update([0]);
    sha.update(serde_json::to_vec(terms).expect("plain data with text keys always serialises"));
    sha.finalize().into()
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

    /// Terms by content.
    #[must_use]
    pub fn find(&self, hash: &TermsHash) -> Option<TermsIx> {
        self.by_hash.get(hash).copied()
    }

    /// A spec by id.
    #[must_use]
    pub fn spec(&self, id: &SpecId) -> Option<&Arc<TaskSpec>> {
        self.specs.get(id).map(|row| &row.spec)
    }

    /// All terms, by number.
    pub fn iter(&self) -> impl Iterator<Item = (TermsIx, &TermsRow)> {
        self.rows.iter().map(|(ix, row)| (*ix, row))
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
        let hash = hash(&scheduler, &needs.terms);
        if let Some(spec) = self.specs.get_mut(&needs.terms.spec) {
            spec.refs += 1;
        }
        self.next = self.next.max(ix.0 + 1);
        self.by_hash.insert(hash, ix);
        self.rows.insert(
            ix,
            TermsRow {
                scheduler,
                needs,
                eligible: Eligible::default(),
                workload,
                related: Related::default(),
                hash,
                refs: 0,
            },
        );
    }

    /// One more task refers to them.
    pub fn refer(&mut self, ix: TermsIx) {
        if let Some(row) = self.rows.get_mut(&ix) {
            row.refs += 1;
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
        self.by_hash.remove(&row.hash);
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
