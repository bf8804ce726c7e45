//! The framing of an exec session on a WebSocket. The client's first message is text, an `ExecStart`; all others,
//! both ways, are binary: one byte that names the channel, then the channel's bytes.
//!
//! | channel | way | bytes |
//! | --- | --- | --- |
//! | 0 | to the container | standard input |
//! | 1 | from it | standard output, or the terminal |
//! | 2 | from it | standard error |
//! | 3 | to it | size of the terminal: rows, columns; 16 bit each, big endian |
//! | 4 | to it | none: no more input will come |
//! | 5 | from it | exit code, 32 bit with sign, big endian; the last message |
//! | 6 | from it | why it failed, as the JSON of every error; the last message |

use crate::v1::error::ErrorBody;
use crate::v1::stream::WindowSize;
use bytes::{BufMut, Bytes, BytesMut};

/// One message of an exec session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Bytes for standard input.
    Stdin(Bytes),
    /// Bytes of standard output, or of the terminal.
    Stdout(Bytes),
    /// Bytes of standard error.
    Stderr(Bytes),
    /// The terminal has another size.
    Resize(WindowSize),
    /// No more input will come.
    Eof,
    /// The process has ended.
    Exit(i32),
    /// The session failed.
    Error(ErrorBody),
}

/// A message that is none of these.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a frame of an exec session: {0}")]
pub struct BadFrame(String);

impl Frame {
    /// As the bytes of a binary message.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let json;
        let (channel, bytes): (u8, &[u8]) = match self {
            Self::Stdin(b) => (0, b),
            Self::Stdout(b) => (1, b),
            Self::Stderr(b) => (2, b),
            Self::Resize(size) => {
                let [a, b] = size.rows.to_be_bytes();
                let [c, d] = size.cols.to_be_bytes();
                return Bytes::copy_from_slice(&[3, a, b, c, d]);
            }
            Self::Eof => (4, &[]),
            Self::Exit(code) => {
                let [a, b, c, d] = code.to_be_bytes();
                return Bytes::copy_from_slice(&[5, a, b, c, d]);
            }
            Self::Error(body) => {
                json = serde_json::to_vec(body).expect("plain data with text keys always serialises");
                (6, &json)
            }
        };
        let mut out = BytesMut::with_capacity(1 + bytes.len());
        out.put_u8(channel);
        out.put_slice(bytes);
        out.freeze()
    }

    /// From the bytes of a binary message.
    ///
    /// # Errors
    /// [`BadFrame`] when the channel is unknown or its bytes have the wrong shape.
    pub fn decode(message: &Bytes) -> Result<Self, BadFrame> {
        let Some(channel) = message.first() else {
            return Err(BadFrame("empty".into()));
        };
        let bytes = message.slice(1..);
        let shape = || BadFrame(format!("{} bytes on channel {channel}", bytes.len()));
        match channel {
            0 => Ok(Self::Stdin(bytes)),
            1 => Ok(Self::Stdout(bytes)),
            2 => Ok(Self::Stderr(bytes)),
            3 => {
                let [a, b, c, d] = <[u8; 4]>::try_from(&bytes[..]).map_err(|_| shape())?;
                Ok(Self::Resize(WindowSize {
                    rows: u16::from_be_bytes([a, b]),
                    cols: u16::from_be_bytes([c, d]),
                }))
            }
            4 if bytes.is_empty() => Ok(Self::Eof),
            4 => Err(shape()),
            5 => <[u8; 4]>::try_from(&bytes[..])
                .map(|code| Self::Exit(i32::from_be_bytes(code)))
                .map_err(|_| shape()),
            6 => serde_json::from_slice(&bytes)
                .map(Self::Error)
                .map_err(|e| BadFrame(e.to_string())),
            n => Err(BadFrame(format!("channel {n}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_frame_reads_back_as_it_was_written() {
        let data = Bytes::from_static(b"a\0b\xff");
        for frame in [
            Frame::Stdin(data.clone()),
            Frame::Stdout(data.clone()),
            Frame::Stderr(data),
            Frame::Resize(WindowSize { rows: 24, cols: 300 }),
            Frame::Eof,
            Frame::Exit(-1),
            Frame::Exit(137),
            Frame::Error(ErrorBody::new(plenum_model::code::NOT_FOUND, "no").at("task")),
        ] {
            assert_eq!(Frame::decode(&frame.encode()), Ok(frame));
        }
    }

    proptest! {
        #[test]
        fn no_message_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..20)) {
            let bytes = Bytes::from(bytes);
            if let Ok(frame) = Frame::decode(&bytes) {
                prop_assert_eq!(Frame::decode(&frame.encode()), Ok(frame));
            }
        }
    }
}
