//! `docker service` and what belongs to it. Pure but for the planner's memory: `spec` is what users write,
//! `check` refuses what is not served, `record` what is kept, `lower` makes it what the pool runs, `planner`
//! says which tasks there shall be, `view` writes what clients read.

pub mod blob;
pub mod check;
pub mod cluster;
mod look;
pub mod lower;
pub mod node;
mod node_events;
pub mod place;
pub mod planner;
pub mod record;
pub mod restart;
pub mod rollout;
pub mod spec;
pub mod status;
pub mod template;
pub mod view;
#[cfg(test)]
mod world;
