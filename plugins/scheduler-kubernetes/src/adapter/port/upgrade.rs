//! Taking a connection over from HTTP, for the protocol both sides know.

use super::target::Refusal;
use axum::extract::Request;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// The header in which SPDY clients name what they speak on top of it.
const STREAM_PROTOCOL: &str = "x-stream-protocol-version";

/// What is spoken on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Channels over a WebSocket, with a message that closes one.
    ChannelsV5,
    /// Channels over a WebSocket.
    ChannelsV4,
    /// Streams of SPDY.
    Spdy,
    /// Streams of SPDY inside messages of a WebSocket.
    SpdyInWebSocket,
}

/// What exec and attach can be carried by, best first: names over a WebSocket, names over SPDY.
pub const COMMAND: Offers = Offers {
    websocket: &[
        ("v5.channel.k8s.io", Protocol::ChannelsV5),
        ("v4.channel.k8s.io", Protocol::ChannelsV4),
    ],
    spdy: &["v5.channel.k8s.io", "v4.channel.k8s.io"],
};

/// What port-forward can be carried by.
pub const FORWARD: Offers = Offers {
    websocket: &[
        ("SPDY/3.1+portforward.k8s.io", Protocol::SpdyInWebSocket),
        ("v4.channel.k8s.io", Protocol::ChannelsV4),
    ],
    spdy: &["portforward.k8s.io"],
};

/// What is on offer.
#[derive(Debug, Clone, Copy)]
pub struct Offers {
    websocket: &'static [(&'static str, Protocol)],
    spdy: &'static [&'static str],
}

/// A connection that will be taken over.
pub struct Carrier {
    protocol: Protocol,
    upgrade: OnUpgrade,
}

/// A connection that was taken over.
pub struct Io {
    /// What is spoken on it.
    pub protocol: Protocol,
    /// The connection.
    pub io: TokioIo<Upgraded>,
}

impl Carrier {
    /// The connection, once the answer is out.
    ///
    /// # Errors
    /// When the peer went away instead.
    pub async fn ready(self) -> Result<Io, hyper::Error> {
        let io = TokioIo::new(self.upgrade.await?);
        Ok(Io {
            protocol: self.protocol,
            io,
        })
    }
}

/// Agrees on a protocol; the answer says so.
///
/// # Errors
/// 400 when no upgrade is asked for, 403 when nothing on offer is spoken by the peer.
pub fn take(mut request: Request, offers: Offers) -> Result<(Response<()>, Carrier), Refusal> {
    let headers = request.headers();
    let wanted = headers
        .get(header::UPGRADE)
        .and_then(|u| u.to_str().ok())
        .unwrap_or_default();
    let (answer, protocol) = if wanted.eq_ignore_ascii_case("websocket") {
        websocket(headers, offers)?
    } else if wanted.eq_ignore_ascii_case("SPDY/3.1") {
        spdy(headers, offers)?
    } else {
        let text = "unable to upgrade: missing upgrade headers in request".to_owned();
        return Err(Refusal(StatusCode::BAD_REQUEST, text));
    };
    let upgrade = hyper::upgrade::on(&mut request);
    Ok((answer, Carrier { protocol, upgrade }))
}

/// The words of a header that may come several times and hold several.
fn words(headers: &HeaderMap, name: &str) -> Vec<String> {
    let all = headers.get_all(name).iter().filter_map(|v| v.to_str().ok());
    all.flat_map(|v| v.split(','))
        .map(|w| w.trim().to_owned())
        .collect()
}

fn websocket(headers: &HeaderMap, offers: Offers) -> Result<(Response<()>, Protocol), Refusal> {
    let asked = words(headers, header::SEC_WEBSOCKET_PROTOCOL.as_str());
    let key = headers.get(header::SEC_WEBSOCKET_KEY).ok_or_else(|| {
        Refusal(
            StatusCode::BAD_REQUEST,
            "a WebSocket handshake has a Sec-WebSocket-Key".to_owned(),
        )
    })?;
    let agreed = offers
        .websocket
        .iter()
        .find(|(name, _)| asked.iter().any(|a| a == name));
    let (name, protocol) = agreed.ok_or_else(|| none(&asked))?;
    let mut answer = switching("websocket");
    let accept = derive_accept_key(key.as_bytes());
    if let Ok(accept) = HeaderValue::from_str(&accept) {
        answer.headers_mut().insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    answer
        .headers_mut()
        .insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(name));
    Ok((answer, *protocol))
}

fn spdy(headers: &HeaderMap, offers: Offers) -> Result<(Response<()>, Protocol), Refusal> {
    let asked = words(headers, STREAM_PROTOCOL);
    let agreed = offers.spdy.iter().find(|name| asked.iter().any(|a| a == *name));
    let name = agreed.ok_or_else(|| none(&asked))?;
    let mut answer = switching("SPDY/3.1");
    answer
        .headers_mut()
        .insert(STREAM_PROTOCOL, HeaderValue::from_static(name));
    Ok((answer, Protocol::Spdy))
}

fn none(asked: &[String]) -> Refusal {
    let text = format!("unable to upgrade: unable to negotiate protocol: client supports {asked:?}");
    Refusal(StatusCode::FORBIDDEN, text)
}

fn switching(to: &'static str) -> Response<()> {
    let mut answer = Response::new(());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    answer
        .headers_mut()
        .insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    answer
        .headers_mut()
        .insert(header::UPGRADE, HeaderValue::from_static(to));
    answer
}
