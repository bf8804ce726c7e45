//! What Docker's clients get wrong is answered with dockerd's own status code, by a message that names the
//! fault. What a daemon without a swarm can be asked is asked of the real one of this machine in the same run.

use super::support::image::{BUSYBOX, docker};
use super::support::up::Up;
use reqwest::Client;
use serde_json::{Value, json};
use std::process::Command;

/// One request, with the status that it must get and what the message must say.
struct Case(&'static str, String, Value, u16, &'static str);

fn case(method: &'static str, path: &str, body: Value, status: u16, says: &'static str) -> Case {
    Case(method, path.to_owned(), body, status, says)
}

fn get(path: &str, status: u16, says: &'static str) -> Case {
    case("GET", path, Value::Null, status, says)
}

fn post(path: &str, body: Value, status: u16, says: &'static str) -> Case {
    case("POST", path, body, status, says)
}

/// One daemon, whoever it is.
struct Daemon {
    client: Client,
    url: String,
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

    /// A text is sent as it is, so that it may be no JSON.
    async fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, String) {
        let path = if path.starts_with("/v1.") {
            path.to_owned()
        } else {
            format!("/v1.41{path}")
        };
        let mut request = self
            .client
            .request(method.parse().unwrap(), format!("{}{path}", self.url));
        request = match body {
            Value::Null => request,
            Value::String(text) => request
                .header("Content-Type", "application/json")
                .body(text.clone()),
            other => request.json(other),
        };
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn made(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, text) = self.ask(method, path, body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    async fn id(&self, method: &str, path: &str, body: &Value) -> String {
        let made = self.made(method, path, body).await;
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
        let id = daemon.id("POST", &path, &run(command)).await;
        daemon
            .made("POST", &format!("/containers/{id}/start"), &Value::Null)
            .await;
    }
    daemon
        .made("POST", &format!("/containers/done-{mark}/wait"), &Value::Null)
        .await;
    let mut firsts = String::new();
    for n in 0.. {
        let path = format!("/containers/create?name=alike{n}-{mark}");
        let first = daemon.id("POST", &path, &run(&["true"])).await.remove(0);
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
            .output()
            .unwrap();
        let ids = String::from_utf8_lossy(&listed.stdout).into_owned();
        let removed = Command::new("docker")
            .args(["rm", "-f"])
            .args(ids.split_whitespace())
            .output();
        drop(removed);
    }
}

/// What both daemons are asked.
fn of_any_daemon(mark: &str, alike: &str) -> Vec<Case> {
    let create = "/containers/create";
    let host = |settings: Value| json!({"Image": BUSYBOX, "Cmd": ["true"], "HostConfig": settings});
    let (running, done) = (
        format!("/containers/run-{mark}"),
        format!("/containers/done-{mark}"),
    );
    let of = |container: &str, verb: &str| format!("{container}{verb}");
    vec![
        post(create, json!("{\"Image\": "), 400, "JSON"),
        get("/v1.99/info", 400, "client version 1.99 is too new"),
        get("/v1.11/info", 400, "client version 1.11 is too old"),
        get("/nosuch", 404, "page not found"),
        get(
            "/containers/json?filters={\"bogus\":[\"x\"]}",
            400,
            "Invalid filter 'bogus'",
        ),
        get("/containers/json?filters={", 400, "invalid filter"),
        get("/containers/json?filters={\"status\":[\"bogus\"]}", 400, "bogus"),
        get("/containers/json?limit=many", 400, "many"),
        post(
            &format!("{create}?name=run-{mark}"),
            run(&["true"]),
            409,
            "already in use by container",
        ),
        post(
            &format!("{create}?name=-bad"),
            run(&["true"]),
            400,
            "Invalid container name (-bad)",
        ),
        post(
            create,
            json!({"Image": "UPPER", "Cmd": ["true"]}),
            400,
            "must be lowercase",
        ),
        post(
            create,
            json!({"Image": "nosuch-image:1", "Cmd": ["true"]}),
            404,
            "No such image: nosuch-image:1",
        ),
        post(create, host(json!({"NanoCpus": -1})), 400, "NanoCpus"),
        post(
            create,
            host(json!({"Memory": 4096})),
            400,
            "Minimum memory limit allowed is 6MB",
        ),
        post(
            create,
            host(json!({"RestartPolicy": {"Name": "sometimes"}})),
            400,
            "restart policy",
        ),
        post(
            create,
            host(json!({"RestartPolicy": {"Name": "no", "MaximumRetryCount": 3}})),
            400,
            "maximum retry count",
        ),
        post(
            create,
            host(json!({"Mounts": [{"Type": "cloud", "Target": "/x"}]})),
            400,
            "cloud",
        ),
        post(
            create,
            host(json!({"Mounts": [{"Type": "bind", "Source": "rel", "Target": "/x"}]})),
            400,
            "rel",
        ),
        post(create, host(json!({"Binds": ["/a:rel"]})), 400, "rel"),
        post(
            create,
            host(json!({"PortBindings": {"99999/tcp": [{}]}})),
            400,
            "99999",
        ),
        post(
            create,
            host(json!({"PortBindings": {"80/tcp": [{"HostPort": "http"}]}})),
            400,
            "http",
        ),
        get("/containers/nosuch/json", 404, "No such container: nosuch"),
        get(
            &format!("/containers/{alike}/json"),
            400,
            "Multiple IDs found with provided prefix",
        ),
        post(&of(&running, "/start"), Value::Null, 304, ""),
        post(&of(&done, "/stop"), Value::Null, 304, ""),
        case(
            "DELETE",
            &running,
            Value::Null,
            409,
            "cannot remove a running container",
        ),
        post(&of(&done, "/kill"), Value::Null, 409, "is not running"),
        post(
            &of(&running, "/kill?signal=LOUD"),
            Value::Null,
            400,
            "Invalid signal: LOUD",
        ),
        post(
            &of(&done, "/exec"),
            json!({"Cmd": ["true"]}),
            409,
            "is not running",
        ),
        post(
            &of(&running, "/exec"),
            json!({}),
            400,
            "No exec command specified",
        ),
        post("/exec/nosuch/start", json!({}), 404, "No such exec instance"),
        get("/exec/nosuch/json", 404, "No such exec instance"),
        get(&of(&running, "/logs"), 400, "choose at least one stream"),
        get(&of(&done, "/top"), 409, "is not running"),
        post(&of(&done, "/resize?h=1&w=1"), Value::Null, 409, "is not running"),
        post(&of(&running, "/resize?h=tall&w=1"), Value::Null, 400, "tall"),
        post(
            &of(&done, &format!("/rename?name=run-{mark}")),
            Value::Null,
            409,
            "already in use",
        ),
        post(&of(&done, "/rename?name="), Value::Null, 400, "empty"),
        get("/images/nosuch/json", 404, "No such image: nosuch"),
        get("/networks/nosuch", 404, "network nosuch not found"),
        get("/volumes/nosuch", 404, "no such volume"),
        post(create, json!({"Image": BUSYBOX}), 400, "o command specified"),
    ]
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
    let alike = (containers(&pool, &mark).await, containers(&real, &mark).await);
    let (ours, theirs) = (of_any_daemon(&mark, &alike.0), of_any_daemon(&mark, &alike.1));
    let mut wrong = Vec::new();
    for (Case(method, path, body, status, says), their) in ours.iter().zip(&theirs) {
        let (got, text) = pool.ask(method, path, body).await;
        let (real_got, real_text) = real.ask(method, &their.1, body).await;
        // What is the client's fault is told so here, where the daemon of that age calls it its own.
        let same = real_got == *status || (real_got == 500 && *status == 400);
        if got != *status || !text.contains(says) || !same {
            wrong.push(format!(
                "{method} {path} {body}\n  wanted {status} {says:?}\n  got    {got} {text}  dockerd {real_got} {real_text}"
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        ours.len(),
        wrong.join("\n")
    );
}

fn service(name: &str) -> Value {
    json!({"Name": name, "TaskTemplate": {"ContainerSpec": {"Image": BUSYBOX, "Args": ["sleep", "1000"]}}})
}

/// The same with one thing changed.
fn with(pointer: &str, value: Value) -> Value {
    let mut spec = service("other");
    let mut at = &mut spec;
    for key in pointer.split('/') {
        at = &mut at[key];
    }
    *at = value;
    spec
}

/// What only a swarm is asked; `docker.md` says what a real one answers.
fn of_a_swarm(service_id: &str, index: u64, node: &str, node_index: u64, secret: &str) -> Vec<Case> {
    let update = |version: &str| format!("/services/{service_id}/update?version={version}");
    let create = "/services/create";
    let now = index.to_string();
    let global =
        json!({"Name": "svc", "Mode": {"Global": {}}, "TaskTemplate": service("svc")["TaskTemplate"]});
    let ingress = json!({"Ports": [{"TargetPort": 80, "PublishedPort": 8080}]});
    let node_update = format!("/nodes/{node}/update?version={node_index}");
    let blob = |name: &str, data: &str| json!({"Name": name, "Data": data});
    let constraint = "TaskTemplate/Placement";
    vec![
        post(create, json!("{\"Name\": "), 400, "JSON"),
        post(create, service("svc"), 409, "service svc already exists"),
        post(create, service("-bad-"), 400, "DNS name component"),
        post(
            create,
            with("TaskTemplate/ContainerSpec/Image", json!("")),
            400,
            "image",
        ),
        post(
            create,
            with("TaskTemplate/ContainerSpec/Image", json!("UPPER")),
            400,
            "UPPER",
        ),
        post(
            create,
            with("TaskTemplate/Resources", json!({"Limits": {"NanoCPUs": -1}})),
            400,
            "cpu",
        ),
        post(
            create,
            with("TaskTemplate/Resources", json!({"Limits": {"MemoryBytes": 5}})),
            400,
            "memory",
        ),
        post(
            create,
            with("TaskTemplate/RestartPolicy", json!({"Condition": "sometimes"})),
            400,
            "sometimes",
        ),
        post(
            create,
            with(constraint, json!({"Constraints": ["node.role=worker"]})),
            400,
            "expected one operator",
        ),
        post(
            create,
            with(
                "TaskTemplate/ContainerSpec/Mounts",
                json!([{"Type": "cloud", "Target": "/x"}]),
            ),
            400,
            "cloud",
        ),
        post(
            create,
            with(
                "TaskTemplate/ContainerSpec/Mounts",
                json!([{"Type": "bind", "Source": "/a"}]),
            ),
            400,
            "arget",
        ),
        post(
            create,
            with(
                "EndpointSpec",
                json!({"Ports": [{"TargetPort": 99999, "PublishMode": "host"}]}),
            ),
            400,
            "99999",
        ),
        post(
            create,
            with(
                "TaskTemplate/ContainerSpec/Secrets",
                json!([{"SecretID": "nosuch", "SecretName": "nosuch", "File": {"Name": "a"}}]),
            ),
            400,
            "not found",
        ),
        post(create, with("EndpointSpec", ingress), 501, "mode=host"),
        post(
            create,
            with("TaskTemplate/Networks", json!([{"Target": "nonet"}])),
            404,
            "nonet",
        ),
        post(
            "/networks/create",
            json!({"Name": "over", "Driver": "overlay"}),
            501,
            "not served",
        ),
        post(&update("7"), service("svc"), 500, "update out of sequence"),
        post(
            &update("many"),
            service("svc"),
            400,
            "invalid service version 'many'",
        ),
        post(&update(""), service("svc"), 400, "invalid service version ''"),
        post(
            &update(&now),
            service("renamed"),
            501,
            "renaming services is not supported",
        ),
        post(&update(&now), global, 501, "service mode change is not allowed"),
        post(
            &format!("{}&rollback=previous", update(&now)),
            service("svc"),
            400,
            "does not have a previous spec",
        ),
        get("/services/nosuch", 404, "service nosuch not found"),
        get(
            "/services?status=perhaps",
            400,
            "invalid value for status: perhaps",
        ),
        get(
            "/services?filters={\"bogus\":[\"x\"]}",
            400,
            "Invalid filter 'bogus'",
        ),
        case(
            "DELETE",
            "/services/nosuch",
            Value::Null,
            404,
            "service nosuch not found",
        ),
        get("/services/svc/logs", 400, "choose at least one stream"),
        get(
            "/tasks?filters={\"service\":[\"nosvc\"]}",
            404,
            "service nosvc not found",
        ),
        get("/tasks?filters={\"desired-state\":[\"bogus\"]}", 400, "bogus"),
        get("/tasks/nosuch", 404, "task nosuch not found"),
        post(
            &node_update,
            json!({"Role": "worker", "Availability": "sleepy"}),
            400,
            "sleepy",
        ),
        post(
            &format!("/nodes/{node}/update?version=1"),
            json!({"Availability": "active"}),
            500,
            "update out of sequence",
        ),
        get("/nodes/nosuch", 404, "node nosuch not found"),
        case(
            "DELETE",
            &format!("/nodes/{node}"),
            Value::Null,
            400,
            "can't be removed",
        ),
        post(
            "/secrets/create",
            blob("held", "aGk="),
            409,
            "secret held already exists",
        ),
        post("/secrets/create", blob("bad name", "aGk="), 400, "invalid name"),
        post("/secrets/create", blob("other", "***"), 400, "secret data"),
        post("/secrets/create", blob("other", ""), 400, "larger than 0"),
        case(
            "DELETE",
            &format!("/secrets/{secret}"),
            Value::Null,
            400,
            "secret 'held' is in use by the following service: svc",
        ),
        get("/secrets/nosuch", 404, "secret nosuch not found"),
        get("/configs/nosuch", 404, "config nosuch not found"),
        post("/swarm/init", json!({}), 503, "already part of a swarm"),
        post(
            "/swarm/update?version=x",
            json!({}),
            400,
            "invalid swarm version 'x'",
        ),
        get("/events?filters={\"bogus\":[\"x\"]}", 400, "bogus"),
        get("/plugins/nosuch/json", 404, "plugin \"nosuch\" not found"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_request_about_services_gets_the_status_of_a_real_swarm() {
    let up = Up::start_with(2, &["swarm"]).await;
    let pool = Daemon::pool(&up);
    let secret = json!({"Name": "held", "Data": "aGk="});
    let secret = pool.id("POST", "/secrets/create", &secret).await;
    let mut spec = service("svc");
    spec["TaskTemplate"]["ContainerSpec"]["Secrets"] = json!([{"SecretID": secret, "SecretName": "held", "File": {"Name": "held", "UID": "0", "GID": "0", "Mode": 292}}]);
    spec["Mode"] = json!({"Replicated": {"Replicas": 0}});
    let id = pool.id("POST", "/services/create", &spec).await;
    let index = pool.made("GET", &format!("/services/{id}"), &Value::Null).await;
    let nodes = pool.made("GET", "/nodes", &Value::Null).await;
    let worker = nodes
        .as_array()
        .unwrap()
        .iter()
        .find(|n| n["Spec"]["Role"] == "worker");
    let worker = worker.unwrap();
    let number = |v: &Value| v["Version"]["Index"].as_u64().unwrap();
    let cases = of_a_swarm(
        &id,
        number(&index),
        worker["ID"].as_str().unwrap(),
        number(worker),
        &secret,
    );
    let mut wrong = Vec::new();
    for Case(method, path, body, status, says) in &cases {
        let (got, text) = pool.ask(method, path, body).await;
        if got != *status || !text.contains(says) {
            wrong.push(format!(
                "{method} {path} {body}\n  wanted {status} {says:?}\n  got    {got} {text}"
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
    let services = pool.made("GET", "/services", &Value::Null).await;
    assert_eq!(
        services.as_array().unwrap().len(),
        1,
        "nothing bad left anything: {services}"
    );
    let unchanged = pool.made("GET", &format!("/services/{id}"), &Value::Null).await;
    assert_eq!(number(&unchanged), number(&index));
}
