//! The adapter: nodes, scheduling and pods for an API server, through the `kube` crate.

pub mod api;
pub mod book;
pub mod decide;
pub mod desk;
pub mod events;
pub mod names;
pub mod planner;
pub mod pod;
pub mod port;
pub mod shelf;
pub mod status;
pub mod why;
