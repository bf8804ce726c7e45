//! What a request asks for: which object (`target`), in which form (`accept`), with which options (`query`).

pub mod accept;
pub mod query;
pub mod target;
