//! What opening or surveying a journal shows.

use crate::fs::DataFile;
use plenum_contract::ledger_log::LogError;
use std::sync::Arc;

/// What opening a journal finds, in order: the chunks of the snapshot, then the groups after it.
pub(crate) enum Item<'a> {
    /// A chunk of the snapshot.
    Chunk(Placed<'a>),
    /// A group.
    Group(Placed<'a>),
}

/// Bytes and where they stand.
pub(crate) struct Placed<'a> {
    pub(crate) file: &'a Arc<DataFile>,
    pub(crate) at: u64,
    pub(crate) payload: &'a [u8],
}

/// What is done with each item; its error ends the opening.
pub(crate) type Visit<'v> = dyn FnMut(Item<'_>) -> Result<(), LogError> + 'v;
