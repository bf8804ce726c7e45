//! Model to messages and back, one file per noun. Encoding is `From<&Model>`; decoding is `TryFrom<Message>`
//! and takes the message, so that its texts move. What is sent once per stream is in `definitions`.

pub(crate) mod amounts;
pub(crate) mod broker;
pub(crate) mod claim;
pub(crate) mod definitions;
pub(crate) mod dispatcher;
pub(crate) mod enums;
pub(crate) mod event;
pub(crate) mod explain;
pub(crate) mod fix;
pub(crate) mod image;
pub(crate) mod node;
pub(crate) mod pool;
pub(crate) mod probe;
pub(crate) mod rules;
pub(crate) mod simulate;
pub(crate) mod spec;
pub(crate) mod state;
pub(crate) mod stream;
pub(crate) mod taint;
pub(crate) mod task;
pub(crate) mod template;
pub(crate) mod tenant;
pub(crate) mod why;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
