//! The door over real HTTP, in front of a pool in memory.

mod apps;
mod crash;
mod events;
mod fake;
mod field;
mod queue;
mod state;
mod tasks;
mod wire;
