//! RecordIO: each record is its length in decimal, a line feed, and its bytes.

use bytes::{Buf, Bytes, BytesMut};

/// The longest record: clients send a few kilobytes at a time.
const MOST: usize = 4 << 20;
/// The digits of that.
const DIGITS: usize = 7;

/// One record.
pub(super) fn encode(record: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(record.len() + DIGITS + 1);
    out.extend_from_slice(record.len().to_string().as_bytes());
    out.push(b'\n');
    out.extend_from_slice(record);
    Bytes::from(out)
}

/// What comes is no RecordIO.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadRecord {
    /// Instead of a length there is something else.
    #[error("a record begins with its length in decimal and a line feed")]
    Length,
    /// The record is longer than any that is taken.
    #[error("a record has {0} bytes, at most {MOST} are taken")]
    TooLong(usize),
}

/// Takes records out of pieces of any size.
#[derive(Debug, Default)]
pub(super) struct Decoder(BytesMut);

impl Decoder {
    /// More has come.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The next whole record, if it is there.
    ///
    /// # Errors
    /// See [`BadRecord`]; nothing that follows can be read.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, BadRecord> {
        let head = &self.0[..self.0.len().min(DIGITS + 1)];
        let Some(end) = head.iter().position(|b| *b == b'\n') else {
            let digits = head.len() <= DIGITS && head.iter().all(u8::is_ascii_digit);
            return if digits { Ok(None) } else { Err(BadRecord::Length) };
        };
        let length = std::str::from_utf8(&head[..end])
            .ok()
            .and_then(|t| t.parse::<usize>().ok());
        let length = length.ok_or(BadRecord::Length)?;
        if length > MOST {
            return Err(BadRecord::TooLong(length));
        }
        if self.0.len() < end + 1 + length {
            return Ok(None);
        }
        self.0.advance(end + 1);
        Ok(Some(self.0.split_to(length).freeze()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_back_however_they_are_cut() {
        let records = ["hello", "", "a\nb", "1234567890"];
        let all: Vec<u8> = records.iter().flat_map(|r| encode(r.as_bytes())).collect();
        for size in 1..=all.len() {
            let (mut decoder, mut read) = (Decoder::default(), Vec::new());
            for piece in all.chunks(size) {
                decoder.push(piece);
                while let Some(record) = decoder.next().unwrap() {
                    read.push(String::from_utf8(record.to_vec()).unwrap());
                }
            }
            assert_eq!(read, records, "cut every {size} bytes");
        }
    }

    #[test]
    fn what_is_no_record_is_refused_before_it_is_kept() {
        for (bytes, why) in [
            ("x5\nhello", BadRecord::Length),
            ("\nhello", BadRecord::Length),
            ("12345678", BadRecord::Length),
            ("9999999\n", BadRecord::TooLong(9_999_999)),
        ] {
            let mut decoder = Decoder::default();
            decoder.push(bytes.as_bytes());
            assert_eq!(decoder.next(), Err(why), "{bytes}");
        }
    }
}
