//! The parts of a pool as this process runs them, each with a start and an orderly end. `plenum up` has all of
//! them, the other commands one each.

pub(crate) mod broker;
pub(crate) mod node;
pub(crate) mod remote;
pub(crate) mod scheduler;
