//! Selectors by labels and by fields.

mod fields;
mod labels;
mod selectable;

pub use fields::Fields;
pub use labels::{Labels, NotASelector};
pub use selectable::Selectable;
