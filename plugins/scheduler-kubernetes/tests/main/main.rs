//! The Kubernetes door over HTTP, on a state store in memory; every test has a server of its own.

#![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

mod apiserver;
mod controllers;
mod kubectl;
