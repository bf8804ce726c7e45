//! Every example does what its README says.

use super::support::image::{BUSYBOX, docker};
use super::support::kubectl::program;
use super::support::up::Up;
use super::support::{plenum, root};
use serde_json::Value;
use std::process::Command;

fn example(name: &str) -> (String, Value) {
    let path = root().join("examples").join(name).join("app.json");
    let app = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    (path.display().to_string(), app)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hello_prints_the_time() {
    let up = Up::start(1).await;
    let (path, app) = example("hello");
    up.cli_ok(&["apply", "-f", &path]);
    assert_eq!(up.running("/hello", 1).await.len(), 1);
    let logs = super::support::eventually("a line", || async {
        let logs = up.cli_ok(&["task", "logs", "hello"]);
        if logs.is_empty() {
            Err("no line".to_owned())
        } else {
            Ok(logs)
        }
    })
    .await;
    assert!(logs.lines().all(|l| l.contains(':')), "{logs}: {app}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn web_answers_on_the_port_that_the_list_shows() {
    if !docker() {
        return;
    }
    let up = Up::start(1).await;
    let (_, mut app) = example("web");
    app["container"]["docker"]["image"] = BUSYBOX.into();
    let own = up.data().join("web.json");
    std::fs::write(&own, app.to_string()).unwrap();
    up.cli_ok(&["apply", "-f", &own.display().to_string()]);
    for task in up.running("/web", 2).await {
        let url = format!("http://{}:{}/", task["host"].as_str().unwrap(), task["ports"][0]);
        super::support::eventually(&url, || async {
            let text = reqwest::get(&url)
                .await
                .map_err(|e| e.to_string())?
                .text()
                .await
                .unwrap_or_default();
            if text.starts_with("hello from ") {
                Ok(())
            } else {
                Err(text)
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_pool_shows_three_orchestrators_in_one_list() {
    let (true, Some(kubectl)) = (docker(), program()) else {
        return;
    };
    let up = Up::start_with(3, &["kubernetes", "marathon", "swarm"]).await;
    // the three tools are on the path, as a user has them
    let bin = up.data().join("bin");
    std::fs::create_dir(&bin).unwrap();
    for (name, program) in [("plenum", plenum()), ("kubectl", kubectl)] {
        let program = std::fs::canonicalize(program).unwrap();
        std::os::unix::fs::symlink(program, bin.join(name)).unwrap();
    }
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let out = Command::new(root().join("examples/one-pool/run.sh"))
        .env("PATH", path)
        .env("PLENUM_DATA", up.data())
        .env("IMAGE", BUSYBOX)
        .env("COLUMNS", "200")
        .output()
        .unwrap();
    assert!(out.status.success(), "{out:?}");
    let shown = String::from_utf8(out.stdout).unwrap();
    for row in [
        "hello-marathon ",
        "default/hello-kubernetes ",
        "hello-swarm ",
        "kubernetes  kubernetes  ready",
        "marathon    marathon    ready",
        "swarm       swarm       ready",
    ] {
        assert!(shown.contains(row), "`{row}` is not in\n{shown}");
    }
}
