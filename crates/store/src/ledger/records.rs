//! How the records of a group stand in its payload: each as its length (u32, little endian) and its bytes.

use crate::fs::damaged;
use plenum_contract::ledger_log::LogError;
use std::path::Path;

/// Appends `records` to `buffer`.
pub(super) fn encode(records: &[Vec<u8>], buffer: &mut Vec<u8>) {
    for record in records {
        // A group longer than a frame may be is refused by the journal, so no cut length is ever stored.
        let len = u32::try_from(record.len()).unwrap_or(u32::MAX);
        buffer.extend_from_slice(&len.to_le_bytes());
        buffer.extend_from_slice(record);
    }
}

/// Calls `each` with every record of `payload`, which stands at `at` of the file `path`.
///
/// # Errors
/// `Damaged` where a length does not fit, which the checksum should have caught: then it was written so.
pub(super) fn decode<'p>(
    path: &Path,
    at: u64,
    payload: &'p [u8],
    mut each: impl FnMut(&'p [u8]),
) -> Result<(), LogError> {
    let mut rest = payload;
    while !rest.is_empty() {
        let record = rest.split_first_chunk::<4>().and_then(|(len, tail)| {
            let len = u32::from_le_bytes(*len) as usize;
            tail.split_at_checked(len)
        });
        let Some((record, tail)) = record else {
            let offset = at + (payload.len() - rest.len()) as u64;
            return Err(damaged(path, offset, "a record reaches beyond its group"));
        };
        each(record);
        rest = tail;
    }
    Ok(())
}

/// How many records a group holds.
pub(crate) fn count(path: &Path, at: u64, payload: &[u8]) -> Result<u64, LogError> {
    let mut records = 0;
    decode(path, at, payload, |_| records += 1)?;
    Ok(records)
}
