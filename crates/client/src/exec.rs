//! An exec session: frames both ways over one WebSocket.

use crate::error::ClientError;
use crate::frame::Frame;
use crate::v1::error::ErrorBody;
use crate::v1::stream::ExecStart;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Towards the process.
pub struct ExecInput {
    address: String,
    sink: SplitSink<Socket, Message>,
}

/// From the process.
pub struct ExecOutput {
    address: String,
    stream: SplitStream<Socket>,
}

impl ExecInput {
    /// Sends one frame.
    ///
    /// # Errors
    /// `Unreachable` when the session is over.
    pub async fn send(&mut self, frame: Frame) -> Result<(), ClientError> {
        let sent = self.sink.send(Message::Binary(frame.encode())).await;
        sent.map_err(|e| broken(&self.address, &e))
    }
}

impl ExecOutput {
    /// The next frame; none: the session is over. `Exit` is the last one of a session that went well; one that
    /// failed ends with an error.
    ///
    /// Cancel safe: a frame is given or kept.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn next(&mut self) -> Option<Result<Frame, ClientError>> {
        loop {
            return match self.stream.next().await? {
                Ok(Message::Binary(bytes)) => Some(match Frame::decode(&bytes) {
                    Ok(Frame::Error(body)) => Err(ClientError::Refused { status: 500, body }),
                    Ok(frame) => Ok(frame),
                    Err(e) => Err(ClientError::Protocol {
                        address: self.address.clone(),
                        why: e.to_string(),
                    }),
                }),
                Ok(Message::Close(_)) => None,
                Ok(Message::Ping(_) | Message::Pong(_) | Message::Text(_) | Message::Frame(_)) => continue,
                Err(e) => Some(Err(broken(&self.address, &e))),
            };
        }
    }
}

/// Opens a session at a `ws://` address.
pub(crate) async fn open(url: &str, start: &ExecStart) -> Result<(ExecInput, ExecOutput), ClientError> {
    let (socket, _) = tokio_tungstenite::connect_async(url)
        .await
        .map_err(|e| refused(url, e))?;
    let (mut sink, stream) = socket.split();
    let text = serde_json::to_string(start).expect("plain data with text keys always serialises");
    sink.send(Message::text(text))
        .await
        .map_err(|e| broken(url, &e))?;
    let address = url.to_owned();
    Ok((
        ExecInput {
            address: address.clone(),
            sink,
        },
        ExecOutput { address, stream },
    ))
}

fn broken(address: &str, e: &tungstenite::Error) -> ClientError {
    ClientError::Unreachable {
        address: address.to_owned(),
        why: e.to_string(),
    }
}

fn refused(address: &str, e: tungstenite::Error) -> ClientError {
    match e {
        tungstenite::Error::Http(response) => {
            let status = response.status().as_u16();
            let body = response.body().as_deref().unwrap_or_default();
            match serde_json::from_slice::<ErrorBody>(body) {
                Ok(body) => ClientError::Refused { status, body },
                Err(_) => ClientError::Protocol {
                    address: address.to_owned(),
                    why: format!("status {status}"),
                },
            }
        }
        other => broken(address, &other),
    }
}
