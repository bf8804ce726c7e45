//! What the composition root decides about the gateway.

use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How the gateway behaves.
#[derive(Debug, Clone)]
pub struct GatewayConfig {
    /// The version that `/v1/info` names.
    pub version: String,
    /// Host names that requests may come for, beside those of this machine itself (`localhost`, loopback
    /// addresses). Pages served under one of them may call the API; no other page may.
    pub hosts: Vec<String>,
    /// Bytes that the body of a request may have.
    pub max_body_bytes: usize,
    /// How long an answer may take to begin.
    pub timeout: Duration,
    /// Requests answered at once; one more is refused.
    pub max_requests: usize,
    /// Logs, events and exec sessions open at once; one more is refused.
    pub max_streams: usize,
    /// Cancelled when the process stops: ends the streams, which would otherwise keep it waiting.
    pub stop: CancellationToken,
}

impl Default for GatewayConfig {
    /// Bounds that one machine bears: a body is never more than a tenant's settings; 1,024 streams are as many
    /// open files and tasks, some 50 MB.
    fn default() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            hosts: Vec::new(),
            max_body_bytes: 1 << 20,
            timeout: Duration::from_secs(30),
            max_requests: 256,
            max_streams: 1_024,
            stop: CancellationToken::new(),
        }
    }
}
