//! The tiny parent of one container. It outlives the agent: it keeps the container's output and exit status
//! while nobody looks, and holds its input, its terminal and its process open for whoever comes back.
//!
//! One process `plenum-shim run DIR` stands behind each container, in a session of its own, with no async
//! runtime and no thread. Everything it is told and everything it reports stands in `DIR` ([`files`]): it
//! reads [`config::Config`], holds a lock for as long as it lives, writes [`state::Status`], keeps the output
//! under [`logs`], answers on a socket ([`wire`]) and at last writes [`state::Exit`]. A directory serves one
//! start: a second one in it is refused, so nothing runs twice.
//!
//! What the shim promises: when `exit.json` is there, no process of the container is left and all of its
//! output is in the log. When the lock is free and `exit.json` is not there, the shim itself was killed or
//! the machine went down; its command is killed with it, but the exit status is lost.
//!
//! For the agent: [`binary`] puts the executable in place, [`client`] starts, finds again and talks to shims,
//! [`logs::reader`] reads logs. All of it blocks, for milliseconds.

#[cfg(not(shim_inner))]
pub mod binary;
pub mod cgroup;
pub mod client;
pub mod config;
pub mod files;
pub mod logs;
pub mod procfs;
pub mod state;
pub mod wire;
