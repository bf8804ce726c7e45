//! Scripts that drive a client of PyPI, unmodified.

use super::root;
use std::ffi::OsStr;
use std::path::PathBuf;
use tokio::process::Command;

/// Runs a script of the tests, which must say that it has done all of it.
pub(crate) async fn all_of<S: AsRef<OsStr>>(script: &str, args: impl IntoIterator<Item = S>) {
    let Some(venv) = std::env::var_os("E2E_VENV").map(PathBuf::from) else {
        panic!("E2E_VENV names no environment with the clients: run `.ci/test`, which makes one");
    };
    let tests = root().join("tests/e2e/tests");
    let out = Command::new(venv.join("bin/python"))
        .arg(tests.join(script))
        .args(args)
        .env("PYTHONPATH", &tests)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let (stdout, stderr) = (
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr),
    );
    assert!(
        out.status.success() && stdout.contains("all of it"),
        "{script}: {stdout}\n{stderr}"
    );
}
