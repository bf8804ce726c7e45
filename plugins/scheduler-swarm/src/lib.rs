//! Docker's door to the pool: the Engine API with the swarm endpoints on one side, Plenum's broker on the other.
//!
//! `door` speaks HTTP and knows nothing of claims; `service` is what `docker service` wants and how it becomes
//! tasks; `container` is the same for single containers; `image` is what the
//! nodes keep; `store` keeps what users want. `state` is what all
//! of them share.

pub mod config;
pub mod container;
pub mod desk;
mod door;
pub mod error;
pub mod events;
pub mod filters;
pub mod go_json;
pub mod ids;
mod image;
mod planner;
mod scheduler;
pub mod service;
pub mod state;
pub mod store;
pub mod time;

pub use config::SwarmConfig;
pub use scheduler::{KIND, SwarmScheduler};
