//! What Docker's clients get wrong is answered with dockerd's own status code, by a message that names the
//! fault. The requests are tables beside this file. What a daemon without a swarm can be asked is asked of the
//! real one of this machine in the same run.

use super::support::image::{BUSYBOX, docker};
use super::support::up::Up;
use reqwest::Client;
use serde_json::{Value, json};
use std::process::Command;

/// One daemon, whoever it is.
struct Daemon {
    client: Client,
    url: String,
}

/// One request, with the status that it must get and what the message must say.
struct Case<'a> {
    method: &'a str,
    path: &'a str,
    body: &'a str,
    status: u16,
    says: &'a str,
}

/// The lines of a table whose capitals were filled in.
fn cases(table: &str) -> Vec<Case<'_>> {
    let lines = table.lines().filter(|l| !l.starts_with('#'));
    lines
        .map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let [request, body, status, says] = cells[..] else {
                panic!("four cells: {line}");
            };
            let (method, path) = request.split_once(' ').unwrap();
            Case {
                method,
                path,
                body,
                status: status.parse().unwrap(),
                says,
            }
        })
        .collect()
}

fn fill(table: &str, values: &[(&str, &str)]) -> String {
    let values = [&[("IMAGE", BUSYBOX)], values].concat();
    values
        .iter()
        .fold(table.to_owned(), |text, (name, value)| text.replace(name, value))
}

impl Daemon {
    fn pool(up: &Up) -> Self {
        Self {
            client: Client::new(),
            url: up.url("docker").replace("tcp://", "http://"),
        }
    }

    fn real() -> Self {
        let client = Client::builder().unix_socket("/var/run/docker.sock");
        Self {
            client: client.build().unwrap(),
            url: "http://docker".to_owned(),
        }
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let version = if path.starts_with("/v1.") { "" } else { "/v1.41" };
        let url = format!("{}{version}{path}", self.url);
        let mut request = self.client.request(method.parse().unwrap(), url);
        if !body.is_empty() {
            let body = body.to_owned();
            request = request.header("Content-Type", "application/json").body(body);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn made(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let (status, text) = self.ask(method, path, &body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    async fn id(&self, path: &str, body: &Value) -> String {
        let made = self.made("POST", path, body).await;
        let id = made["Id"].as_str().or_else(|| made["ID"].as_str());
        id.unwrap_or_else(|| panic!("{made} has no id")).to_owned()
    }
}

fn run(command: &[&str]) -> Value {
    json!({"Image": BUSYBOX, "Cmd": command})
}

/// A container that runs, one that has ended, and two whose ids begin alike; gives that beginning.
async fn containers(daemon: &Daemon, mark: &str) -> String {
    for (name, command) in [("run", &["sleep", "1000"][..]), ("done", &["true"])] {
        let path = format!("/containers/create?name={name}-{mark}");
        let id = daemon.id(&path, &run(command)).await;
        let start = format!("/containers/{id}/start");
        daemon.made("POST", &start, &Value::Null).await;
    }
    let wait = format!("/containers/done-{mark}/wait");
    daemon.made("POST", &wait, &Value::Null).await;
    let mut firsts = String::new();
    for n in 0.. {
        let path = format!("/containers/create?name=alike{n}-{mark}");
        let first = daemon.id(&path, &run(&["true"])).await.remove(0);
        if firsts.contains(first) {
            return first.to_string();
        }
        firsts.push(first);
    }
    unreachable!("there are sixteen digits");
}

/// Removes what `containers` made of the real daemon, however the test ends.
struct Swept(String);

impl Drop for Swept {
    fn drop(&mut self) {
        let filter = format!("name=-{}", self.0);
        let listed = Command::new("docker")
            .args(["ps", "-aq", "--filter", &filter])
            .output();
        let ids = String::from_utf8_lossy(&listed.unwrap().stdout).into_owned();
        let removed = Command::new("docker")
            .args(["rm", "-f"])
            .args(ids.split_whitespace())
            .output();
        drop(removed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_request_about_containers_gets_the_status_of_the_real_daemon() {
    if !docker() {
        return;
    }
    let up = Up::start_with(1, &["swarm"]).await;
    let (pool, real) = (Daemon::pool(&up), Daemon::real());
    let mark = format!("bad{}", std::process::id());
    let _swept = Swept(mark.clone());
    let table = |alike: &str| {
        let values = [("MARK", &mark[..]), ("ALIKE", alike)];
        fill(include_str!("docker_bad_input/containers.txt"), &values)
    };
    let ours = table(&containers(&pool, &mark).await);
    let theirs = table(&containers(&real, &mark).await);
    let mut wrong = Vec::new();
    for (case, their) in cases(&ours).iter().zip(cases(&theirs)) {
        let Case {
            method,
            path,
            body,
            status,
            says,
        } = case;
        let (got, text) = pool.ask(method, path, body).await;
        let (real_got, real_text) = real.ask(method, their.path, body).await;
        // What is the client's fault is told so here, where the daemon of that age calls it its own.
        let same = real_got == *status || (real_got == 500 && *status == 400);
        if got != *status || !text.contains(says) || !same {
            wrong.push(format!(
                "{method} {path} {body}\n  wanted {status} {says}\n  got    {got} {text}  dockerd {real_got} {real_text}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_request_about_services_gets_the_status_of_a_real_swarm() {
    let up = Up::start_with(2, &["swarm"]).await;
    let pool = Daemon::pool(&up);
    let secret = json!({"Name": "held", "Data": "aGk="});
    let secret = pool.id("/secrets/create", &secret).await;
    let file = json!({"Name": "held", "UID": "0", "GID": "0", "Mode": 292});
    let reference = json!({"SecretID": secret, "SecretName": "held", "File": file});
    let service = json!({
        "Name": "svc",
        "Mode": {"Replicated": {"Replicas": 0}},
        "TaskTemplate": {"ContainerSpec": {"Image": BUSYBOX, "Secrets": [reference]}},
    });
    let id = pool.id("/services/create", &service).await;
    let number = |v: &Value| v["Version"]["Index"].to_string();
    let inspect = format!("/services/{id}");
    let index = number(&pool.made("GET", &inspect, &Value::Null).await);
    let nodes = pool.made("GET", "/nodes", &Value::Null).await;
    let mut workers = nodes.as_array().unwrap().iter();
    let worker = workers.find(|n| n["Spec"]["Role"] == "worker").unwrap();
    let newest = number(worker);
    let values = [
        ("SERVICE", &id[..]),
        ("INDEX", &index),
        ("NODE", worker["ID"].as_str().unwrap()),
        ("NEWEST", &newest),
        ("SECRET", &secret),
    ];
    let table = fill(include_str!("docker_bad_input/swarm.txt"), &values);
    let mut wrong = Vec::new();
    for Case {
        method,
        path,
        body,
        status,
        says,
    } in cases(&table)
    {
        let (got, text) = pool.ask(method, path, body).await;
        if got != status || !text.contains(says) {
            wrong.push(format!(
                "{method} {path} {body}\n  wanted {status} {says}\n  got    {got} {text}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let services = pool.made("GET", "/services", &Value::Null).await;
    assert_eq!(
        services.as_array().unwrap().len(),
        1,
        "nothing bad left anything: {services}"
    );
    assert_eq!(number(&pool.made("GET", &inspect, &Value::Null).await), index);
}
