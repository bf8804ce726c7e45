//! The output of one container on disk.
//!
//! A log is one sequence of bytes, cut into segments: files in `logs/` named by the position (20 decimal
//! digits) of their first byte in the whole. A *position* therefore never changes its meaning: not when the
//! oldest segments are deleted, not when the agent or a reader starts again; reading on from a position is
//! all that following a log takes, and what was deleted meanwhile is known to the byte.
//!
//! Each record is a line in the format of the Kubernetes container runtimes, so that known log shippers
//! read it: `2026-01-31T12:00:00.000000000Z stdout F text`. `F` ends a line of the container; `P` is a part
//! of one (it was longer than 16 KiB, or was not ended for a while, as a prompt is not) that the next record
//! of the same stream continues. The text is as the container wrote it, any bytes but the line's end.

pub mod reader;
pub mod record;
pub mod segments;
pub mod writer;
