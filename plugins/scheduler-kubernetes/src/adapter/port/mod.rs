//! The nodes' port.

pub mod spdy;
use std::time::Duration;
/// How long the other side may take to hang up once everything is said.
pub const FAREWELL: Duration = Duration::from_secs(5);
