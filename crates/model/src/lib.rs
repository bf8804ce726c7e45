//! The nouns of Plenum and their rules: ids, amounts, nodes, specs, claims, placement rules, the life cycle.
//! Plain data and pure functions: no async, no I/O, no clock, no wire format. Everything else stands on it.
//! Start with `task`, which holds the rest together; `phase` is the life cycle.
#![deny(missing_docs)]

pub mod amounts;
pub mod claim;
pub mod code;
pub mod event;
pub mod expr;
pub mod fix;
pub mod ids;
pub mod node;
pub mod phase;
pub mod rules;
pub mod spec;
pub mod taint;
pub mod tally;
pub mod task;
pub mod template;
pub mod tenant;
pub mod why;
