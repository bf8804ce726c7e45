//! Cgroups: which there are (`hierarchy`), what is written where (`limits`), what they say (`usage`), and the
//! tree below this runtime's own name (`tree`).

pub(crate) mod hierarchy;
pub(crate) mod limits;
pub(crate) mod tree;
pub(crate) mod usage;
