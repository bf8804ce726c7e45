//! `docker service` and what belongs to it, by the real CLIs against pools of three nodes.

mod files;
mod nodes;
mod pace;
mod parts;
mod updates;

use crate::support::image::{BUSYBOX, docker};
use crate::support::service::{Docker, clis};
use crate::support::up::Up;

const NODES: [&str; 6] = ["node-1", "node-1", "node-2", "node-2", "node-3", "node-3"];

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_made_spread_scaled_updated_rolled_back_and_removed_by_every_cli() {
    if !docker() {
        return;
    }
    let up = Up::start_with(3, &["swarm"]).await;
    for (n, program) in clis().into_iter().enumerate() {
        let d = Docker::with(program, up.url("docker"));
        life(&d, &format!("web{n}")).await;
    }
    let d = Docker::of(&up);
    assert!(d.no(&["swarm", "init"]).contains("already part of a swarm"));
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
}

/// From its making to its removal.
async fn life(d: &Docker, web: &str) {
    assert!(d.ok(&["version"]).contains("Plenum"));
    assert_eq!(d.ok(&["node", "ls", "-q"]).lines().count(), 3);
    let create =
        "service create --no-resolve-image --stop-grace-period 1s --update-monitor 500ms --replicas 6 --name";
    let mut args: Vec<&str> = create.split(' ').collect();
    args.extend([web, BUSYBOX, "sleep", "1000"]);
    let said = d.ok(&args);
    let converged = said.contains("verify: Service converged")
        || said.contains(&format!("verify: Service {web} converged"));
    assert!(
        said.contains("overall progress: 6 out of 6 tasks") && (converged || said.contains("Waiting")),
        "{said}"
    );
    assert_eq!(d.ps(web, "{{.Node}}"), NODES);
    let names: Vec<String> = (1..=6).map(|slot| format!("{web}.{slot}")).collect();
    assert_eq!(d.ps(web, "{{.Name}}"), names);
    let pretty = d.ok(&["service", "inspect", "--pretty", web]);
    for line in [
        "Service Mode:\tReplicated",
        " Replicas:\t6",
        " Parallelism:\t1",
        " Update order:      stop-first",
        " Image:\t\tplenum-test/busybox:1",
        " Args:\t\tsleep 1000",
    ] {
        assert!(pretty.contains(line), "{line} in {pretty}");
    }
    let taken = d.no(&[
        "service",
        "create",
        "-d",
        "--no-resolve-image",
        "--name",
        web,
        BUSYBOX,
    ]);
    assert!(
        taken.contains(&format!("service {web} already exists")),
        "{taken}"
    );

    d.ok(&["service", "scale", "-d", &format!("{web}=3")]);
    d.replicas(web, "3/3").await;
    assert_eq!(d.ps(web, "{{.Node}}"), ["node-1", "node-2", "node-3"]);
    d.ok(&["service", "scale", "-d", &format!("{web}=4")]);
    d.replicas(web, "4/4").await;
    d.ok(&["service", "scale", "-d", &format!("{web}=2")]);
    d.replicas(web, "2/2").await;
    update_and_roll_back(d, web);
    d.ok(&["service", "rm", web]);
    let gone = d.no(&["service", "inspect", web]);
    assert!(gone.contains(&format!("no such service: {web}")), "{gone}");
}

/// A label replaces no task, a variable replaces all, and rolling back takes it away again.
fn update_and_roll_back(d: &Docker, web: &str) {
    let before = d.ps(web, "{{.ID}}");
    d.ok(&["service", "update", "-q", "--label-add", "a=b", web]);
    assert_eq!(d.ps(web, "{{.ID}}"), before, "labels replace no task");
    assert_eq!(
        d.inspect(web, "{{.UpdateStatus}}"),
        "<nil>",
        "nothing had to be updated"
    );
    d.ok(&["service", "update", "-q", "--env-add", "A=1", web]);
    let status = d.inspect(web, "{{.UpdateStatus.State}} {{.UpdateStatus.Message}}");
    assert_eq!(status, "completed update completed");
    assert!(d.ps(web, "{{.ID}}").iter().all(|id| !before.contains(id)));
    d.ok(&["service", "rollback", "-d", "-q", web]);
    assert_eq!(d.inspect(web, "{{.Spec.TaskTemplate.ContainerSpec.Env}}"), "[]");
}
