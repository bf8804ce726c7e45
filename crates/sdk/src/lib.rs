//! Write a scheduler in an afternoon. A scheduler keeps what its users want through the state store, and this
//! crate makes the pool match it:
//!
//! - [`planner`]: the one thing you write: a pure function from the mirror to a [`plan::Plan`].
//! - [`driver`]: the loop round it: session, watch, mirror, plan, apply, again. Start here.
//! - [`observed`]: the mirror of the scheduler's tasks (and nodes), read by planner and door.
//! - [`rollout`]: the pure rollout engine; [`health`] says what counts as ready, [`backoff`] when to try again.
//! - [`door`]: what every HTTP door needs: serving, guards, limits, event fan-out, lenient reading.
//!
//! Nothing here knows an orchestrator, an engine or a wire.
#![deny(missing_docs)]

pub mod attempts;
pub mod backoff;
pub mod calls;
pub mod door;
pub mod driver;
pub mod health;
pub mod mirror;
pub mod observed;
pub mod plan;
pub mod planner;
pub mod rollout;
pub mod time;
