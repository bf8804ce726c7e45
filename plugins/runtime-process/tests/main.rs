//! Containers on the real kernel. What needs root says so and is skipped without it.
#![allow(clippy::unwrap_used)]

mod lifecycle;
mod limits;
mod recovery;
mod refusals;
mod streams;
mod support;
