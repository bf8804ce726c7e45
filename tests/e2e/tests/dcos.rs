//! The real `dcos` command against pools of three nodes.

mod apps;
mod cluster;
mod own_tests;
mod schedulers;
mod tasks;
