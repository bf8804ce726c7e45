//! WebSockets: messages of numbered channels, and a byte stream inside messages.

use super::FAREWELL;
use bytes::Bytes;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

/// Bytes of one message.
const PIECE: usize = 32 << 10;
/// Room between a stream in messages and its reader.
const BUFFER: usize = 128 << 10;

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// The sending half.
pub struct Sender(SplitSink<Socket, Message>);

/// The receiving half.
pub struct Receiver(SplitStream<Socket>);

/// A connection that was taken over, as a WebSocket.
pub async fn open(io: TokioIo<Upgraded>) -> (Sender, Receiver) {
    let socket = WebSocketStream::from_raw_socket(io, Role::Server, None).await;
    let (sender, receiver) = socket.split();
    (Sender(sender), Receiver(receiver))
}

/// The peer is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

impl Sender {
    /// Sends bytes on a channel, in pieces; an empty piece if there are none.
    ///
    /// # Errors
    /// `Gone`.
    pub async fn send(&mut self, channel: u8, mut bytes: Bytes) -> Result<(), Gone> {
        loop {
            let piece = bytes.split_to(bytes.len().min(PIECE));
            let mut message = Vec::with_capacity(piece.len() + 1);
            message.push(channel);
            message.extend_from_slice(&piece);
            self.0
                .send(Message::Binary(message.into()))
                .await
                .map_err(|_| Gone)?;
            if bytes.is_empty() {
                return Ok(());
            }
        }
    }

    /// Says goodbye, and waits for the peer to; not for ever. The receiver must be read meanwhile.
    pub async fn close(&mut self) {
        // a peer that is gone needs no farewell
        let normal = CloseFrame {
            code: CloseCode::Normal,
            reason: Utf8Bytes::default(),
        };
        let _ = self.0.send(Message::Close(Some(normal))).await;
    }
}

impl Receiver {
    /// The next message: its channel and bytes. None: the peer is gone or says goodbye.
    pub async fn next(&mut self) -> Option<(u8, Bytes)> {
        loop {
            match self.0.next().await?.ok()? {
                Message::Binary(bytes) if !bytes.is_empty() => return Some((bytes[0], bytes.slice(1..))),
                Message::Text(text) => {
                    let bytes = Bytes::copy_from_slice(text.as_bytes());
                    if let Some(channel) = bytes.first() {
                        return Some((*channel, bytes.slice(1..)));
                    }
                }
                Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
                Message::Close(_) => return None,
            }
        }
    }

    /// Reads on until the peer hangs up; not for ever.
    pub async fn farewell(&mut self) {
        let hung_up = async { while self.next().await.is_some() {} };
        let _ = tokio::time::timeout(FAREWELL, hung_up).await;
    }
}

/// A byte stream that is carried inside messages: what is returned reads and writes it. The future carries; it
/// ends when both sides have hung up.
pub async fn tunnel(io: TokioIo<Upgraded>) -> (DuplexStream, impl Future<Output = ()> + Send) {
    let (ours, theirs) = tokio::io::duplex(BUFFER);
    let (mut sender, receiver) = open(io).await;
    let (mut from_us, mut to_us) = tokio::io::split(theirs);
    let carry = async move {
        let mut messages = receiver.0;
        let inbound = async {
            while let Some(Ok(message)) = messages.next().await {
                match message {
                    Message::Binary(bytes) => {
                        if to_us.write_all(&bytes).await.is_err() {
                            break;
                        }
                    }
                    Message::Close(_) => break,
                    Message::Text(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
                }
            }
            // whoever reads it learns that nothing more comes
            let _ = to_us.shutdown().await;
        };
        let outbound = async {
            let mut buffer = vec![0; PIECE];
            loop {
                match from_us.read(&mut buffer).await {
                    Ok(0) | Err(_) => break,
                    Ok(n) => {
                        let message = Message::Binary(Bytes::copy_from_slice(&buffer[..n]));
                        if sender.0.send(message).await.is_err() {
                            break;
                        }
                    }
                }
            }
            sender.close().await;
        };
        futures::future::join(inbound, outbound).await;
    };
    (ours, carry)
}
