//! The PyPI package `marathon` 0.13.0, unmodified.

use super::support::python;
use super::support::up::Up;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_typed_python_client_does_what_its_users_do() {
    let up = Up::start(3).await;
    python::all_of("marathon_client.py", [up.url("marathon")]).await;
}
