//! The stores on disk and in memory: the suites of their contracts, and what happens to the disk.
#![allow(clippy::unwrap_used, reason = "tests")]

mod check;
mod damage;
mod disk;
mod full;
mod histories;
mod locking;
mod memory;
mod state;
mod suites;
