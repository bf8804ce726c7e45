//! The whole turn of the ring as a user makes it: create, look, follow, enter, scale, break, delete.

use super::support::image::{BUSYBOX, docker};
use super::support::up::{Up, cgroups_of, items};
use super::support::{eventually, pids_of, request};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Read as _;
use std::process::Stdio;

fn ids(tasks: &[Value]) -> BTreeSet<String> {
    tasks
        .iter()
        .map(|t| t["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_app_runs_scales_heals_and_leaves_nothing_behind() {
    let up = Up::start(3).await;
    let marker = up.loop_app("/loop", 1).await;

    up.marathon("PUT", "/v2/apps/loop", Some(&json!({"instances": 10})))
        .await;
    let ten = up.running("/loop", 10).await;
    let hosts: BTreeSet<_> = ten.iter().map(|t| t["host"].as_str().unwrap()).collect();
    assert!(hosts.len() > 1, "ten instances stand on several nodes: {hosts:?}");
    assert_eq!(pids_of(&marker).len(), 10, "ten processes really run");

    let ps = up.cli_ok(&["ps"]);
    assert!(ps.contains("loop") && ps.contains("10/10"), "{ps}");
    let list = up.cli_ok(&["task", "list"]);
    assert_eq!(
        list.lines().filter(|l| l.contains("running")).count(),
        10,
        "{list}"
    );

    up.marathon("PUT", "/v2/apps/loop", Some(&json!({"instances": 2})))
        .await;
    let two = up.running("/loop", 2).await;
    assert!(
        ids(&two).is_subset(&ids(&ten)),
        "scaling down leaves the others as they are"
    );
    eventually("two processes", || async {
        let n = pids_of(&marker).len();
        if n == 2 { Ok(()) } else { Err(format!("{n}")) }
    })
    .await;

    let victim = pids_of(&marker)[0];
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(victim),
        nix::sys::signal::Signal::SIGKILL,
    )
    .unwrap();
    eventually("a new instance", || async {
        let tasks = up.running("/loop", 2).await;
        if ids(&tasks) == ids(&two) {
            Err("the old ones".to_owned())
        } else {
            Ok(())
        }
    })
    .await;

    up.delete("/loop").await;
    assert_eq!(pids_of(&marker), Vec::<i32>::new(), "no process is left");
    eventually("no cgroup", || async {
        let left = cgroups_of(ten[0]["id"].as_str().unwrap());
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("{left:?}"))
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_are_followed_and_a_shell_is_entered() {
    let up = Up::start(1).await;
    let marker = up.loop_app("/talk", 1).await;
    let task = up.running("/talk", 1).await[0]["id"].as_str().unwrap().to_owned();

    let mut follow = up
        .command(&["task", "logs", "-f", &task])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut read = String::new();
    let mut out = follow.stdout.take().unwrap();
    let mut buffer = [0_u8; 4096];
    while read.matches(&marker).count() < 5 {
        let n = out.read(&mut buffer).unwrap();
        assert!(n > 0, "the log ended while it was followed: {read}");
        read.push_str(&String::from_utf8_lossy(&buffer[..n]));
    }
    follow.kill().unwrap();
    follow.wait().unwrap();

    let tail = up.cli_ok(&["task", "logs", "--tail", "2", &task]);
    assert_eq!(tail.lines().count(), 2, "{tail}");

    let exec = up.cli(&[
        "task",
        "exec",
        &task,
        "--",
        "sh",
        "-c",
        "echo in; echo err >&2; exit 7",
    ]);
    assert_eq!(exec.status.code(), Some(7));
    assert_eq!(String::from_utf8_lossy(&exec.stdout), "in\n");
    assert_eq!(String::from_utf8_lossy(&exec.stderr), "err\n");

    let shell = format!(
        "PLENUM_DATA={} {} task exec -it {task} sh",
        up.data().display(),
        super::support::plenum().display()
    );
    let mut script = std::process::Command::new("script")
        .args(["-qec", &shell, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(
        &mut script.stdin.as_mut().unwrap(),
        b"tty && echo is-$((40+2)); exit 5\n",
    )
    .unwrap();
    let mut screen = String::new();
    script.stdout.take().unwrap().read_to_string(&mut screen).unwrap();
    assert!(screen.contains("is-42"), "{screen}");
    assert_eq!(script.wait().unwrap().code(), Some(5), "{screen}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_docker_app_answers_on_its_dynamic_port_and_is_replaced_when_it_changes() {
    if !docker() {
        return;
    }
    let up = Up::start(2).await;
    let app = json!({
        "id": "/web", "cpus": 0.1, "mem": 32, "instances": 2,
        "cmd": "echo $MARATHON_APP_ID $GREETING > /www/index.html; exec httpd -f -p 8080 -h /www",
        "env": {"GREETING": "one"},
        "container": {"type": "DOCKER", "docker": {"image": BUSYBOX},
                      "portMappings": [{"containerPort": 8080, "hostPort": 0}]},
        "networks": [{"mode": "container/bridge"}],
    });
    up.create(app).await;
    let old = up.running("/web", 2).await;
    answers(&old, "/web one").await;

    let change = json!({"env": {"GREETING": "two"}});
    let (status, _) = up.marathon("PUT", "/v2/apps/web", Some(&change)).await;
    assert_eq!(status, 200);
    let new = up.running("/web", 2).await;
    assert!(
        ids(&new).is_disjoint(&ids(&old)),
        "a new configuration is new tasks"
    );
    answers(&new, "/web two").await;

    let task = new[0]["id"].as_str().unwrap();
    assert_eq!(
        up.cli_ok(&["task", "exec", task, "--", "cat", "/www/index.html"]),
        "/web two\n"
    );
    up.delete("/web").await;
    let names = std::process::Command::new("docker")
        .args(["ps", "-a", "--format", "{{.Names}}"])
        .output()
        .unwrap();
    let names = String::from_utf8_lossy(&names.stdout).into_owned();
    for task in items(&up.api("/v1/tasks?ended=true").await) {
        assert!(!names.contains(task["id"].as_str().unwrap_or("-")), "{names}");
    }
}

async fn answers(tasks: &[Value], expected: &str) {
    for task in tasks {
        let url = format!("http://{}:{}/", task["host"].as_str().unwrap(), task["ports"][0]);
        eventually(&url, || async {
            let text = match reqwest::get(&url).await {
                Ok(answer) => answer.text().await.unwrap_or_default(),
                Err(e) => return Err(e.to_string()),
            };
            if text.trim() == expected {
                Ok(())
            } else {
                Err(text)
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_of_this_machine_cannot_reach_the_api() {
    let up = Up::start(1).await;
    for door in ["api", "marathon"] {
        let path = if door == "api" { "/v1/nodes" } else { "/v2/apps" };
        let url = format!("{}{path}", up.url(door));
        let client = reqwest::Client::new();
        let origin = client
            .get(&url)
            .header("Origin", "http://evil.example")
            .send()
            .await
            .unwrap();
        let host = client
            .get(&url)
            .header("Host", "evil.example")
            .send()
            .await
            .unwrap();
        assert_eq!(
            (origin.status().as_u16(), host.status().as_u16()),
            (403, 403),
            "{door}"
        );
        assert_eq!(request("GET", &url, None).await.0, 200);
    }
}
