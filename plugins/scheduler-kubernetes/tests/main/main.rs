//! The Kubernetes door over HTTP, on a state store in memory; every test has a server of its own.

mod apiserver;
