//! Server-sent events: bytes in, the `data` of each message out. Only what the API sends: no retry, no names.

use bytes::{Buf, Bytes, BytesMut};

/// The longest message that is taken; longer ones are not ours.
const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// Cuts a byte stream into the data of its messages.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    rest: BytesMut,
    data: Vec<u8>,
}

/// A message beyond all measure.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

impl Parser {
    /// Takes bytes as they come and gives the data of each message that is now complete.
    pub(crate) fn push(&mut self, bytes: &Bytes) -> Result<Vec<Vec<u8>>, TooLong> {
        self.rest.extend_from_slice(bytes);
        let mut messages = Vec::new();
        while let Some(end) = self.rest.iter().position(|b| *b == b'\n') {
            let line = self.rest.split_to(end);
            self.rest.advance(1);
            let line = line.strip_suffix(b"\r").unwrap_or(&line);
            if line.is_empty() {
                if !self.data.is_empty() {
                    messages.push(std::mem::take(&mut self.data));
                }
            } else if let Some(value) = line.strip_prefix(b"data:") {
                if !self.data.is_empty() {
                    self.data.push(b'\n');
                }
                self.data
                    .extend_from_slice(value.strip_prefix(b" ").unwrap_or(value));
            }
        }
        if self.rest.len() + self.data.len() > MAX_MESSAGE_BYTES {
            return Err(TooLong);
        }
        Ok(messages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_the_same_however_the_bytes_are_cut() {
        let text =
            b": hello\n\nid: 7\ndata: {\"a\":1}\n\nevent: x\r\ndata: b\r\ndata: c\r\n\r\ndata: unfinished";
        for cut in 1..text.len() {
            let mut parser = Parser::default();
            let mut got = parser.push(&Bytes::copy_from_slice(&text[..cut])).unwrap();
            got.extend(parser.push(&Bytes::copy_from_slice(&text[cut..])).unwrap());
            assert_eq!(got, [b"{\"a\":1}".to_vec(), b"b\nc".to_vec()], "cut at {cut}");
        }
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let mut parser = Parser::default();
        assert_eq!(
            parser.push(&Bytes::from(vec![b'x'; MAX_MESSAGE_BYTES + 1])),
            Err(TooLong)
        );
    }
}
