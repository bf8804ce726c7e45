//! Frames of SPDY/3.1, to bytes and back. Only what Kubernetes' streams use: the rest is read and skipped.

use super::dictionary::dictionary;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

const VERSION: u16 = 3;
const FLAG_FIN: u8 = 1;
const HEAD: usize = 8;
/// No peer sends more at once; a longer frame is a fault.
const MAX_FRAME: usize = 16 << 20;
/// Bytes of one header block, decompressed.
const MAX_HEADERS: usize = 64 << 10;

/// Name and value, in order; names are lower case on the wire.
pub type Headers = Vec<(String, String)>;

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A stream begins.
    SynStream {
        /// Its number: odd from clients.
        id: u32,
        /// What it is.
        headers: Headers,
        /// Whether the sender will send nothing on it.
        fin: bool,
    },
    /// The stream is taken.
    SynReply {
        /// Which.
        id: u32,
        /// What is said of it.
        headers: Headers,
        /// Whether the sender will send nothing on it.
        fin: bool,
    },
    /// The stream is broken off.
    Reset {
        /// Which.
        id: u32,
        /// Why; 5 is a cancellation.
        status: u32,
    },
    /// To be sent back as it is.
    Ping(u32),
    /// No more streams.
    GoAway {
        /// The last one taken.
        last: u32,
    },
    /// Bytes of a stream.
    Data {
        /// Which.
        id: u32,
        /// The bytes.
        bytes: Bytes,
        /// Whether these are the last.
        fin: bool,
    },
    /// One that carries nothing we use (settings, windows, later headers).
    Other(u16),
}

/// Bytes that are no SPDY.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not SPDY/3.1: {0}")]
pub struct BadFrame(pub &'static str);

/// Reads frames; holds the state of the peer's compressor, so one per connection.
pub struct Decoder {
    inflate: Decompress,
    dictionary: Vec<u8>,
}

/// Writes frames; one per connection.
pub struct Encoder {
    deflate: Compress,
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            inflate: Decompress::new(true),
            dictionary: dictionary(),
        }
    }
}

impl Decoder {
    /// Takes one frame off the front, if it is whole.
    ///
    /// # Errors
    /// Bytes that are no SPDY; the connection cannot go on.
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Frame>, BadFrame> {
        if buffer.len() < HEAD {
            return Ok(None);
        }
        let length = usize::from(buffer[5]) << 16 | usize::from(buffer[6]) << 8 | usize::from(buffer[7]);
        if length > MAX_FRAME {
            return Err(BadFrame("a frame is too long"));
        }
        if buffer.len() < HEAD + length {
            return Ok(None);
        }
        let mut head = buffer.split_to(HEAD);
        let mut body = buffer.split_to(length).freeze();
        let first = head.get_u32();
        let flags = head.get_u8();
        let fin = flags & FLAG_FIN != 0;
        if first & 1 << 31 == 0 {
            return Ok(Some(Frame::Data {
                id: first,
                bytes: body,
                fin,
            }));
        }
        if (first >> 16) as u16 & 0x7fff != VERSION {
            return Err(BadFrame("another version"));
        }
        self.control(first as u16, fin, &mut body).map(Some)
    }

    fn control(&mut self, kind: u16, fin: bool, body: &mut Bytes) -> Result<Frame, BadFrame> {
        let need = match kind {
            1 => 10,
            2 | 6 => 4,
            3 | 7 => 8,
            _ => 0,
        };
        if body.len() < need {
            return Err(BadFrame("a frame is too short"));
        }
        Ok(match kind {
            1 => {
                let id = body.get_u32() & 0x7fff_ffff;
                body.advance(6); // associated stream, priority, slot
                let headers = self.headers(body)?;
                Frame::SynStream { id, headers, fin }
            }
            2 => {
                let id = body.get_u32() & 0x7fff_ffff;
                let headers = self.headers(body)?;
                Frame::SynReply { id, headers, fin }
            }
            3 => Frame::Reset {
                id: body.get_u32() & 0x7fff_ffff,
                status: body.get_u32(),
            },
            6 => Frame::Ping(body.get_u32()),
            7 => Frame::GoAway {
                last: body.get_u32() & 0x7fff_ffff,
            },
            8 => {
                if body.len() < 4 {
                    return Err(BadFrame("a frame is too short"));
                }
                body.advance(4);
                // read for the compressor's state only
                self.headers(body)?;
                Frame::Other(kind)
            }
            other => Frame::Other(other),
        })
    }

    fn headers(&mut self, block: &[u8]) -> Result<Headers, BadFrame> {
        let plain = self.inflate(block)?;
        let mut plain = plain.as_slice();
        let number = |plain: &mut &[u8]| {
            if plain.len() < 4 {
                return Err(BadFrame("a header block ends early"));
            }
            Ok(plain.get_u32() as usize)
        };
        let count = number(&mut plain)?;
        let mut headers = Vec::new();
        for _ in 0..count {
            let mut text = || {
                let length = number(&mut plain)?;
                if plain.len() < length {
                    return Err(BadFrame("a header block ends early"));
                }
                let (text, rest) = plain.split_at(length);
                plain = rest;
                Ok(String::from_utf8_lossy(text).into_owned())
            };
            let name = text()?;
            headers.push((name, text()?));
        }
        Ok(headers)
    }

    fn inflate(&mut self, block: &[u8]) -> Result<Vec<u8>, BadFrame> {
        let bad = BadFrame("a header block is not compressed as it should be");
        let start = self.inflate.total_in();
        let mut out = Vec::with_capacity(1024);
        loop {
            let taken = usize::try_from(self.inflate.total_in() - start).map_err(|_| bad.clone())?;
            let rest = block.get(taken..).unwrap_or_default();
            if out.len() == out.capacity() {
                out.reserve(1024);
            }
            let before = out.len();
            match self.inflate.decompress_vec(rest, &mut out, FlushDecompress::Sync) {
                Ok(Status::Ok | Status::BufError) => {}
                Ok(Status::StreamEnd) => return Ok(out),
                Err(e) if e.needs_dictionary().is_some() => {
                    self.inflate
                        .set_dictionary(&self.dictionary)
                        .map_err(|_| bad.clone())?;
                    continue;
                }
                Err(_) => return Err(bad),
            }
            if out.len() > MAX_HEADERS {
                return Err(BadFrame("a header block is too long"));
            }
            let taken = usize::try_from(self.inflate.total_in() - start).map_err(|_| bad.clone())?;
            if taken >= block.len() && out.len() < out.capacity() {
                return Ok(out);
            }
            if out.len() == before && taken >= block.len() {
                return Ok(out);
            }
        }
    }
}

impl Default for Encoder {
    fn default() -> Self {
        let mut deflate = Compress::new(Compression::fast(), true);
        deflate
            .set_dictionary(&dictionary())
            .expect("a stream that has not begun takes its dictionary");
        Self { deflate }
    }
}

impl Encoder {
    /// Appends a frame.
    pub fn encode(&mut self, frame: &Frame, out: &mut BytesMut) {
        match frame {
            Frame::Data { id, bytes, fin } => {
                out.put_u32(id & 0x7fff_ffff);
                put_length(out, *fin, bytes.len());
                out.put_slice(bytes);
            }
            Frame::SynStream { id, headers, fin } => {
                let block = self.block(headers);
                put_control(out, 1, *fin, 10 + block.len());
                out.put_u32(*id);
                out.put_u32(0);
                out.put_u16(0);
                out.put_slice(&block);
            }
            Frame::SynReply { id, headers, fin } => {
                let block = self.block(headers);
                put_control(out, 2, *fin, 4 + block.len());
                out.put_u32(*id);
                out.put_slice(&block);
            }
            Frame::Reset { id, status } => {
                put_control(out, 3, false, 8);
                out.put_u32(*id);
                out.put_u32(*status);
            }
            Frame::Ping(id) => {
                put_control(out, 6, false, 4);
                out.put_u32(*id);
            }
            Frame::GoAway { last } => {
                put_control(out, 7, false, 8);
                out.put_u32(*last);
                out.put_u32(0);
            }
            Frame::Other(_) => {}
        }
    }

    fn block(&mut self, headers: &Headers) -> Vec<u8> {
        let mut plain = Vec::new();
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_be_bytes();
        plain.extend(number(headers.len()));
        for (name, value) in headers {
            for text in [name, value] {
                plain.extend(number(text.len()));
                plain.extend(text.as_bytes());
            }
        }
        let mut out = Vec::with_capacity(plain.len() + 128);
        let start = self.deflate.total_in();
        loop {
            let taken = usize::try_from(self.deflate.total_in() - start).unwrap_or(plain.len());
            let rest = plain.get(taken..).unwrap_or_default();
            let done = self.deflate.compress_vec(rest, &mut out, FlushCompress::Sync);
            if done.is_err() || out.len() < out.capacity() {
                return out;
            }
            out.reserve(256);
        }
    }
}

fn put_control(out: &mut BytesMut, kind: u16, fin: bool, length: usize) {
    out.put_u16(0x8000 | VERSION);
    out.put_u16(kind);
    put_length(out, fin, length);
}

fn put_length(out: &mut BytesMut, fin: bool, length: usize) {
    // 24 bits: whoever writes data cuts it into pieces far below.
    let length = u32::try_from(length).unwrap_or(0x00ff_ffff) & 0x00ff_ffff;
    out.put_u32(u32::from(fin) << 24 | length);
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
