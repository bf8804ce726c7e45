//! Frames: how records lie in the file.

use crate::supervisor::Record;

const HEAD: usize = 12;

/// Appends one record to `out`.
pub(super) fn put(out: &mut Vec<u8>, record: &Record) {
    let payload = serde_json::to_vec(record).expect("plain data with text keys always serialises");
    let length = u32::try_from(payload.len()).expect("records are far below 4 GiB");
    let length = length.to_le_bytes();
    out.extend_from_slice(&length);
    out.extend_from_slice(&crc32fast::hash(&length).to_le_bytes());
    out.extend_from_slice(&crc32fast::hash(&payload).to_le_bytes());
    out.extend_from_slice(&payload);
}

/// What stands at the begin of some bytes.
#[derive(Debug)]
pub(super) enum Read {
    /// A record and the bytes it takes.
    Record(Box<Record>, usize),
    /// Nothing: the end.
    End,
    /// The bytes end within a frame, or are all zero: what a crash leaves.
    Torn,
    /// Neither.
    Damaged(String),
}

/// Reads the first frame of `bytes`.
pub(super) fn read(bytes: &[u8]) -> Read {
    if bytes.is_empty() {
        return Read::End;
    }
    // A file that was extended before its data reached the disk ends in zeros.
    if bytes.iter().all(|b| *b == 0) {
        return Read::Torn;
    }
    let Some((head, rest)) = bytes.split_at_checked(HEAD) else {
        return Read::Torn;
    };
    let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    if crc32fast::hash(&head[..4]) != word(4) {
        // Without a length nothing behind can be found again: only zeros may follow what a crash tore.
        return if rest.iter().all(|b| *b == 0) {
            Read::Torn
        } else {
            Read::Damaged("the checksum of a length does not match".to_owned())
        };
    }
    let length = word(0) as usize;
    let Some(payload) = rest.get(..length) else {
        return Read::Torn;
    };
    if crc32fast::hash(payload) != word(8) {
        // Only the last frame can be half on disk.
        return if rest.len() == length || rest[length..].iter().all(|b| *b == 0) {
            Read::Torn
        } else {
            Read::Damaged("the checksum does not match".to_owned())
        };
    }
    match serde_json::from_slice(payload) {
        Ok(record) => Read::Record(Box::new(record), HEAD + length),
        Err(e) => Read::Damaged(format!("the record cannot be read: {e}")),
    }
}
