//! What `/v1` of the public API says and takes, as JSON. A contract of its own: it grows by optional fields
//! only, so that an older client reads a newer server. Names are snake_case and carry their unit; ids are
//! text; times are RFC 3339 in UTC (`2026-01-02T03:04:05.678Z`); a field that does not apply is left out.

pub mod amounts;
pub mod error;
pub mod event;
pub mod list;
pub mod node;
pub mod scheduler;
pub mod simulate;
pub mod stream;
pub mod task;
pub mod tenant;
pub mod why;
pub mod workload;
