//! The nouns of Plenum and their rules: ids, amounts, nodes, specs, claims, placement rules, the life cycle.
//! Plain data and pure functions: no async, no I/O, no clock, no wire format. Everything else stands on it.
#![deny(missing_docs)]

pub mod ids;
