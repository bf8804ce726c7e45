//! `run -it`, `exec -it` and `attach` under a pseudo-terminal whose window changes its size.

use crate::support::docker::clis;
use crate::support::image::{BUSYBOX, docker};
use crate::support::root;
use crate::support::up::Up;
use std::process::Command;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminal_inside_has_the_size_of_the_window_outside() {
    if !docker() {
        return;
    }
    let up = Up::start_with(1, &["swarm"]).await;
    // Over TCP the CLI itself overlooks the keys that detach: the error by which it would notice comes wrapped.
    let socket = format!("unix://{}", up.data().join("docker.sock").display());
    for cli in clis(&socket) {
        let out = Command::new("python3")
            .arg(root().join("tests/e2e/tests/docker_terminal.py"))
            .args([cli.program, BUSYBOX])
            .env("DOCKER_HOST", &cli.host)
            .env_remove("DOCKER_CONTEXT")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
        assert!(
            out.status.success() && said.contains("all of it"),
            "{}: {said}",
            cli.program
        );
        cli.ok(&["rm", "left"]);
    }
}
