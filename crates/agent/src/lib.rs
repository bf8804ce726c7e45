//! The agent: the one process per node that starts, watches and stops containers, whoever asked. It makes the
//! node match its assignments and never loses a status.
//!
//! `supervisor` decides, pure; `journal` keeps what must survive; `runner` acts: it talks to the broker, runs
//! the verbs of the runtimes and carries streams; `facts` describes the node, `files` keeps what tasks were given,
//! `volumes` what their containers share. Start at [`start`].
#![deny(missing_docs)]

mod config;
mod facts;
mod files;
pub mod journal;
mod runner;
pub mod supervisor;
mod volumes;

pub use config::{AgentConfig, CapacityOverrides, DEFAULT_SLOTS};
pub use facts::capacity;
pub use files::clear_files;
pub use runner::{AgentHandle, StartError, start};
