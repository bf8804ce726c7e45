//! Broker, agents and the Docker door as processes of their own: a node that joins later, one that goes down, and
//! `kill -9` of each part in the middle of an update.

use crate::support::image::docker;
use crate::support::parts::{Part, endpoint};
use crate::support::service::Docker;
use crate::support::{eventually, free_port, plenum};
use serde_json::json;
use std::path::Path;
use std::process::Command;

/// A pool whose parts are processes of their own.
struct Pool {
    broker: Part,
    agents: Vec<Part>,
    scheduler: Part,
    url: String,
    docker: Docker,
    data: tempfile::TempDir,
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

impl Pool {
    async fn start(agents: u8) -> Self {
        let data = tempfile::Builder::new()
            .prefix("plenum-swarm-")
            .tempdir()
            .unwrap();
        let (dir, log) = (
            |name: &str| text(&data.path().join(name)),
            |name: &str| data.path().join(format!("{name}.log")),
        );
        let listen = format!("127.0.0.1:{}", free_port());
        let url = format!("http://{listen}");
        let broker = Part::start(
            &[],
            &["broker", "--listen", &listen, "--data", &dir("broker")],
            &log("broker"),
        );
        let door = format!("127.0.0.1:{}", free_port());
        let args = [
            "scheduler",
            "swarm",
            "--broker",
            &url,
            "--listen",
            &door,
            "--data",
            &dir("swarm"),
        ];
        let scheduler = Part::start(&[], &args, &log("swarm"));
        let host = endpoint(&data.path().join("swarm"), "docker").await;
        let mut pool = Self {
            broker,
            agents: Vec::new(),
            scheduler,
            url,
            docker: Docker::at(&host),
            data,
        };
        (0..agents).for_each(|_| pool.join());
        pool.nodes(usize::from(agents)).await;
        pool
    }

    /// One more agent.
    fn join(&mut self) {
        let i = self.agents.len() + 1;
        let (name, address) = (format!("n{i}"), format!("127.79.0.{i}"));
        let data = text(&self.data.path().join(&name));
        let args = [
            "agent",
            "--broker",
            &self.url,
            "--name",
            &name,
            "--address",
            &address,
            "--data",
            &data,
            "--set",
            "agent.cpu_millis=1000",
        ];
        let log = self.data.path().join(format!("{name}.log"));
        self.agents.push(Part::start(&[], &args, &log));
    }

    async fn nodes(&self, ready: usize) {
        eventually(&format!("{ready} nodes ready"), || async {
            let list = self.docker.run(&["node", "ls", "--format", "{{.Status}}"]);
            let list = crate::support::service::text(&list.stdout);
            let n = list.lines().filter(|l| *l == "Ready").count();
            if n == ready { Ok(()) } else { Err(list) }
        })
        .await;
    }

    /// Waits until so many tasks of `web` have the new variable.
    async fn replaced(&self, old: &[String], at_least: usize) {
        eventually(&format!("{at_least} replaced"), || async {
            let out = self.docker.run(&[
                "service",
                "ps",
                "web",
                "-q",
                "--no-trunc",
                "-f",
                "desired-state=running",
            ]);
            let now = crate::support::service::text(&out.stdout);
            let new = now.lines().filter(|id| !old.iter().any(|o| o == id)).count();
            if out.status.success() && new >= at_least {
                Ok(())
            } else {
                Err(now)
            }
        })
        .await;
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // The agents last but before `down`: what that stops they would report and see replaced.
        self.scheduler.kill_hard();
        self.broker.kill_hard();
        self.agents.iter_mut().for_each(Part::kill_hard);
        for i in 1..=self.agents.len() {
            let dir = self.data.path().join(format!("n{i}"));
            let _ = Command::new(plenum()).arg("down").arg("--data").arg(dir).output();
        }
    }
}

const SLEEP: [&str; 2] = ["sleep", "1000"];

#[tokio::test(flavor = "multi_thread")]
async fn a_part_killed_in_the_middle_of_an_update_costs_no_task_that_is_not_its_turn() {
    if !docker() {
        return;
    }
    let mut pool = Pool::start(2).await;
    let pace = [
        "--replicas",
        "5",
        "--update-delay",
        "1s",
        "--update-monitor",
        "1s",
    ];
    pool.docker.create("web", &pace, &SLEEP);
    pool.docker.create("calm", &["--replicas", "4"], &SLEEP);
    pool.docker.replicas("web", "5/5").await;
    pool.docker.replicas("calm", "4/4").await;
    let calm = pool.docker.containers("calm");
    assert_eq!(calm.len(), 4);
    let old = pool.docker.ps("web", "{{.ID}}");

    pool.docker.update("web", &["--env-add", "A=1"]);
    pool.replaced(&old, 1).await;
    pool.scheduler.kill_hard();
    pool.scheduler.start_again();
    pool.replaced(&old, 2).await;
    pool.agents[0].kill_hard();
    pool.agents[0].start_again();
    pool.replaced(&old, 3).await;
    pool.broker.kill_hard();
    pool.broker.start_again();
    pool.replaced(&old, 5).await;
    eventually("the update's end", || async {
        let out = pool
            .docker
            .run(&["service", "inspect", "web", "--format", "{{.UpdateStatus.State}}"]);
        let state = crate::support::service::text(&out.stdout);
        if state.trim() == "completed" {
            Ok(())
        } else {
            Err(state)
        }
    })
    .await;
    pool.docker.replicas("web", "5/5").await;
    assert_eq!(
        pool.docker.containers("calm"),
        calm,
        "the same containers run since the same moment"
    );
    let history = pool.docker.ps_all("web", "{{.DesiredState}}", &[]);
    let ended = history.iter().filter(|s| *s == "Shutdown").count();
    assert_eq!(
        (history.len(), ended),
        (10, 5),
        "each slot was replaced once: {history:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_joins_gets_what_is_global_and_one_that_goes_down_is_told() {
    if !docker() {
        return;
    }
    let mut pool = Pool::start(1).await;
    pool.docker
        .create("all", &["--mode", "global", "--restart-delay", "0s"], &SLEEP);
    pool.docker.replicas("all", "1/1").await;
    let first = pool.docker.ps("all", "{{.ID}} {{.Node}}");
    pool.join();
    pool.docker.replicas("all", "2/2").await;
    let both = pool.docker.ps("all", "{{.ID}} {{.Node}}");
    assert!(both.contains(&first[0]), "{first:?} {both:?}");
    let id = pool.docker.ok(&["node", "inspect", "n2", "--format", "{{.ID}}"]);
    let names = pool.docker.ps("all", "{{.Name}}");
    assert!(names.contains(&format!("all.{}", id.trim())), "{names:?}");

    pool.agents[1].kill_hard();
    eventually("n2 is down", || async {
        let node = pool.docker.get("/nodes/n2").await;
        let status = (node["Status"]["State"].clone(), node["Status"]["Message"].clone());
        if status == (json!("down"), json!("heartbeat failure")) {
            Ok(())
        } else {
            Err(format!("{status:?}"))
        }
    })
    .await;
    pool.agents[1].start_again();
    pool.nodes(2).await;
    pool.docker.replicas("all", "2/2").await;
    assert_eq!(pool.docker.containers("all").len(), 2);

    let told = pool.docker.told(&["node=n2"]);
    let update = |old: &str, new: &str| {
        (
            "update".to_owned(),
            json!({"name": "n2", "state.old": old, "state.new": new}),
        )
    };
    let wanted = [
        ("create".to_owned(), json!({"name": "n2"})),
        update("unknown", "ready"),
        update("ready", "down"),
        update("down", "ready"),
    ];
    assert_eq!(told, wanted);
}
