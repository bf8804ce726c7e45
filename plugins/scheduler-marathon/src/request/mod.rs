//! Reading requests: JSON to typed fields, every wrong field reported at once in Marathon's words.
//! `reader` knows JSON and paths, `names` knows which fields exist, `app` and `ports` know their types.

pub mod app;
pub mod checks;
pub mod container;
pub mod fields;
pub mod group;
pub mod names;
pub mod ports;
pub mod reader;
