//! The pool's machines as nodes of the API server: [`object`] says what their objects shall hold, [`keeper`] makes
//! it so, renews their leases and keeps cordons equal on both sides.

pub mod keeper;
pub mod object;
