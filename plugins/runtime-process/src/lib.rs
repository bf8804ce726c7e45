//! `runtime-process`: containers that are processes of this machine, without an image. Each has a shim as its
//! parent (`plenum-shim`), cgroups of its own (v1, v2 or both) and, where this machine allows it, namespaces
//! of its own for process ids, mounts and host name.
//!
//! What is found out once, when it is opened: which cgroups can be made and which namespaces work. What is
//! missing is not among its capabilities. A container that needs a namespace or a user is refused by name; one
//! with caps that cannot be enforced runs without them, since whether such caps are a condition is the
//! broker's to decide (`strict_caps`), and it knows the capabilities.
//!
//! It keeps nothing in memory: every verb finds its container in a directory named after the key, which the
//! shim serves (`record`), so that an agent that starts anew goes on where it was. Read next: `runtime`, the
//! verbs; `order`, from a plan to what the shim is told.

mod abilities;
mod attach;
mod blocking;
mod cgroups;
mod exec;
mod exit;
mod logs;
mod mounts;
mod order;
mod record;
mod runtime;
mod signals;
mod stats;
mod terminal;
mod top;
mod users;

pub use runtime::{ProcessRuntime, Settings};
