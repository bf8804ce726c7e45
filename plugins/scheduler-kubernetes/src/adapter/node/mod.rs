//! The pool's machines as nodes of the API server: [`object`] says what their objects shall hold, [`keeper`] makes
//! it so, renews their leases and keeps cordons equal on both sides; [`drain`] moves pods off a node that the pool
//! drains; [`taints`] shows its users those of the pool.

mod drain;
pub mod keeper;
pub mod object;
mod taints;
