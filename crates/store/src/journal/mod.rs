//! The log on disk that both stores stand on: numbered groups of opaque bytes, one sync each, in pre-zeroed
//! segments, and a snapshot that makes older segments superfluous. One owner, no locks; `DataDir` sees to it
//! that no second process has the directory open.

mod files;
mod frame;
mod item;
mod log;
mod open;
mod segment;
mod snapshot;
mod spares;
mod survey;

pub(crate) use item::{Item, Placed};
pub(crate) use log::Journal;
pub(crate) use snapshot::{Cut, Snapshot, SnapshotWriter};
pub(crate) use survey::{Survey, survey};
