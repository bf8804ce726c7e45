//! runtime-docker
