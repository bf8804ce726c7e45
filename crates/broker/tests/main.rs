//! Tests of the broker from outside: transcripts that need no Rust to be read, random histories held against
//! an independent checker, and the running thing on a log that fails when told to.

#![allow(
    clippy::unwrap_used,
    reason = "a test that meets what it did not expect shall fail"
)]

mod audit;
mod causes;
mod checker;
mod claims;
mod fairness;
mod faults;
mod files;
mod golden;
mod histories;
mod law;
mod line;
mod long;
mod old_logs;
mod reclaim;
mod relations;
mod relations_random;
mod running;
mod scale;
mod shares;
mod simulate;
mod streams;
mod taints;
mod world;
