//! The door over real HTTP, in front of a pool in memory.

#![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

mod apps;
mod bounds;
mod cluster;
mod crash;
mod dcos;
mod events;
mod fake;
mod fake_streams;
mod field;
mod groups;
mod health;
mod queue;
mod state;
mod storm;
mod tasks;
mod wire;
