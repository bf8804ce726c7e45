//! What clients read. The typed clients are closed-world: one key they do not know, or one `null`, breaks
//! them, so optional fields that are empty are left out and nothing of ours is ever added.

pub mod app;
pub mod checks;
pub mod deployment;
pub mod group;
pub mod plan;
pub mod queue;
pub mod task;
