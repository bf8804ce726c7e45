//! Whole clusters, simulated.

#![allow(clippy::unwrap_used)]

mod storms;
mod switches;
