//! The nodes' port, which API servers know as the kubelet's: logs, exec, attach and port-forward of pods, over
//! TLS, for whoever has the token or a certificate of the API server's.
//!
//! [`doors`] listens, [`routes`] answers; [`channels`] is what exec and attach look like from inside, over
//! [`websocket`] or [`spdy`] from outside; [`forward`] carries connections, [`logs`] lines.

pub mod channels;
pub mod doors;
pub mod forward;
pub mod logs;
pub mod routes;
pub mod spdy;
pub mod target;
pub mod upgrade;
pub mod websocket;

use std::time::Duration;

/// How long the other side may take to hang up once everything is said.
pub const FAREWELL: Duration = Duration::from_secs(5);
