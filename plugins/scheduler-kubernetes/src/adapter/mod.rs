//! The adapter: nodes, scheduling and pods for an API server, through the `kube` crate.

pub mod port;
