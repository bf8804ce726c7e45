//! The user's commands: one file per noun over the client of the public API. The binary puts [`UserCommand`] and its
//! own commands into one tree, parses, and hands over with [`execute`]; a command line that does not parse it gives
//! to [`usage_error`]. Data goes to standard output, everything else to standard error. Start with `command`.

mod apply;
mod command;
mod completion;
mod context;
mod contexts;
mod delete;
mod doctor;
mod door;
mod drain;
mod events;
mod exec;
mod explain;
mod failure;
mod global;
mod kubernetes;
mod logs;
mod marathon;
mod node;
mod output;
mod ps;
mod run;
mod said;
mod scheduler;
mod session;
mod simulate;
mod task;
mod tenant;
mod terminal;
mod usage;
mod version;
mod wait;
mod why;

pub use command::{UserCommand, execute};
pub use global::GlobalArgs;
pub use scheduler::SchedulerCommand;
pub use usage::usage_error;
