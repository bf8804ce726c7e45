//! A connection to a Plenum, made when it is first used and again when it broke.

use crate::limits;
use tonic::transport::{Channel, Endpoint};

/// An address that cannot be called.
#[derive(Debug, thiserror::Error)]
#[error("`{url}` is no address of a Plenum (as in `http://127.0.0.1:7000`)")]
pub struct BadUrl {
    /// What was given.
    pub url: String,
    /// What is wrong with it.
    source: tonic::transport::Error,
}

/// A channel to `url`. It connects when it is first used; a cut network is noticed within 10 s. Call it within a
/// tokio runtime.
///
/// # Errors
/// `BadUrl` when the address cannot be read.
pub fn connect(url: &str) -> Result<Channel, BadUrl> {
    let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|source| BadUrl {
        url: url.to_owned(),
        source,
    })?;
    Ok(endpoint
        .connect_timeout(limits::CONNECT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(limits::PING_EVERY)
        .keep_alive_timeout(limits::PING_TIMEOUT)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(limits::STREAM_WINDOW)
        .initial_connection_window_size(limits::CONNECTION_WINDOW)
        .connect_lazy())
}
