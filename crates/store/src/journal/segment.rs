//! One segment of the log: a file of fixed size, zeros where nothing was written yet, with a head of one
//! sector and frames after it. Reading one is pure and says how it ends.
//!
//! **The rule for bad bytes.** A group counts as *confirmed*, that is: its writer was told that it is durable,
//! when the header of the next group, a `Confirm` for it, or a later segment follows. The writer puts a
//! `Confirm` behind each group right after its sync (not synced itself: it survives the death of the process
//! at once, and a loss of power from the next sync on); the next group overwrites it. Then:
//!
//! 1. A header that is neither zeros nor whole is damage: headers never straddle a sector.
//! 2. A confirmed group whose body does not hold is damage.
//! 3. An unconfirmed group whose body does not hold is damage too, unless a cut write can have left it
//!    (`frame::may_be_torn`); then it was never acknowledged and is dropped.
//! 4. Zeros end the log, unless the header of an expected or later group follows somewhere: that is damage.
//! 5. A group whose number is not the expected one is damage.
//!
//! What this cannot see: an acknowledged last group that a device lost again, a whole sector of it or all of
//! it, in the same loss of power that kept its `Confirm` from the disk. Such a device lied about its sync.

use super::frame::{self, Header, Kind, Seen};
use crate::fs::damaged;
use plenum_contract::ledger_log::LogError;
use std::ops::Range;
use std::path::Path;

/// Bytes of the head of a segment or of a snapshot: one sector, so it is written whole or not at all.
pub(crate) const HEAD: usize = 512;
const MAGIC: &[u8; 8] = b"PLENUMSG";
/// The newest layout of a segment.
pub(crate) const VERSION: u32 = 1;

/// The head of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// Which segment of its log, counted from 0 and never used again.
    pub(crate) index: u64,
    /// Bytes of the whole file.
    pub(crate) size: u64,
    /// The number of the first group in it.
    pub(crate) first_seq: u64,
}

impl Head {
    /// The sector.
    pub(crate) fn encode(self) -> [u8; HEAD] {
        seal_head(MAGIC, VERSION, [self.index, self.size, self.first_seq])
    }

    /// Reads the head that `bytes` start with, of a file of `have` bytes.
    pub(crate) fn decode(path: &Path, bytes: &[u8], have: u64) -> Result<Self, LogError> {
        let [index, size, first_seq] = open_head(path, bytes, MAGIC, VERSION)?;
        if have != size {
            return Err(damaged(
                path,
                size.min(have),
                format!("the file has {have} bytes, its head says {size}"),
            ));
        }
        Ok(Self {
            index,
            size,
            first_seq,
        })
    }
}

/// A head of one sector: magic, version, crc32 of all else, three numbers, zeros.
pub(crate) fn seal_head(magic: &[u8; 8], version: u32, numbers: [u64; 3]) -> [u8; HEAD] {
    let mut bytes = [0; HEAD];
    bytes[..8].copy_from_slice(magic);
    bytes[8..12].copy_from_slice(&version.to_le_bytes());
    for (i, number) in numbers.into_iter().enumerate() {
        bytes[16 + 8 * i..24 + 8 * i].copy_from_slice(&number.to_le_bytes());
    }
    let crc = head_crc(&bytes);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// The checksum of a head: of all of it but itself.
fn head_crc(head: &[u8; HEAD]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&head[..12]);
    hasher.update(&head[16..]);
    hasher.finalize()
}

/// Reads a head of one sector back.
pub(crate) fn open_head(
    path: &Path,
    bytes: &[u8],
    magic: &[u8; 8],
    version: u32,
) -> Result<[u64; 3], LogError> {
    let Some(head) = bytes.first_chunk::<HEAD>() else {
        return Err(damaged(path, bytes.len() as u64, "the file ends within its head"));
    };
    if &head[..8] != magic {
        return Err(damaged(path, 0, "the file does not start with its kind"));
    }
    if frame::u32_at(head, 12) != head_crc(head) {
        return Err(damaged(path, 0, "the checksum of the head does not hold"));
    }
    let found = frame::u32_at(head, 8);
    if found > version {
        return Err(LogError::Schema {
            path: path.to_owned(),
            found,
            known: version,
        });
    }
    if found != version {
        return Err(damaged(path, 8, "no such version of the head exists"));
    }
    Ok([16, 24, 32].map(|at| frame::u64_at(head, at)))
}

/// A whole group within a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) seq: u64,
    pub(crate) epoch: u64,
    /// Where its payload stands in the file.
    pub(crate) payload: Range<usize>,
}

/// How the groups of a segment end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Nothing but zeros (or a `Confirm`) follows.
    Clean,
    /// What follows was cut short while it was written, and never acknowledged.
    Torn,
    /// What follows was acknowledged, as far as anyone can tell, and does not read back.
    Damaged { offset: usize, what: String },
}

/// A segment, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scan {
    pub(crate) groups: Vec<Group>,
    /// Where the next group goes: behind the last whole one.
    pub(crate) end: usize,
    /// The number of the next group.
    pub(crate) next_seq: u64,
    pub(crate) ending: Ending,
}

/// Reads the groups of a segment that starts with number `first_seq`, from `start` on.
pub(crate) fn scan(bytes: &[u8], start: usize, first_seq: u64) -> Scan {
    let mut groups = Vec::new();
    let (mut end, mut expect) = (start, first_seq);
    let ending = loop {
        match frame::look(bytes, end) {
            Seen::Frame {
                header,
                payload,
                next,
            } if header.kind == Kind::Group && header.seq == expect => {
                groups.push(Group {
                    seq: expect,
                    epoch: header.epoch,
                    payload,
                });
                (end, expect) = (next, expect + 1);
            }
            Seen::Frame { header, next, .. }
                if header.kind == Kind::Confirm && header.seq.checked_add(1) == Some(expect) =>
            {
                break after_end(bytes, end, next, expect);
            }
            Seen::Frame { header, .. } => {
                break Ending::Damaged {
                    offset: end,
                    what: format!(
                        "{:?} {} stands where group {expect} belongs",
                        header.kind, header.seq
                    ),
                };
            }
            Seen::Blank => break after_end(bytes, end, end, expect),
            Seen::BadHeader => {
                break Ending::Damaged {
                    offset: end,
                    what: format!("the header of group {expect} does not hold"),
                };
            }
            Seen::BadBody { header, next } => break bad_body(bytes, end..next, header, expect),
        }
    };
    Scan {
        groups,
        end,
        next_seq: expect,
        ending,
    }
}

/// What follows the end of the log at `end`, looked at from `rest` on.
fn after_end(bytes: &[u8], end: usize, rest: usize, expect: u64) -> Ending {
    match frame::find_group(bytes, rest, expect) {
        Some((at, header)) => Ending::Damaged {
            offset: end,
            what: format!(
                "group {expect} is not here, but group {} follows at byte {at}",
                header.seq
            ),
        },
        None if frame::is_zero(bytes.get(rest..).unwrap_or_default()) => Ending::Clean,
        None => Ending::Torn,
    }
}

/// What to say of a good header whose body does not hold.
fn bad_body(bytes: &[u8], frame: Range<usize>, header: Header, expect: u64) -> Ending {
    let confirmed = match frame::look(bytes, frame.end) {
        Seen::Frame { header: next, .. } | Seen::BadBody { header: next, .. } => match next.kind {
            Kind::Confirm => next.seq == header.seq,
            Kind::Group => next.seq > header.seq,
            Kind::Chunk | Kind::End => false,
        },
        Seen::Blank | Seen::BadHeader => frame::find_group(bytes, frame.end, expect + 1).is_some(),
    };
    let offset = frame.start;
    if header.kind != Kind::Group || header.seq != expect {
        let what = format!(
            "{:?} {} stands where group {expect} belongs",
            header.kind, header.seq
        );
        return Ending::Damaged { offset, what };
    }
    if !confirmed && frame::may_be_torn(bytes, frame) {
        return Ending::Torn;
    }
    Ending::Damaged {
        offset,
        what: format!(
            "the checksum of group {expect} ({} bytes) does not hold",
            header.len
        ),
    }
}
