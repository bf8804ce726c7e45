//! What is known of each kind: its fields with their JSON names, types and protobuf numbers, how a strategic
//! merge and a server-side apply treat their lists. One table for all that needs it: decoding, the checks for
//! unknown fields, patches and managed fields.
//!
//! The facts stand in `facts/*.txt`, one line a field, as published for API version 1.33:
//!
//! ```text
//! PodSpec                                        a message; `atomic` behind it: owned by one manager as a whole
//!   containers 2 []Container always merge=name keys=name
//!   +VolumeSource 2                              the fields of another message stand in this one's JSON object
//! ```
//!
//! A type is one of the scalars of [`Type`] or a message; `*` before it: unset differs from zero; `[]`: a list;
//! `{}`: a map; `string:v1.Protocol` is a string that error messages call `v1.Protocol`. Behind it: `always`
//! (written even when empty), `merge[=key]`, `replace` and `retain` (strategic merge), `set` or `keys=a,b:x`
//! (server-side apply: a list without one of them is atomic; an absent `b` counts as `x`).

mod kinds;
mod message;
mod parse;
mod table;

pub use kinds::{Kind, lookup};
pub use message::{Field, ListKind, Merge, Message, MessageId, Shape, Type};

#[cfg(test)]
mod tests;
