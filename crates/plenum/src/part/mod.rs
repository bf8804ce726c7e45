//! The parts of a pool as this process runs them, each with a start and an orderly end. `plenum up` has all of
//! them, the other commands one each.

pub mod broker;
pub mod node;
pub mod remote;
pub mod scheduler;
