//! The broker: owner of the ledger and its only writer. `decide::Core` decides, purely; `fact`, `ledger` and
//! `codec` are what it decides on and what the log keeps; `place` chooses nodes; `view` is what readers see of
//! durable facts; `runner` makes it all a running thing behind the contracts.

pub mod audit;
pub mod codec;
pub mod config;
pub mod decide;
pub mod fact;
pub mod input;
pub mod ledger;
pub mod place;
mod runner;
pub mod simulate;
pub mod view;

pub use config::{BrokerConfig, CoreConfig};
pub use decide::Core;
pub use runner::{BrokerHandle, BrokerStats, StartError, start};
