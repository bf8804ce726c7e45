//! The PyPI package `kubernetes` 33, unmodified.

use super::support::image::{BUSYBOX, docker};
use super::support::python;
use super::support::up::Up;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubernetes_for_python_does_what_its_users_do() {
    if !docker() {
        return;
    }
    let up = Up::start_with(3, &["kubernetes"]).await;
    python::all_of(
        "kubernetes_py.py",
        &[up.data().join("kubeconfig").as_os_str(), BUSYBOX.as_ref()],
    )
    .await;
}
