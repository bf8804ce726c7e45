//! The public API over real HTTP, in front of a pool and streams that are held in memory.

mod access;
mod document;
mod fake;
mod resources;
mod streams;
