//! From the nouns of the model to those of the public API. Pure.

pub(crate) mod event;
pub(crate) mod node;
pub(crate) mod problem;
pub(crate) mod scheduler;
pub(crate) mod simulate;
pub(crate) mod task;
pub(crate) mod tenant;
pub(crate) mod time;
pub(crate) mod why;
pub(crate) mod workload;
