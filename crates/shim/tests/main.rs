//! Real shims with real processes. What needs root says so and is skipped without it.

#![allow(clippy::unwrap_used)]

mod attached;
mod ends;
mod executed;
mod isolation;
mod logged;
mod outlives;
mod support;
