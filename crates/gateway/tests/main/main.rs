//! The public API over real HTTP, in front of a pool and streams that are held in memory.
#![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

mod access;
mod document;
mod fake;
mod resources;
mod streams;
