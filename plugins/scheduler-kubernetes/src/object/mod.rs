//! Pure rules on Kubernetes objects as JSON: schema, decoding, patches, apply, defaults, validation, selectors.
//! No I/O, no clock: what needs the time is given it.

pub mod apply;
pub mod decode;
pub mod defaults;
pub mod field_error;
pub mod int_or_string;
pub mod names;
pub mod patch;
pub mod problem;
pub mod quantity;
pub mod schema;
pub mod selector;
pub mod taint;
pub mod validate;
