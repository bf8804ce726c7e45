//! Port-forward: connections to ports of a pod, over streams of SPDY or channels of a WebSocket.

use super::spdy::session::{Session, Stream};
use super::target::Refusal;
use super::upgrade::{Io, Protocol};
use super::websocket;
use axum::extract::Query;
use bytes::Bytes;
use futures::StreamExt;
use http::{StatusCode, Uri};
use plenum_contract::streams::{Output, StreamEnds, StreamError, StreamInput, StreamRequest, Streams};
use plenum_model::ids::TaskId;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Pieces that may wait on one channel.
const CREDIT: usize = 32;
/// How long the two streams of one connection may lie apart.
const PAIR: Duration = Duration::from_secs(30);

/// The ports a WebSocket client names in its query.
///
/// # Errors
/// 400 for what is no port.
pub fn ports(uri: &Uri) -> Result<Vec<u16>, Refusal> {
    let query: Vec<(String, String)> = Query::try_from_uri(uri).map(|Query(q)| q).unwrap_or_default();
    let named = query.iter().filter(|(k, _)| k == "port" || k == "ports");
    let each = named.flat_map(|(_, v)| v.split(',')).filter(|v| !v.is_empty());
    each.map(|v| {
        let bad = || {
            Refusal(
                StatusCode::BAD_REQUEST,
                format!("unable to parse \"{v}\" as a port"),
            )
        };
        v.parse::<u16>().ok().filter(|p| *p > 0).ok_or_else(bad)
    })
    .collect()
}

/// Carries until the peer is gone.
pub async fn carry(io: Io, streams: Arc<dyn Streams>, task: TaskId, ports: Vec<u16>) {
    match io.protocol {
        Protocol::Spdy => over_spdy(Session::new(io.io), streams, task).await,
        Protocol::SpdyInWebSocket => {
            let (inside, carried) = websocket::tunnel(io.io).await;
            futures::future::join(carried, over_spdy(Session::new(inside), streams, task)).await;
        }
        Protocol::ChannelsV4 | Protocol::ChannelsV5 => over_channels(io, streams, task, ports).await,
    }
}

/// The two streams of one connection.
struct Pair {
    port: u16,
    error: Option<Stream>,
    data: Option<Stream>,
}

async fn over_spdy(mut session: Session, streams: Arc<dyn Streams>, task: TaskId) {
    let mut waiting: BTreeMap<String, Pair> = BTreeMap::new();
    let mut carried = JoinSet::new();
    loop {
        let stream = tokio::select! {
            stream = session.accept() => stream,
            Some(_) = carried.join_next() => continue,
            () = tokio::time::sleep(PAIR), if !waiting.is_empty() => {
                waiting.clear();
                continue;
            }
        };
        let Some(stream) = stream else { break };
        let request = stream.header("requestid").unwrap_or_default().to_owned();
        let Some(port) = stream.header("port").and_then(|p| p.parse().ok()) else {
            let _ = stream.output.reset().await; // gone is as good
            continue;
        };
        let is_error = stream.header("streamtype") == Some("error");
        let pair = waiting.entry(request.clone()).or_insert(Pair {
            port,
            error: None,
            data: None,
        });
        if is_error {
            pair.error = Some(stream);
        } else {
            pair.data = Some(stream);
        }
        if pair.error.is_some()
            && pair.data.is_some()
            && let Some(Pair {
                port,
                error: Some(error),
                data: Some(data),
            }) = waiting.remove(&request)
        {
            carried.spawn(connection(Arc::clone(&streams), task, port, error, data));
        }
    }
    carried.shutdown().await;
}

async fn connection(streams: Arc<dyn Streams>, task: TaskId, port: u16, error: Stream, mut data: Stream) {
    let ends = match first_answer(&*streams, task, port).await {
        Ok(ends) => ends,
        Err(why) => {
            // any text here ends the peer's forwarding: it is for what cannot be dialled
            let _ = error.output.send(refused(port, &why).into()).await;
            let _ = error.output.finish().await;
            let _ = data.output.finish().await;
            return;
        }
    };
    let StreamEnds { input, mut output } = ends;
    let inbound = async {
        while let Some(bytes) = data.input.recv().await {
            if input.send(StreamInput::Data(bytes)).await.is_err() {
                return;
            }
        }
        let _ = input.send(StreamInput::Eof).await; // the other end may have hung up
        std::future::pending::<()>().await;
    };
    let outbound = async {
        while let Some(Ok(piece)) = output.next().await {
            if let Output::Stdout(bytes) = piece
                && data.output.send(bytes).await.is_err()
            {
                return;
            }
        }
    };
    tokio::select! {
        () = inbound => {}
        () = outbound => {}
    }
    let _ = data.output.finish().await; // both ends are done; a peer that is gone does not mind
    let _ = error.output.finish().await;
}

/// Opens a connection. A failure to dial is the first thing that its output says, so that is waited for, but not
/// for long: servers that wait to be spoken to say nothing.
async fn first_answer(streams: &dyn Streams, task: TaskId, port: u16) -> Result<StreamEnds, StreamError> {
    let StreamEnds { input, output } = streams.open(task, StreamRequest::PortForward { port }).await?;
    let mut output = output.peekable();
    let first = std::pin::Pin::new(&mut output).peek();
    let first = tokio::time::timeout(Duration::from_millis(200), first).await;
    if let Ok(Some(Err(error))) = first {
        return Err(error.clone());
    }
    Ok(StreamEnds {
        input,
        output: output.boxed(),
    })
}

fn refused(port: u16, why: &StreamError) -> String {
    format!("an error occurred forwarding {port} -> {port}: error forwarding port {port} to pod: {why}")
}

/// Two channels per port: data on the even one, an error on the odd one. Each begins with the port.
async fn over_channels(io: Io, streams: Arc<dyn Streams>, task: TaskId, ports: Vec<u16>) {
    let (mut sender, mut receiver) = websocket::open(io.io).await;
    let (out, mut pieces) = mpsc::channel::<(u8, Bytes)>(CREDIT);
    let mut inputs = BTreeMap::new();
    let mut carried = JoinSet::new();
    for (i, port) in ports.into_iter().enumerate() {
        let Ok(data) = u8::try_from(2 * i) else { break };
        let number = Bytes::copy_from_slice(&port.to_le_bytes());
        for channel in [data, data + 1] {
            if sender.send(channel, number.clone()).await.is_err() {
                return;
            }
        }
        let (tx, rx) = mpsc::channel(CREDIT);
        inputs.insert(data, tx);
        carried.spawn(channel(Arc::clone(&streams), task, port, data, rx, out.clone()));
    }
    drop(out);
    let inbound = async {
        while let Some((channel, bytes)) = receiver.next().await {
            if let Some(input) = inputs.get(&channel)
                && input.send(bytes).await.is_err()
            {
                inputs.remove(&channel);
            }
        }
    };
    let outbound = async {
        while let Some((channel, bytes)) = pieces.recv().await {
            if sender.send(channel, bytes).await.is_err() {
                return;
            }
        }
        sender.close().await;
    };
    tokio::select! {
        () = inbound => {}
        () = outbound => {}
    }
    carried.shutdown().await;
    receiver.farewell().await;
}

async fn channel(
    streams: Arc<dyn Streams>,
    task: TaskId,
    port: u16,
    number: u8,
    mut input: mpsc::Receiver<Bytes>,
    out: mpsc::Sender<(u8, Bytes)>,
) {
    let ends = match first_answer(&*streams, task, port).await {
        Ok(ends) => ends,
        Err(why) => {
            let _ = out.send((number + 1, refused(port, &why).into())).await; // gone is as good
            return;
        }
    };
    let StreamEnds {
        input: to,
        output: mut from,
    } = ends;
    let inbound = async {
        while let Some(bytes) = input.recv().await {
            if to.send(StreamInput::Data(bytes)).await.is_err() {
                return;
            }
        }
    };
    let outbound = async {
        while let Some(Ok(piece)) = from.next().await {
            if let Output::Stdout(bytes) = piece
                && out.send((number, bytes)).await.is_err()
            {
                return;
            }
        }
    };
    tokio::select! {
        () = inbound => {}
        () = outbound => {}
    }
}
