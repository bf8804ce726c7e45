//! Sizes and times of the transport, the same on both sides.

use std::time::Duration;

/// The largest message, in bytes: a claim of 10,000 tasks has about 1 MB, one of 10,000 tasks with terms of their
/// own about 10 MB.
pub(crate) const MESSAGE: usize = 64 << 20;

/// Bytes in flight of one stream.
pub(crate) const STREAM_WINDOW: u32 = 2 << 20;

/// Bytes in flight of one connection: a reader that sleeps on a few streams must not hold up the others.
pub(crate) const CONNECTION_WINDOW: u32 = 32 << 20;

/// Between two pings.
pub(crate) const PING_EVERY: Duration = Duration::from_secs(5);

/// A ping may take so long before the connection counts as cut: 10 s after the last sign of life.
pub(crate) const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// For a connection to be made.
pub(crate) const CONNECT: Duration = Duration::from_secs(5);

/// Bytes of one message where an answer is cut into several.
pub(crate) const PIECE: usize = 4 << 20;

/// Tasks or nodes of one message where an answer is cut into several: about a MB.
pub(crate) const ROWS: usize = 4_096;
