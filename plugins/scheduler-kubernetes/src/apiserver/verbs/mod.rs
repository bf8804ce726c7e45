//! The verbs, written once for all kinds.

pub mod admit;
pub mod change;
pub mod create;
pub mod delete;
pub mod delete_options;
pub mod list;
pub mod patch;
pub mod read;
pub mod token;
pub mod update;
pub mod watch;

use jiff::Timestamp;

/// A time as objects hold it: whole seconds.
#[must_use]
pub fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
