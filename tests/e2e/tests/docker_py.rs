//! The PyPI package `docker` 7, unmodified.

use super::support::image::{BUSYBOX, docker};
use super::support::python;
use super::support::up::Up;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn docker_for_python_does_what_its_users_do() {
    if !docker() {
        return;
    }
    let up = Up::start_with(3, &["swarm"]).await;
    python::all_of("docker_py.py", [up.url("docker"), BUSYBOX]).await;
}
