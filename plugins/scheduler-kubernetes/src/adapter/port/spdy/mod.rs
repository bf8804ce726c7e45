//! SPDY/3.1 as Kubernetes uses it to carry several streams over one connection: no flow windows, no priorities.
//! [`frame`] is the codec, [`session`] the connection.

mod dictionary;
pub mod frame;
pub mod session;
