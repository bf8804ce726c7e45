//! Marathon's door to the pool: its `/v2` API on one side, Plenum's broker on the other.
//!
//! Pure, from the request inwards: `request` reads fields, `canonical` makes an app of them, `update` says
//! what a change makes of an app, `service_ports` numbers its ports, `plan` says which steps lead there,
//! `spec` lowers it to what the pool runs, `answer` writes what clients read.

mod announce;
pub mod answer;
pub mod app;
pub mod canonical;
pub mod change;
pub mod checks;
pub mod config;
pub mod constraints;
mod dcos;
pub mod delay;
pub mod dependency;
pub mod desired;
pub mod desk;
mod door;
pub mod env;
pub mod events;
pub mod group;
pub mod group_by;
pub mod instance;
pub mod json;
mod leadership;
pub mod lower;
pub mod names;
pub mod past;
pub mod path;
pub mod plan;
pub mod planner;
pub mod probes;
pub mod refusal;
pub mod regroup;
pub mod request;
pub mod scale;
mod scheduler;
pub mod selector;
pub mod service_ports;
pub mod stamp;
pub mod store;
pub mod update;

pub use config::{KIND, MarathonConfig};
pub use scheduler::MarathonScheduler;

#[cfg(test)]
mod tests;
