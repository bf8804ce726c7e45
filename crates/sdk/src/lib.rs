//! Write a scheduler in an afternoon. A scheduler keeps what its users want through the state store, and this
//! crate makes the pool match it:
//!
//! - [`planner`]: the one thing you write: a pure function from the mirror to a [`plan::Plan`].
//! - [`driver`]: the loop round it: session, watch, mirror, plan, apply, again. Start here.
//! - [`desk`]: the one writer of what its users want.
//! - [`observed`]: the mirror of the scheduler's tasks (and nodes), read by planner and door.
//! - [`rollout`]: the pure rollout engine; [`health`] says what counts as ready, [`backoff`] when to try again.
//! - [`door`]: what every HTTP door needs: serving, guards, limits, event fan-out, lenient reading.
//!
//! Nothing here knows an orchestrator, an engine or a wire.
//!
//! A scheduler that keeps three copies of one thing running, whatever happens to it, to the broker or to the
//! nodes:
//!
//! ```no_run
//! use plenum_contract::broker::{Broker, Refusal};
//! use plenum_model::claim::{Seat, Terms};
//! use plenum_model::ids::SchedulerId;
//! use plenum_model::spec::TaskSpec;
//! use plenum_sdk::driver::{Driver, DriverConfig};
//! use plenum_sdk::observed::Observed;
//! use plenum_sdk::plan::{Claim, Plan};
//! use plenum_sdk::planner::{Change, Planner};
//! use plenum_sdk::time::Moment;
//! use std::sync::Arc;
//!
//! struct Three {
//!     terms: Arc<Terms>,
//!     spec: Arc<TaskSpec>,
//! }
//!
//! impl Planner for Three {
//!     fn plan(&mut self, _now: Moment, observed: &Observed) -> Plan {
//!         let uid = &self.terms.workload.uid;
//!         let mut plan = Plan::default();
//!         for slot in 0..3 {
//!             if observed.slot(uid, slot).all(|t| t.status.phase().is_terminal()) {
//!                 let seat = Seat::new(observed.next_id(uid, slot), format!("three.{slot}"), slot);
//!                 let (terms, spec) = (Arc::clone(&self.terms), Arc::clone(&self.spec));
//!                 plan.claims.push(Claim { terms, spec, seat });
//!             }
//!         }
//!         plan
//!     }
//!     fn noticed(&mut self, _: Moment, _: &[Change]) {}
//!     fn refused(&mut self, _: Moment, refusals: &[Refusal]) {
//!         refusals.iter().for_each(|r| eprintln!("{r}"));
//!     }
//! }
//!
//! async fn run(broker: Arc<dyn Broker>, three: Three) -> Result<(), Box<dyn std::error::Error>> {
//!     let config = DriverConfig::new(SchedulerId::new("three")?, "example");
//!     let driver = Driver::start(broker, config, three);
//!     tokio::signal::ctrl_c().await?;
//!     driver.stop().await; // the tasks run on
//!     Ok(())
//! }
//! ```
#![deny(missing_docs)]

pub mod attempts;
pub mod backoff;
pub mod calls;
pub mod desk;
pub mod door;
pub mod driver;
pub mod health;
pub mod holders;
pub mod mirror;
pub mod observed;
pub mod plan;
pub mod planner;
pub mod rollout;
pub mod settled;
pub mod time;
