//! Writes the snapshot of a state store beside its writer: copies every kept version into a new file, and
//! tells where each value stands now. Reads only what no longer changes.

use super::codec;
use super::index::{Keyed, Version};
use super::place::Place;
use crate::journal::{Cut, Snapshot, SnapshotWriter};
use plenum_contract::ledger_log::LogError;
use plenum_model::ids::Revision;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes after which a chunk ends: bounds what is in memory, and what damage takes with it.
const CHUNK: usize = 1 << 18;

/// The store at one moment.
pub(super) struct Moment {
    pub(super) cut: Cut,
    pub(super) oldest: Revision,
    pub(super) newest: Revision,
    pub(super) versions: Vec<Keyed<Place>>,
}

/// Where a value stands from now on.
pub(super) struct Moved {
    pub(super) key: Arc<str>,
    pub(super) modified: Revision,
    pub(super) place: Place,
}

/// A snapshot, durable, and what moved into it.
pub(super) struct Compacted {
    pub(super) snapshot: Snapshot,
    pub(super) moved: Vec<Moved>,
}

/// A value that was copied: to `offset`, counted first from the start of its chunk, then of the file.
struct Copied {
    key: Arc<str>,
    modified: Revision,
    from: Place,
    offset: u64,
}

/// Writes the snapshot of `moment` into `dir`; gives up between chunks, without one, when told to stop.
pub(super) fn compact(dir: &Path, moment: &Moment, stop: &AtomicBool) -> Result<Option<Compacted>, LogError> {
    let mut writer = SnapshotWriter::create(dir, moment.cut)?;
    writer.push(|buffer| codec::bounds(moment.oldest, moment.newest, buffer))?;
    let (mut chunk, mut copied, mut in_earlier_chunks) = (Vec::new(), Vec::new(), 0);
    for (i, (key, version)) in moment.versions.iter().enumerate() {
        copied.extend(copy(key, version, &mut chunk)?);
        if chunk.len() >= CHUNK || i + 1 == moment.versions.len() {
            if stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let at = writer.push(|buffer| buffer.extend_from_slice(&chunk))?;
            for value in &mut copied[in_earlier_chunks..] {
                value.offset += at;
            }
            in_earlier_chunks = copied.len();
            chunk.clear();
        }
    }
    let snapshot = writer.finish()?;
    let place = |value: Copied| Moved {
        place: value.from.moved(&snapshot.file, value.offset),
        key: value.key,
        modified: value.modified,
    };
    let moved = copied.into_iter().map(place).collect();
    Ok(Some(Compacted { snapshot, moved }))
}

/// Appends a version to `chunk`; none when it is a deletion, which has no value to place.
fn copy(key: &Arc<str>, version: &Version<Place>, chunk: &mut Vec<u8>) -> Result<Option<Copied>, LogError> {
    let value = version.value.as_ref().map(Place::read).transpose()?;
    let offset = codec::entry(key, version, value.as_deref(), chunk) as u64;
    Ok(version.value.clone().map(|from| Copied {
        key: key.clone(),
        modified: version.modified,
        from,
        offset,
    }))
}
