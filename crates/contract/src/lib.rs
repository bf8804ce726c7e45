//! The plugs of Plenum as traits: what each side promises, their errors, and the suite that every
//! implementation must pass. Plain data in, plain data or a stream out, so that each contract can be served
//! in process or over a wire and a caller cannot tell which. Nothing here acts; images are carried over a stream.
#![deny(missing_docs)]

pub mod broker;
pub mod dispatcher;
pub mod error;
pub mod images;
pub mod ledger_log;
pub mod pool;
pub mod runtime;
pub mod scheduler;
pub mod state_store;
pub mod streams;
pub mod suite;
