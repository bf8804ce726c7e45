//! Every noun goes through real bytes and comes back equal; no bytes whatsoever make a decoder panic.

mod any;
mod any_fix;
mod any_task;
mod back;
mod cost;
mod definitions;
mod malformed;
