//! How bytes stand in a file of the store: frames. Pure functions over slices.
//!
//! ```text
//! header, 32 bytes:  crc32 of the 28 bytes that follow | "PF", version, kind | length | 0 | seq | epoch
//! payload:           `length` bytes
//! trailer:           zeros up to a multiple of 32, less 8 | crc32 of payload and zeros | END
//! ```
//! Numbers are little endian. A frame starts at a multiple of 32, so a header never straddles two sectors of
//! 512 bytes: after a crash it is there whole or not at all. No byte of `END` is zero, so a frame whose end
//! never reached the disk (which held zeros before) says so.

use crc32fast::Hasher;
use std::ops::Range;

/// Frames start at multiples of this.
pub(crate) const ALIGN: usize = 32;
/// Bytes of a header.
pub(crate) const HEADER: usize = 32;
/// Bytes of a trailer, without the zeros before it.
const TRAILER: usize = 8;
/// The least a device writes whole.
const SECTOR: usize = 512;
const MAGIC: [u8; 2] = *b"PF";
const VERSION: u8 = 1;
const END: [u8; 4] = [0xa5, 0xc3, 0x96, 0xe1];
/// Longest payload: far above any group or chunk that is written, far below what a length field could claim.
pub(crate) const MAX_PAYLOAD: usize = 1 << 30;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A group of the log.
    Group = 1,
    /// Says that the group before it, of the same `seq`, was durable. Has no payload and no trailer.
    Confirm = 2,
    /// A piece of a snapshot.
    Chunk = 3,
    /// The end of a snapshot; `seq` counts its chunks.
    End = 4,
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        [Self::Group, Self::Confirm, Self::Chunk, Self::End]
            .into_iter()
            .find(|k| *k as u8 == byte)
    }
}

/// The head of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    pub(crate) len: u32,
    pub(crate) seq: u64,
    pub(crate) epoch: u64,
}

impl Header {
    /// The 32 bytes.
    pub(crate) fn encode(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[4..6].copy_from_slice(&MAGIC);
        bytes[6] = VERSION;
        bytes[7] = self.kind as u8;
        bytes[8..12].copy_from_slice(&self.len.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.seq.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.epoch.to_le_bytes());
        let crc = crc32fast::hash(&bytes[4..]);
        bytes[..4].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads a header back, if every bit of it stands.
    pub(crate) fn decode(bytes: &[u8; HEADER]) -> Option<Self> {
        let whole = u32_at(bytes, 0) == crc32fast::hash(&bytes[4..])
            && bytes[4..6] == MAGIC
            && bytes[6] == VERSION
            && u32_at(bytes, 8) as usize <= MAX_PAYLOAD;
        whole.then_some(())?;
        Some(Self {
            kind: Kind::of(bytes[7])?,
            len: u32_at(bytes, 8),
            seq: u64_at(bytes, 16),
            epoch: u64_at(bytes, 24),
        })
    }

    /// Bytes of the whole frame.
    pub(crate) fn frame_len(self) -> usize {
        match self.kind {
            Kind::Confirm => HEADER,
            Kind::Group | Kind::Chunk | Kind::End => frame_len(self.len as usize),
        }
    }
}

/// Bytes of a frame with `payload` bytes in it.
pub(crate) fn frame_len(payload: usize) -> usize {
    (HEADER + payload + TRAILER).next_multiple_of(ALIGN)
}

/// Makes `buffer` the frame whose payload `fill` appends to it.
///
/// # Errors
/// The number of bytes `fill` wrote when they are more than a frame may hold.
pub(crate) fn build(
    buffer: &mut Vec<u8>,
    kind: Kind,
    seq: u64,
    epoch: u64,
    fill: impl FnOnce(&mut Vec<u8>),
) -> Result<(), usize> {
    buffer.clear();
    buffer.resize(HEADER, 0);
    fill(buffer);
    let payload = buffer.len() - HEADER;
    let len = u32::try_from(payload)
        .ok()
        .filter(|_| payload <= MAX_PAYLOAD)
        .ok_or(payload)?;
    let header = Header {
        kind,
        len,
        seq,
        epoch,
    };
    buffer[..HEADER].copy_from_slice(&header.encode());
    buffer.resize(frame_len(payload) - TRAILER, 0);
    let crc = crc32fast::hash(&buffer[HEADER..]);
    buffer.extend_from_slice(&crc.to_le_bytes());
    buffer.extend_from_slice(&END);
    Ok(())
}

/// What stands at one place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// A whole frame; `payload` are its bytes, the next one starts at `next`.
    Frame {
        header: Header,
        payload: Range<usize>,
        next: usize,
    },
    /// Zeros, or the end of the bytes: nothing was written here.
    Blank,
    /// A good header, but not the payload it promises.
    BadBody { header: Header, next: usize },
    /// Neither zeros nor a header.
    BadHeader,
}

/// Looks at the frame that starts at `offset`.
pub(crate) fn look(bytes: &[u8], offset: usize) -> Seen {
    let Some(head) = bytes.get(offset..).and_then(|rest| rest.first_chunk::<HEADER>()) else {
        return Seen::Blank;
    };
    if head.iter().all(|b| *b == 0) {
        return Seen::Blank;
    }
    let Some(header) = Header::decode(head) else {
        return Seen::BadHeader;
    };
    let start = offset + HEADER;
    let next = offset + header.frame_len();
    if bytes.len() < next {
        return Seen::BadBody { header, next };
    }
    if header.kind == Kind::Confirm || body_holds(&bytes[start..next]) {
        let payload = start..start + header.len as usize;
        return Seen::Frame {
            header,
            payload,
            next,
        };
    }
    Seen::BadBody { header, next }
}

/// Whether what follows a header (payload, zeros, trailer) is as it was written.
pub(crate) fn body_holds(body: &[u8]) -> bool {
    let Some(crc_at) = body.len().checked_sub(TRAILER) else {
        return false;
    };
    let mut hasher = Hasher::new();
    hasher.update(&body[..crc_at]);
    body[crc_at + 4..] == END && u32_at(body, crc_at) == hasher.finalize()
}

/// Whether a frame that does not hold can be explained by a write that was cut short. The device held zeros
/// before, and writes whole sectors in any order, so a cut leaves a whole sector of zeros, or (where the cut
/// falls into the last sector) no end. A frame with neither was written whole and has changed since.
pub(crate) fn may_be_torn(bytes: &[u8], frame: Range<usize>) -> bool {
    let end = frame.end.min(bytes.len());
    if bytes.len() < frame.end || bytes[end - 1] == 0 {
        return true;
    }
    // The sector with the header was written: the header holds.
    let mut from = (frame.start / SECTOR + 1) * SECTOR;
    while from < end {
        let to = (from + SECTOR).min(end);
        if is_zero(&bytes[from..to]) {
            return true;
        }
        from = to;
    }
    false
}

/// The place of the first whole header of a group numbered `least` or above at or after `offset`.
pub(crate) fn find_group(bytes: &[u8], offset: usize, least: u64) -> Option<(usize, Header)> {
    let mut at = offset.next_multiple_of(ALIGN);
    while let Some(head) = bytes.get(at..).and_then(|rest| rest.first_chunk::<HEADER>()) {
        if let Some(header) = Header::decode(head)
            && header.kind == Kind::Group
            && header.seq >= least
        {
            return Some((at, header));
        }
        at += ALIGN;
    }
    None
}

/// Whether all bytes are zero.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|b| *b == 0)
}

/// The number at `offset`, which the caller knows to be inside.
pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    let mut le = [0; 4];
    le.copy_from_slice(&bytes[offset..offset + 4]);
    u32::from_le_bytes(le)
}

/// The number at `offset`, which the caller knows to be inside.
pub(crate) fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    let mut le = [0; 8];
    le.copy_from_slice(&bytes[offset..offset + 8]);
    u64::from_le_bytes(le)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        build(&mut bytes, Kind::Group, 7, 3, |b| b.extend_from_slice(payload)).unwrap();
        bytes
    }

    #[test]
    fn a_frame_reads_back_whatever_its_length() {
        for len in 0..200 {
            let payload = vec![0x5a; len];
            let bytes = frame(&payload);
            assert_eq!(bytes.len() % ALIGN, 0);
            let Seen::Frame {
                header,
                payload: at,
                next,
            } = look(&bytes, 0)
            else {
                panic!("length {len} does not read back");
            };
            assert_eq!((header.seq, header.epoch, next), (7, 3, bytes.len()));
            assert_eq!(&bytes[at], &payload[..]);
        }
    }

    #[test]
    fn no_flipped_bit_goes_unseen_or_passes_for_a_cut() {
        let good = frame(&[0xee; 1500]);
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            match look(&bad, 0) {
                Seen::BadHeader => assert!(bit / 8 < HEADER),
                Seen::BadBody { next, .. } => assert!(!may_be_torn(&bad, 0..next), "bit {bit}"),
                Seen::Frame { .. } | Seen::Blank => panic!("bit {bit} went unseen"),
            }
        }
    }

    #[test]
    fn a_cut_at_any_byte_after_the_header_may_be_torn() {
        let good = frame(&[0xee; 1500]);
        for cut in HEADER..good.len() {
            let mut torn = good.clone();
            torn[cut..].fill(0);
            let Seen::BadBody { next, .. } = look(&torn, 0) else {
                panic!("cut at {cut} reads as whole");
            };
            assert!(may_be_torn(&torn, 0..next), "cut at {cut}");
        }
    }

    #[test]
    fn a_sector_that_never_arrived_may_be_torn_though_the_end_did() {
        let mut torn = frame(&[0xee; 1500]);
        torn[512..1024].fill(0);
        let Seen::BadBody { next, .. } = look(&torn, 0) else {
            panic!("reads as whole");
        };
        assert!(may_be_torn(&torn, 0..next));
    }
}
