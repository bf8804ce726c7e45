//! The PyPI package `kubernetes` 33, unmodified.

use super::support::image::{BUSYBOX, docker};
use super::support::root;
use super::support::up::Up;
use std::path::PathBuf;
use tokio::process::Command;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubernetes_for_python_does_what_its_users_do() {
    let Some(venv) = std::env::var_os("E2E_VENV").map(PathBuf::from) else {
        panic!("E2E_VENV names no environment with the client: run `.ci/test`, which makes one");
    };
    if !docker() {
        return;
    }
    let up = Up::start_with(3, &["kubernetes"]).await;
    let script = root().join("tests/e2e/tests/kubernetes_py.py");
    let out = Command::new(venv.join("bin/python"))
        .arg(script)
        .arg(up.data().join("kubeconfig"))
        .arg(BUSYBOX)
        .output()
        .await
        .unwrap();
    let (stdout, stderr) = (
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr),
    );
    assert!(
        out.status.success() && stdout.contains("all of it"),
        "{stdout}\n{stderr}"
    );
}
