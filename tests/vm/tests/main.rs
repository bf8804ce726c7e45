//! Plenum in machines whose power is cut.

#![allow(
    clippy::unwrap_used,
    reason = "a test that meets what it did not expect shall fail"
)]

mod load;
mod power;
