//! The commands as users run them: a process of their own against a server and a Marathon door that are held in
//! memory; what they print, and how they end.
#![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

mod changes;
mod fake;
mod offline;
mod streams;
mod tables;
