//! The rollout engine: from what is wanted (so many copies of the current version), what is there (copies by
//! slot) and a policy to the next steps. A pure function, asked again whenever something changes; everything
//! it knows stands in the copies, so it goes on where it was after a restart of the scheduler.
//!
//! One engine serves three orchestrators, because their rules are all bounds on two sums:
//!
//! - at most `count + max_surge` copies exist at once (those that are stopping included),
//! - no step takes the ready copies below `count - max_unavailable`,
//!
//! plus, for Swarm, how many slots may be under way at once and for how long each (`parallelism`, `delay`), and
//! what too many failures mean. [`policy`] lowers each orchestrator's own words, [`engine`] decides,
//! [`copies`] reads the mirror.

pub mod copies;
pub mod engine;
pub mod policy;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tables;
