//! End to end: the real binary, real containers, real clients. Each test has data, ports and names of its own,
//! and takes down what it brought up.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod arrows;
mod bad_input;
mod containers;
mod dcos;
mod docker_bad_input;
mod docker_images;
mod docker_py;
mod docker_run;
mod docker_service;
mod docker_terminal;
mod docker_verbs;
mod examples;
mod kubernetes;
mod kubernetes_apart;
mod kubernetes_killed;
mod kubernetes_objects;
mod kubernetes_py;
mod kubernetes_reach;
mod kubernetes_rollout;
mod kubernetes_serving;
mod kubernetes_shown;
mod kubernetes_watched;
mod marathon_client;
mod marathon_groups;
mod marathon_health;
mod marathon_spec;
mod no_room;
mod one_pool;
mod partition;
mod restarts;
mod ring;
mod secrets;
mod support;
