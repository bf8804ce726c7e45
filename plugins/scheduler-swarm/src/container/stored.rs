//! A single container as it stands in the desk's tables.

pub use super::record::Container as ContainerRecord;
