//! What is spoken on a shim's control socket. A connection begins with one [`Request`] as a line of JSON
//! and gets one [`Reply`] as a line of JSON. After a granted `Attach` both sides send [`Frame`]s; every
//! other connection ends with the reply.

use crate::config::WindowSize;
use crate::state::{Exit, StartFailure};
use serde::{Deserialize, Serialize};

/// The longest request line, in bytes; a longer one is refused.
pub const MAX_REQUEST: usize = 4096;
/// The largest payload of a frame, in bytes; a larger one ends the connection.
pub const MAX_PAYLOAD: usize = 64 << 10;
const HEADER: usize = 5;

/// What can be asked of a shim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Start what was held. Starting twice is the same as once.
    Start,
    /// Send a signal to the command.
    Signal {
        /// Its number.
        signal: i32,
    },
    /// End every process of the container at once. What was held is cancelled.
    Kill,
    /// The terminal has a new size.
    Resize(WindowSize),
    /// Answer when the container has ended.
    Wait,
    /// Join its input and output.
    Attach(Attach),
}

/// Which streams to join.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attach {
    /// Send input.
    pub stdin: bool,
    /// Receive standard output (with a terminal: all output).
    pub stdout: bool,
    /// Receive standard error.
    pub stderr: bool,
}

/// The answer of a shim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// It is done (for `Attach`: frames follow).
    Done,
    /// To `Wait`: how it ended.
    Ended(Exit),
    /// To `Start`: it could not be started; the container has ended.
    NotStarted(StartFailure),
    /// It cannot be done.
    Refused(String),
}

/// One message of an attached connection: a kind byte, the length as four bytes big endian, the payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// 0, to the shim: bytes for standard input.
    Stdin(Vec<u8>),
    /// 1, from the shim: bytes of standard output.
    Stdout(Vec<u8>),
    /// 2, from the shim: bytes of standard error.
    Stderr(Vec<u8>),
    /// 3, to the shim: no more input.
    CloseStdin,
    /// 4, to the shim: the terminal has a new size (two big endian u16: columns, rows).
    Resize(WindowSize),
    /// 5, from the shim, the last one: how it ended, as JSON.
    Ended(Exit),
}

impl Frame {
    /// Appends the frame to `out`. Payloads longer than [`MAX_PAYLOAD`] become several frames.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Stdin(bytes) => encode_bytes(0, bytes, out),
            Self::Stdout(bytes) => encode_bytes(1, bytes, out),
            Self::Stderr(bytes) => encode_bytes(2, bytes, out),
            Self::CloseStdin => encode_part(3, &[], out),
            Self::Resize(size) => {
                let [a, b] = size.cols.to_be_bytes();
                let [c, d] = size.rows.to_be_bytes();
                encode_part(4, &[a, b, c, d], out);
            }
            Self::Ended(exit) => encode_part(5, &serde_json::to_vec(exit).unwrap_or_default(), out),
        }
    }

    /// Takes one frame from the front of `input`; `Ok(None)` until it is whole.
    ///
    /// # Errors
    /// What is wrong with it; the connection is of no use any more.
    pub fn decode(input: &mut Vec<u8>) -> Result<Option<Self>, &'static str> {
        let Some((&kind, rest)) = input.split_first() else {
            return Ok(None);
        };
        let Some((length, rest)) = rest.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| "frame too long")?;
        if length > MAX_PAYLOAD {
            return Err("frame too long");
        }
        let Some(payload) = rest.get(..length) else {
            return Ok(None);
        };
        let frame = match kind {
            0 => Self::Stdin(payload.to_vec()),
            1 => Self::Stdout(payload.to_vec()),
            2 => Self::Stderr(payload.to_vec()),
            3 => Self::CloseStdin,
            4 => match *payload {
                [a, b, c, d] => {
                    let (cols, rows) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
                    Self::Resize(WindowSize { cols, rows })
                }
                _ => return Err("malformed size"),
            },
            5 => Self::Ended(serde_json::from_slice(payload).map_err(|_| "malformed exit")?),
            _ => return Err("unknown frame"),
        };
        input.drain(..HEADER + length);
        Ok(Some(frame))
    }
}

fn encode_bytes(kind: u8, bytes: &[u8], out: &mut Vec<u8>) {
    for part in bytes.chunks(MAX_PAYLOAD) {
        encode_part(kind, part, out);
    }
}

/// Callers keep `part` within [`MAX_PAYLOAD`], so the length fits.
fn encode_part(kind: u8, part: &[u8], out: &mut Vec<u8>) {
    out.push(kind);
    out.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(part);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Outcome;

    #[test]
    fn frames_read_back_whole_whatever_the_cuts() {
        let exit = Exit {
            outcome: Outcome::Code { code: 3 },
            started_at_ms: Some(1),
            finished_at_ms: 2,
            dropped_log_bytes: 0,
        };
        let frames = vec![
            Frame::Stdin(b"abc".to_vec()),
            Frame::Stdout(vec![0; MAX_PAYLOAD]),
            Frame::Stderr(b"x".to_vec()),
            Frame::CloseStdin,
            Frame::Resize(WindowSize { cols: 300, rows: 2 }),
            Frame::Ended(exit),
        ];
        let mut bytes = Vec::new();
        frames.iter().for_each(|frame| frame.encode(&mut bytes));
        for cut in [1, 2, 7, 1000, bytes.len()] {
            let (mut input, mut seen) = (Vec::new(), Vec::new());
            for part in bytes.chunks(cut) {
                input.extend_from_slice(part);
                while let Some(frame) = Frame::decode(&mut input).unwrap() {
                    seen.push(frame);
                }
            }
            assert_eq!(seen, frames);
        }
    }

    #[test]
    fn a_frame_that_lies_about_its_length_is_refused() {
        assert!(Frame::decode(&mut vec![1, 0xff, 0xff, 0xff, 0xff]).is_err());
        assert!(Frame::decode(&mut vec![9, 0, 0, 0, 0]).is_err());
        assert!(Frame::decode(&mut vec![4, 0, 0, 0, 1, 7]).is_err());
    }
}
