//! Each contract in process and over a real connection on the loopback: the same fakes, the same assertions.
#![allow(clippy::unwrap_used, reason = "tests")]

mod broken;
mod broker;
mod dispatcher;
mod fake_broker;
mod fake_dispatcher;
mod fake_images;
mod fake_pool;
mod fake_streams;
mod flow;
mod images;
mod nouns;
mod pool;
mod raw;
mod real_broker;
mod state;
mod streams;
mod wired;
