//! What stands under an object's path, beside its status.

pub mod binding;
pub mod eviction;
pub mod finalize;
pub mod node_port;
pub mod scale;
pub mod stream;
