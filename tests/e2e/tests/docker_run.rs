//! `docker run` and its kin: the real CLIs against a pool, every one that is installed.

use crate::support::docker::{Cli, clis};
use crate::support::image::{BUSYBOX, docker};
use crate::support::up::Up;

#[tokio::test(flavor = "multi_thread")]
async fn single_containers_run_anywhere_on_the_pool_and_lose_no_output() {
    if !docker() {
        return;
    }
    let mut up = Up::start_with(2, &["swarm"]).await;
    for cli in clis(up.url("docker")) {
        foreground(&cli);
        background(&cli);
        refusals(&cli);
    }
    let cli = &clis(up.url("docker"))[0];
    let id = cli.ok(&["run", "-d", "--name", "stays", BUSYBOX, "sleep", "1000"]);
    let started = cli.ok(&["inspect", "-f", "{{.State.StartedAt}}", &id]);
    up.kill_hard();
    up.start_again().await;
    let cli = &clis(up.url("docker"))[0];
    assert_eq!(
        cli.ok(&[
            "inspect",
            "-f",
            "{{.State.Running}} {{.State.StartedAt}}",
            "stays"
        ]),
        format!("true {started}"),
        "the door's end is not the container's"
    );
    cli.ok(&["rm", "-f", "stays"]);
    assert_eq!(cli.ok(&["ps", "-aq"]), "");
}

/// Output, input and exit codes of what is waited for.
fn foreground(cli: &Cli) {
    for _ in 0..3 {
        assert_eq!(cli.ok(&["run", "--rm", BUSYBOX, "echo", "hi"]), "hi");
    }
    let out = cli.run(&[
        "run",
        "--rm",
        BUSYBOX,
        "sh",
        "-c",
        "echo out; echo err >&2; exit 3",
    ]);
    assert_eq!(out.status.code(), Some(3), "{out:?}");
    assert_eq!((&out.stdout[..], &out.stderr[..]), (&b"out\n"[..], &b"err\n"[..]));
    let long = "0123456789abcdef".repeat(16 << 10);
    assert_eq!(
        cli.with_input(&["run", "-i", "--rm", BUSYBOX, "cat"], long.as_bytes()),
        long
    );
    let missing = cli.run(&["run", "--rm", BUSYBOX, "/nosuch"]);
    assert_eq!(missing.status.code(), Some(127), "{missing:?}");
    assert_eq!(cli.ok(&["ps", "-aq"]), "", "--rm leaves nothing behind");
}

/// The verbs on a container that runs on by itself.
fn background(cli: &Cli) {
    let loops = "i=0; while :; do echo line $i; i=$((i+1)); sleep 0.2; done";
    let id = cli.ok(&[
        "run", "-d", "--name", "web", "-p", "80", BUSYBOX, "sh", "-c", loops,
    ]);
    assert_eq!(cli.ok(&["ps", "-q", "--no-trunc", "--filter", "name=web"]), id);
    assert!(cli.ok(&["port", "web"]).starts_with("80/tcp -> 127."));
    assert_eq!(cli.ok(&["exec", "web", "sh", "-c", "echo in"]), "in");
    assert_eq!(
        cli.run(&["exec", "web", "sh", "-c", "exit 9"]).status.code(),
        Some(9)
    );
    assert_eq!(cli.with_input(&["exec", "-i", "web", "cat"], b"typed"), "typed");
    assert!(cli.ok(&["logs", "web"]).starts_with("line 0"));
    assert!(
        cli.ok(&["stats", "--no-stream", "--format", "{{.Name}}", "web"])
            .contains("web")
    );
    let again = cli.run(&["run", "--name", "web", BUSYBOX, "true"]);
    assert!(
        String::from_utf8_lossy(&again.stderr).contains("already in use"),
        "{again:?}"
    );
    let kept = cli.run(&["rm", "web"]);
    assert!(!kept.status.success(), "what runs is not removed");
    cli.ok(&["stop", "-t", "0", "web"]);
    assert_eq!(cli.ok(&["wait", "web"]), "137");
    assert_eq!(
        cli.ok(&["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "web"]),
        "exited 137"
    );
    cli.ok(&["start", "web"]);
    assert_eq!(
        cli.ok(&["inspect", "-f", "{{.State.Status}}", &id[..12]]),
        "running"
    );
    cli.ok(&["restart", "-t", "0", "web"]);
    cli.ok(&["kill", "web"]);
    assert_eq!(cli.ok(&["inspect", "-f", "{{.State.Status}}", "web"]), "exited");
    cli.ok(&["rm", "web"]);

    let trap = "trap 'echo got; exit 5' HUP; while :; do sleep 0.1; done";
    cli.ok(&["create", "--name", "held", BUSYBOX, "sh", "-c", trap]);
    assert_eq!(cli.ok(&["inspect", "-f", "{{.State.Status}}", "held"]), "created");
    cli.ok(&["start", "held"]);
    cli.ok(&["kill", "-s", "HUP", "held"]);
    assert_eq!(cli.ok(&["wait", "held"]), "5");
    assert_eq!(cli.ok(&["logs", "held"]), "got");
    cli.ok(&["rm", "-f", "held"]);
}

/// What is not served is refused by name, and what cannot be is told at once.
fn refusals(cli: &Cli) {
    for (args, words) in [
        (&["run", "--rm", "nosuch-image:1"][..], "Unable to find image"),
        (&["run", "--rm", "--cap-add", "ALL", BUSYBOX, "true"], "--cap-add"),
        (
            &["run", "--rm", "--cpus", "4000", BUSYBOX, "true"],
            "no suitable node",
        ),
        (&["inspect", "nosuch"], "o such object"),
        (&["rename", "nosuch", "other"], "No such container"),
    ] {
        let out = cli.run(args);
        assert!(!out.status.success(), "{args:?}: {out:?}");
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(said.contains(words), "{args:?}: {said}");
    }
    assert_eq!(cli.ok(&["ps", "-aq"]), "");
}
