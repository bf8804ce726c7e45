//! What is generated from `proto/`: messages, clients and servers, one module per package. The comments of the
//! `.proto` files are the specification.
#![allow(
    unreachable_pub,
    missing_docs,
    clippy::all,
    clippy::too_many_lines,
    clippy::large_futures,
    clippy::unwrap_used,
    rustdoc::all
)]

include!(concat!(env!("OUT_DIR"), "/plenum.rs"));

pub use self::plenum::{agent, api, broker, model, state};
