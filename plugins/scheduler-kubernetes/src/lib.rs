//! The Kubernetes door, in two parts that meet only in requests as HTTP has them, so that a real kube-apiserver can
//! take the second one's place by configuration.
//!
//! - [`adapter`] makes the pool's machines the nodes of *an* API server: it registers them, schedules pending
//!   pods into claims, runs the pods bound to its nodes and serves the node's port. It holds a `kube` client and
//!   the broker's contracts, nothing of the other part.
//! - [`apiserver`] is the small API server for a first run, and [`controllers`] the few controllers that its kinds
//!   need; they, too, speak to it in requests only. Its pure rules on objects (schema, patches, apply, decoding)
//!   are in [`object`].

pub mod adapter;
pub mod apiserver;
pub mod config;
pub mod controllers;
mod lean;
pub mod node_key;
pub mod object;
mod scheduler;

pub use config::KubernetesConfig;
pub use scheduler::KubernetesScheduler;
