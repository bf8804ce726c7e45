//! Marathon's door to the pool: its `/v2` API on one side, Plenum's broker on the other.
//!
//! Pure, from the request inwards: `request` reads fields, `canonical` makes an app of them, `update` says
//! what a change makes of an app, `service_ports` numbers its ports, `plan` says which steps lead there,
//! `spec` lowers it to what the pool runs, `answer` writes what clients read.

pub mod answer;
pub mod app;
pub mod canonical;
pub mod delay;
pub mod env;
pub mod instance;
pub mod json;
pub mod lower;
pub mod names;
pub mod path;
pub mod plan;
pub mod refusal;
pub mod request;
pub mod scale;
pub mod selector;
pub mod service_ports;
pub mod stamp;
pub mod update;

#[cfg(test)]
mod tests;
