//! `docker service` and what belongs to it, by the real CLI against a pool of three nodes.

use crate::support::eventually;
use crate::support::image::{BUSYBOX, docker};
use crate::support::up::Up;
use std::process::{Command, Output};

/// The CLI at the pool's door.
struct Docker(String);

impl Docker {
    fn of(up: &Up) -> Self {
        Self(up.url("docker").to_owned())
    }

    fn run(&self, args: &[&str]) -> Output {
        Command::new("docker")
            .args(args)
            .env("DOCKER_HOST", &self.0)
            .env_remove("DOCKER_CONTEXT")
            .output()
            .unwrap()
    }

    /// Must succeed; what it printed.
    fn ok(&self, args: &[&str]) -> String {
        let out = self.run(args);
        let (stdout, stderr) = (text(&out.stdout), text(&out.stderr));
        assert!(out.status.success(), "docker {args:?}\n{stdout}\n{stderr}");
        stdout
    }

    /// Must fail; what it said.
    fn no(&self, args: &[&str]) -> String {
        let out = self.run(args);
        assert!(
            !out.status.success(),
            "docker {args:?} succeeded: {}",
            text(&out.stdout)
        );
        text(&out.stderr)
    }

    fn create(&self, name: &str, more: &[&str], command: &[&str]) {
        let mut args = vec![
            "service",
            "create",
            "-d",
            "-q",
            "--no-resolve-image",
            "--stop-grace-period",
            "1s",
            "--name",
            name,
        ];
        args.extend(more);
        args.push(BUSYBOX);
        args.extend(command);
        self.ok(&args);
    }

    /// Lines of `service ps` of live tasks, in this format.
    fn ps(&self, service: &str, format: &str) -> Vec<String> {
        let mut lines: Vec<String> = self
            .ok(&[
                "service",
                "ps",
                "--no-trunc",
                "-f",
                "desired-state=running",
                "--format",
                format,
                service,
            ])
            .lines()
            .map(str::to_owned)
            .collect();
        lines.sort();
        lines
    }

    async fn replicas(&self, service: &str, wanted: &str) {
        eventually(&format!("{service} at {wanted}"), || async {
            let list = self.ok(&["service", "ls", "--format", "{{.Name}} {{.Replicas}}"]);
            let line = format!("{service} {wanted}");
            if list.lines().any(|l| l == line) {
                Ok(())
            } else {
                Err(list)
            }
        })
        .await;
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A label replaces no task, a variable replaces all, and rolling back takes it away again.
fn update_and_roll_back(d: &Docker) {
    let before = d.ps("web", "{{.ID}}");
    d.ok(&["service", "update", "-q", "--label-add", "a=b", "web"]);
    assert_eq!(d.ps("web", "{{.ID}}"), before, "labels replace no task");
    d.ok(&[
        "service",
        "update",
        "-q",
        "--update-monitor",
        "500ms",
        "--env-add",
        "A=1",
        "web",
    ]);
    let status = d.ok(&[
        "service",
        "inspect",
        "web",
        "--format",
        "{{.UpdateStatus.State}} {{.UpdateStatus.Message}}",
    ]);
    assert_eq!(status.trim(), "completed update completed");
    assert!(d.ps("web", "{{.ID}}").iter().all(|id| !before.contains(id)));
    d.ok(&["service", "rollback", "-q", "web"]);
    assert!(
        !d.ok(&[
            "service",
            "inspect",
            "web",
            "--format",
            "{{.Spec.TaskTemplate.ContainerSpec.Env}}"
        ])
        .contains("A=1")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_made_spread_scaled_updated_rolled_back_and_removed() {
    if !docker() {
        return;
    }
    let up = Up::start_with(3, &["swarm"]).await;
    let d = Docker::of(&up);
    assert!(d.ok(&["version"]).contains("Plenum"));
    assert_eq!(d.ok(&["node", "ls", "-q"]).lines().count(), 3);
    assert!(d.no(&["swarm", "init"]).contains("already part of a swarm"));

    d.create("web", &["--replicas", "6"], &["sleep", "1000"]);
    d.replicas("web", "6/6").await;
    let nodes = d.ps("web", "{{.Node}}");
    assert_eq!(
        nodes,
        ["node-1", "node-1", "node-2", "node-2", "node-3", "node-3"]
    );
    let names = d.ps("web", "{{.Name}}");
    assert_eq!(names, ["web.1", "web.2", "web.3", "web.4", "web.5", "web.6"]);

    d.ok(&["service", "scale", "-d", "web=3"]);
    d.replicas("web", "3/3").await;
    assert_eq!(d.ps("web", "{{.Node}}"), ["node-1", "node-2", "node-3"]);

    update_and_roll_back(&d);

    let said = d.no(&[
        "service",
        "update",
        "-q",
        "--no-resolve-image",
        "--image",
        "nosuch:1",
        "web",
    ]);
    assert!(
        said.contains("service update paused: update paused due to failure or early termination of task"),
        "{said}"
    );

    let taken = d.no(&[
        "service",
        "create",
        "-d",
        "--no-resolve-image",
        "--name",
        "web",
        BUSYBOX,
    ]);
    assert!(taken.contains("service web already exists"), "{taken}");
    let ingress = d.no(&[
        "service",
        "create",
        "-d",
        "--no-resolve-image",
        "-p",
        "8080:80",
        BUSYBOX,
    ]);
    assert!(
        ingress.contains("--publish mode=host,published=8080,target=80"),
        "{ingress}"
    );
    d.ok(&["service", "rm", "web"]);
    assert!(
        d.no(&["service", "inspect", "web"])
            .contains("no such service: web")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_are_labelled_and_drained_and_what_fits_nowhere_says_why() {
    if !docker() {
        return;
    }
    let up = Up::start_with(3, &["swarm"]).await;
    let d = Docker::of(&up);
    d.ok(&["node", "update", "--label-add", "zone=a", "node-1"]);
    d.create(
        "zone",
        &["--replicas", "2", "--constraint", "node.labels.zone==A"],
        &["sleep", "1000"],
    );
    d.create("all", &["--mode", "global"], &["sleep", "1000"]);
    d.create(
        "none",
        &["--constraint", "node.labels.zone==q"],
        &["sleep", "1000"],
    );
    d.create("big", &["--reserve-cpu", "500"], &["sleep", "1000"]);
    d.replicas("zone", "2/2").await;
    d.replicas("all", "3/3").await;
    assert_eq!(d.ps("zone", "{{.Node}}"), ["node-1", "node-1"]);
    eventually("the reasons", || async {
        let errors = [d.ps("none", "{{.Error}}"), d.ps("big", "{{.Error}}")].concat();
        let wanted = [
            "\"no suitable node (scheduling constraints not satisfied on 3 nodes)\"",
            "\"no suitable node (insufficient resources on 3 nodes)\"",
        ];
        if errors == wanted {
            Ok(())
        } else {
            Err(format!("{errors:?}"))
        }
    })
    .await;

    d.ok(&["node", "update", "--availability", "drain", "node-1"]);
    d.replicas("all", "2/2").await;
    d.replicas("zone", "0/2").await;
    d.ok(&["node", "update", "--availability", "active", "node-1"]);
    d.replicas("all", "3/3").await;
    d.replicas("zone", "2/2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_and_configs_are_in_the_container_and_logs_say_where_from() {
    if !docker() {
        return;
    }
    let up = Up::start_with(3, &["swarm"]).await;
    let d = Docker::of(&up);
    let file = up.data().join("value");
    std::fs::write(&file, "hush").unwrap();
    let path = file.to_str().unwrap();
    d.ok(&["secret", "create", "s1", path]);
    d.ok(&["config", "create", "c1", path]);
    assert!(!d.ok(&["secret", "inspect", "s1"]).contains("Data"));
    let script = "cat /run/secrets/s1 /c1; echo \" of $SLOT\"; sleep 1000";
    let more = [
        "--replicas",
        "3",
        "--secret",
        "s1",
        "--config",
        "c1",
        "-e",
        "SLOT={{.Task.Slot}}",
    ];
    d.create("sc", &more, &["sh", "-c", script]);
    d.replicas("sc", "3/3").await;
    eventually("three lines", || async {
        let mut lines: Vec<String> = d
            .ok(&["service", "logs", "--raw", "sc"])
            .lines()
            .map(str::to_owned)
            .collect();
        lines.sort();
        let wanted = ["hushhush of 1", "hushhush of 2", "hushhush of 3"];
        if lines == wanted {
            Ok(())
        } else {
            Err(format!("{lines:?}"))
        }
    })
    .await;
    assert!(d.ok(&["service", "logs", "sc"]).contains("@node-2"));
    assert!(
        d.no(&["secret", "rm", "s1"])
            .contains("secret 's1' is in use by the following service: sc")
    );
    d.ok(&["service", "rm", "sc"]);
    d.ok(&["secret", "rm", "s1"]);
    d.ok(&["config", "rm", "c1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_killed_in_the_middle_of_an_update_goes_on_where_it_was() {
    if !docker() {
        return;
    }
    let mut up = Up::start_with(3, &["swarm"]).await;
    let d = Docker::of(&up);
    d.create(
        "web",
        &[
            "--replicas",
            "3",
            "--update-delay",
            "2s",
            "--update-monitor",
            "500ms",
        ],
        &["sleep", "1000"],
    );
    d.create("calm", &["--replicas", "3"], &["sleep", "1000"]);
    d.replicas("web", "3/3").await;
    d.replicas("calm", "3/3").await;
    let calm = d.ps("calm", "{{.ID}}");
    let old = d.ps("web", "{{.ID}}");
    d.ok(&["service", "update", "-d", "-q", "--env-add", "A=1", "web"]);
    eventually("the first is replaced", || async {
        let now = d.ps("web", "{{.ID}}");
        if now == old {
            Err(format!("{now:?}"))
        } else {
            Ok(())
        }
    })
    .await;
    up.kill_hard();
    up.start_again().await;
    let d = Docker::of(&up);
    eventually("the update's end", || async {
        let state = d.ok(&["service", "inspect", "web", "--format", "{{.UpdateStatus.State}}"]);
        if state.trim() == "completed" {
            Ok(())
        } else {
            Err(state)
        }
    })
    .await;
    d.replicas("web", "3/3").await;
    assert!(d.ps("web", "{{.ID}}").iter().all(|id| !old.contains(id)));
    assert_eq!(d.ps("calm", "{{.ID}}"), calm, "no task restarts for it");
}
