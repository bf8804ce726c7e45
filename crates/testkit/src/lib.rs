//! A whole cluster in one process: the real broker core and the real agent supervisors on one seeded queue, with
//! simulated runtimes, virtual time and faults. Schedulers come by factory: any planner of the kit can be put in.
//!
//! Start at [`sim::Sim`]; `broker`, `agent` and `scheduler` are the processes, `checker` the judge, `replicas` and
//! `switches` small schedulers. The same seed gives the same run.
#![deny(missing_docs)]

mod agent;
mod broker;
mod checker;
pub mod machine;
mod queue;
pub mod replicas;
pub mod rng;
mod scheduler;
pub mod sim;
pub mod switches;

pub use scheduler::Factory;
