//! Typed client of the public API, and the one place that says what that API looks like on the wire: `v1` has
//! its nouns, `frame` the framing of exec sessions, `endpoints` the file by which a running Plenum says where
//! it listens. The server is built from the same types. Start with `client`.
#![deny(missing_docs)]

pub mod client;
pub mod endpoints;
pub mod error;
pub mod exec;
pub mod frame;
mod sse;
pub mod v1;

pub use client::{Client, EventStream, LogQuery, TaskQuery};
pub use error::ClientError;
