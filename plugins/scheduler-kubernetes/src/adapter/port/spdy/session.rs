//! One SPDY connection from the side that was dialled: streams that the peer opens come out of [`accept`],
//! each with what comes and a way to send. One task reads and one writes; both end with the connection.
//!
//! A stream whose bytes nobody takes holds up the connection: there are no flow windows, in Kubernetes' own
//! implementation neither.

use super::frame::{Decoder, Encoder, Frame, Headers};
use bytes::{Bytes, BytesMut};
use std::collections::BTreeMap;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Pieces of one stream, and frames to be written, that may wait.
const CREDIT: usize = 32;
/// Streams that may wait to be taken.
const STREAMS: usize = 64;
/// Bytes of one data frame.
const PIECE: usize = 32 << 10;

/// A stream that the peer opened.
#[derive(Debug)]
pub struct Stream {
    /// What the peer says it is.
    pub headers: Headers,
    /// What comes; ends when the peer sends no more.
    pub input: mpsc::Receiver<Bytes>,
    /// Sends on it.
    pub output: Output,
}

impl Stream {
    /// The value of a header; names are compared without regard to case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// Sends on one stream. An error means that the connection is gone.
#[derive(Debug, Clone)]
pub struct Output {
    id: u32,
    frames: mpsc::Sender<Frame>,
}

/// The connection is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection is gone")]
pub struct Gone;

impl Output {
    /// Sends bytes, in pieces.
    ///
    /// # Errors
    /// `Gone`.
    pub async fn send(&self, mut bytes: Bytes) -> Result<(), Gone> {
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(PIECE));
            self.frame(Frame::Data {
                id: self.id,
                bytes: piece,
                fin: false,
            })
            .await?;
        }
        Ok(())
    }

    /// Says that nothing more is sent on it.
    ///
    /// # Errors
    /// `Gone`.
    pub async fn finish(&self) -> Result<(), Gone> {
        self.frame(Frame::Data {
            id: self.id,
            bytes: Bytes::new(),
            fin: true,
        })
        .await
    }

    /// Breaks the stream off.
    ///
    /// # Errors
    /// `Gone`.
    pub async fn reset(&self) -> Result<(), Gone> {
        self.frame(Frame::Reset {
            id: self.id,
            status: 5,
        })
        .await
    }

    async fn frame(&self, frame: Frame) -> Result<(), Gone> {
        self.frames.send(frame).await.map_err(|_| Gone)
    }
}

/// A connection. Dropping it ends it.
pub struct Session {
    streams: mpsc::Receiver<Stream>,
    frames: mpsc::Sender<Frame>,
    tasks: JoinSet<()>,
}

impl Session {
    /// Takes over a connection.
    #[must_use]
    pub fn new<I>(io: I) -> Self
    where
        I: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (reader, writer) = tokio::io::split(io);
        let (frames, to_write) = mpsc::channel(CREDIT);
        let (opened, streams) = mpsc::channel(STREAMS);
        let mut tasks = JoinSet::new();
        tasks.spawn(write(writer, to_write));
        tasks.spawn(read(reader, opened, frames.clone()));
        Self {
            streams,
            frames,
            tasks,
        }
    }

    /// The next stream the peer opens; none when it opens no more. Cancel-safe.
    pub async fn accept(&mut self) -> Option<Stream> {
        self.streams.recv().await
    }

    /// Says that it is over, and waits until everything is written and the peer has hung up; not for ever.
    pub async fn finish(mut self) {
        // A connection that is gone needs no farewell.
        let _ = self.frames.send(Frame::GoAway { last: 0 }).await;
        drop(self.frames);
        let hung_up = async {
            // streams that come now are not wanted
            while self.streams.recv().await.is_some() {}
            while self.tasks.join_next().await.is_some() {}
        };
        let _ = tokio::time::timeout(super::super::FAREWELL, hung_up).await;
    }
}

async fn write<W: AsyncWrite + Unpin>(mut writer: W, mut frames: mpsc::Receiver<Frame>) {
    let mut encoder = Encoder::default();
    let mut buffer = BytesMut::new();
    while let Some(frame) = frames.recv().await {
        encoder.encode(&frame, &mut buffer);
        while buffer.len() < 2 * PIECE
            && let Ok(frame) = frames.try_recv()
        {
            encoder.encode(&frame, &mut buffer);
        }
        if writer.write_all(&buffer).await.is_err() || writer.flush().await.is_err() {
            return;
        }
        buffer.clear();
    }
    // the peer may be gone already
    let _ = writer.shutdown().await;
}

async fn read<R: AsyncRead + Unpin>(
    mut reader: R,
    opened: mpsc::Sender<Stream>,
    frames: mpsc::Sender<Frame>,
) {
    let mut decoder = Decoder::default();
    let mut buffer = BytesMut::with_capacity(2 * PIECE);
    let mut inputs: BTreeMap<u32, mpsc::Sender<Bytes>> = BTreeMap::new();
    // held weakly in spirit: the session drops its own to let the writer end
    let weak = frames.downgrade();
    drop(frames);
    loop {
        loop {
            match decoder.decode(&mut buffer) {
                Ok(Some(frame)) => {
                    if !take(frame, &mut inputs, &opened, &weak).await {
                        return;
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    tracing::debug!(%error, "a stream connection is given up");
                    return;
                }
            }
        }
        match reader.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

/// Says whether the connection goes on.
async fn take(
    frame: Frame,
    inputs: &mut BTreeMap<u32, mpsc::Sender<Bytes>>,
    opened: &mpsc::Sender<Stream>,
    frames: &mpsc::WeakSender<Frame>,
) -> bool {
    match frame {
        Frame::SynStream { id, headers, fin } => {
            let Some(frames) = frames.upgrade() else {
                return true;
            };
            let reply = Frame::SynReply {
                id,
                headers: Vec::new(),
                fin: false,
            };
            if frames.send(reply).await.is_err() {
                return false;
            }
            let (tx, input) = mpsc::channel(CREDIT);
            if !fin {
                inputs.insert(id, tx);
            }
            let output = Output { id, frames };
            // whoever takes no more streams may still use those there are
            let _ = opened
                .send(Stream {
                    headers,
                    input,
                    output,
                })
                .await;
        }
        Frame::Data { id, bytes, fin } => {
            if let Some(input) = inputs.get(&id)
                && !bytes.is_empty()
                && input.send(bytes).await.is_err()
            {
                inputs.remove(&id);
            }
            if fin {
                inputs.remove(&id);
            }
        }
        Frame::Reset { id, .. } => {
            inputs.remove(&id);
        }
        Frame::Ping(id) => {
            if let Some(frames) = frames.upgrade() {
                return frames.send(Frame::Ping(id)).await.is_ok();
            }
        }
        Frame::GoAway { .. } | Frame::SynReply { .. } | Frame::Other(_) => {}
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn streams_come_with_their_bytes_and_can_answer() {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let mut session = Session::new(ours);
        let (mut reader, mut writer) = tokio::io::split(theirs);
        let mut encoder = Encoder::default();
        let mut out = BytesMut::new();
        let headers = vec![("streamtype".to_owned(), "data".to_owned())];
        encoder.encode(
            &Frame::SynStream {
                id: 1,
                headers,
                fin: false,
            },
            &mut out,
        );
        let hello = Bytes::from_static(b"hello");
        encoder.encode(
            &Frame::Data {
                id: 1,
                bytes: hello.clone(),
                fin: true,
            },
            &mut out,
        );
        encoder.encode(&Frame::Ping(9), &mut out);
        writer.write_all(&out).await.unwrap();
        let mut stream = session.accept().await.unwrap();
        assert_eq!(stream.header("StreamType"), Some("data"));
        assert_eq!(stream.input.recv().await, Some(hello));
        assert_eq!(stream.input.recv().await, None);
        stream.output.send(Bytes::from(vec![7; 3 * PIECE])).await.unwrap();
        stream.output.finish().await.unwrap();
        drop(stream);
        let ended = tokio::spawn(session.finish());
        let mut all = Vec::new();
        reader.read_to_end(&mut all).await.unwrap();
        drop((reader, writer));
        tokio::time::timeout(Duration::from_secs(5), ended)
            .await
            .unwrap()
            .unwrap();
        let (mut decoder, mut buffer) = (Decoder::default(), BytesMut::from(all.as_slice()));
        let (mut bytes, mut pinged, mut away) = (0, false, false);
        while let Some(frame) = decoder.decode(&mut buffer).unwrap() {
            match frame {
                Frame::Data { bytes: b, .. } => bytes += b.len(),
                Frame::Ping(9) => pinged = true,
                Frame::GoAway { .. } => away = true,
                _ => {}
            }
        }
        assert_eq!((bytes, pinged, away), (3 * PIECE, true, true));
    }
}
