//! A server and a Marathon door held in memory, and a way to run a command against them.

use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use futures::StreamExt;
use jiff::Timestamp;
use plenum_client::frame::Frame;
use plenum_client::v1::amounts::Amounts;
use plenum_client::v1::error::ErrorBody;
use plenum_client::v1::event::Event;
use plenum_client::v1::list::{Info, List};
use plenum_client::v1::node::{Node, Taint, TaintRequest};
use plenum_client::v1::scheduler::Scheduler;
use plenum_client::v1::simulate::{Ended, Placed, ShareChange, SimulateRequest, Simulation, Waits};
use plenum_client::v1::stream::{ExecStart, LogLine};
use plenum_client::v1::task::{Exit, Port, Task, WorkloadRef};
use plenum_client::v1::tenant::{Tenant, TenantSettings};
use plenum_client::v1::why::{
    Ahead, Blocks, CauseCount, Explanation, KeptRoom, NodeExplanation, NodeVerdict, Other, TaskCount,
    TenantExplanation, WaitsFor, Why,
};
use plenum_client::v1::workload::Workload;
use plenum_model::code;
use plenum_model::fix::Fix;
use plenum_model::ids::NodeId;
use plenum_model::node::{Liveness, Scheduling};
use plenum_model::phase::Phase;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// What happens to an app that is created.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It runs after some looks at the deployments.
    #[default]
    Runs,
    /// Its image cannot be had.
    NoImage,
    /// No node has room for it.
    NoRoom,
}

#[derive(Default)]
pub(crate) struct World {
    pub(crate) supposed: Vec<SimulateRequest>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) tasks: Vec<Task>,
    pub(crate) workloads: Vec<Workload>,
    pub(crate) tenants: Vec<Tenant>,
    pub(crate) apps: Vec<Value>,
    pub(crate) deleted: Vec<String>,
    pub(crate) stopped: Vec<(String, Value)>,
    pub(crate) fate: Fate,
    /// Looks at the deployments until the one that goes on is done.
    pub(crate) looks: u32,
}

type Shared = Arc<Mutex<World>>;

/// A running server; its address stands in the data directory, as `plenum up` would leave it.
pub(crate) struct Server {
    pub(crate) world: Shared,
    pub(crate) home: TempDir,
    served: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.served.abort();
    }
}

pub(crate) async fn serve(world: World) -> Server {
    let world = Arc::new(Mutex::new(world));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = api().merge(door()).with_state(world.clone());
    let served = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let home = tempfile::tempdir().unwrap();
    let endpoints = json!({"api": url, "marathon": url}).to_string();
    std::fs::write(home.path().join("endpoints.json"), endpoints).unwrap();
    Server { world, home, served }
}

impl Server {
    /// A command against this server.
    pub(crate) fn command(&self, line: &str) -> Command {
        command(line, self.home.path())
    }

    /// Runs a command to its end.
    pub(crate) async fn run(&self, line: &str) -> Ran {
        let mut command = self.command(line);
        ran(tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap())
    }
}

/// A command whose home and data directory is `home`.
pub(crate) fn command(line: &str, home: &std::path::Path) -> Command {
    // The test stands in target/debug/deps, examples beside that.
    let me = std::env::current_exe().unwrap();
    let binary = me.parent().unwrap().parent().unwrap().join("examples/user");
    let mut command = Command::new(binary);
    command
        .args(line.split(' ').filter(|w| !w.is_empty()))
        .env_clear()
        .env("HOME", home)
        .env("PLENUM_DATA", home)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

pub(crate) fn ran(output: Output) -> Ran {
    Ran {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

pub(crate) async fn wait(child: Child) -> Ran {
    ran(
        tokio::task::spawn_blocking(move || child.wait_with_output().unwrap())
            .await
            .unwrap(),
    )
}

fn api() -> Router<Shared> {
    Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route(
            "/v1/info",
            get(|| async {
                Json(Info {
                    version: "9.9.9".into(),
                    apis: vec!["v1".into()],
                })
            }),
        )
        .route(
            "/v1/nodes",
            get(|State(w): State<Shared>| async move { list(w.lock().unwrap().nodes.clone()) }),
        )
        .route("/v1/simulate", post(simulate))
        .route("/v1/why/nodes/{node}", get(why_node))
        .route("/v1/why/tenants/{*path}", get(why_tenant))
        .route("/v1/nodes/{node}", get(node))
        .route("/v1/nodes/{node}/taints", post(taint))
        .route("/v1/nodes/{node}/{verb}", post(set_node))
        .route(
            "/v1/workloads",
            get(|State(w): State<Shared>| async move { list(w.lock().unwrap().workloads.clone()) }),
        )
        .route("/v1/tasks", get(tasks))
        .route("/v1/tasks/{task}", get(task_by_name))
        .route("/v1/tasks/{task}/stop", post(stop))
        .route("/v1/tasks/{task}/why", get(why))
        .route("/v1/tasks/{task}/logs", get(logs))
        .route("/v1/tasks/{task}/exec", get(exec))
        .route("/v1/schedulers", get(|| async { list(vec![marathon()]) }))
        .route(
            "/v1/tenants",
            get(|State(w): State<Shared>| async move { list(w.lock().unwrap().tenants.clone()) }),
        )
        .route("/v1/tenants/{path}", get(tenant).put(set_tenant))
        .route("/v1/events", get(|| async { list(vec![event()]) }))
}

fn door() -> Router<Shared> {
    Router::new()
        .route("/v2/apps", post(create).put(put))
        .route("/v2/apps/{app}", delete(remove))
        .route("/v2/deployments", get(deployments))
}

fn list<T>(items: Vec<T>) -> Json<List<T>> {
    Json(List { items, next: None })
}

fn not_found(what: &str) -> Response {
    let body = ErrorBody::new(code::NOT_FOUND, format!("there is no {what}"))
        .at("name")
        .hint("look again");
    (axum::http::StatusCode::NOT_FOUND, Json(body)).into_response()
}

/// As the server does: some per page, so that the client must go on.
async fn tasks(
    State(world): State<Shared>,
    Query(query): Query<HashMap<String, String>>,
) -> Json<List<Task>> {
    let all = world.lock().unwrap().tasks.clone();
    let after = query.get("after").cloned().unwrap_or_default();
    let ended = query.get("ended").is_some_and(|e| e == "true");
    let mut fit: Vec<Task> = all
        .into_iter()
        .filter(|t| t.id > after && (ended || !t.state.is_terminal()))
        .collect();
    fit.sort_by(|a, b| a.id.cmp(&b.id));
    let next = (fit.len() > 2).then(|| fit[1].id.clone());
    fit.truncate(2);
    Json(List { items: fit, next })
}

async fn task_by_name(State(world): State<Shared>, Path(name): Path<String>) -> Response {
    let found = world
        .lock()
        .unwrap()
        .tasks
        .iter()
        .find(|t| t.name == name)
        .cloned();
    found.map_or_else(|| not_found("such task"), |t| Json(t).into_response())
}

async fn stop(State(world): State<Shared>, Path(name): Path<String>, Json(body): Json<Value>) -> Response {
    let mut world = world.lock().unwrap();
    let Some(task) = world.tasks.iter().find(|t| t.name == name).cloned() else {
        return not_found("such task");
    };
    world.stopped.push((name, body));
    Json(task).into_response()
}

async fn why(State(world): State<Shared>, Path(name): Path<String>) -> Response {
    let found = world
        .lock()
        .unwrap()
        .tasks
        .iter()
        .find(|t| t.name == name)
        .cloned();
    let Some(task) = found else {
        return not_found("such task");
    };
    let waits = task.state == Phase::Pending;
    let why = waits.then(|| Why {
        text: "2 nodes: 1 short of memory, 1 cordoned".into(),
        nodes: 2,
        by: vec![
            CauseCount {
                cause: "cordoned".into(),
                nodes: 1,
            },
            CauseCount {
                cause: "short of memory".into(),
                nodes: 1,
            },
        ],
        limit: None,
    });
    let verdict = |node: &str, cause: &str, detail: &str| NodeVerdict {
        node: node.into(),
        cause: Some(cause.into()),
        detail: detail.into(),
    };
    Json(Explanation {
        verdict: "running: on n1".into(),
        task,
        why,
        nodes: vec![
            verdict("n1", "cordoned", ""),
            verdict("n2", "short of memory", "wants 8 GiB, 1 GiB free"),
        ],
        blocks: waits.then(|| Blocks {
            kind: "nodes".into(),
            text: "cordoned".into(),
        }),
        ahead: Ahead {
            tasks: u32::from(waits) * 2,
            first: waits.then(another).into_iter().collect(),
            because: waits.then(|| "its tenant has the smaller share".into()),
        },
        holders: Vec::new(),
        fix: waits.then(|| "open node n1 (plenum node uncordon n1)".into()),
        change: waits.then(|| Fix::OpenNode {
            node: NodeId::new("n1").unwrap(),
        }),
    })
    .into_response()
}

fn another() -> Other {
    Other {
        id: "07".repeat(16),
        name: "small.1".into(),
        tenant: "shop".into(),
    }
}

async fn simulate(State(world): State<Shared>, Json(request): Json<SimulateRequest>) -> Response {
    let lost = request.lose_nodes.first().cloned().unwrap_or_default();
    world.lock().unwrap().supposed.push(request);
    Json(Simulation {
        placed: vec![Placed {
            task: another(),
            node: "n2".into(),
        }],
        waits: vec![Waits {
            task: another(),
            blocks: Some(Blocks {
                kind: "nodes".into(),
                text: "short of cpu".into(),
            }),
        }],
        ended: vec![Ended {
            task: another(),
            node: lost,
            reason: "node_lost".into(),
        }],
        shares: vec![ShareChange {
            tenant: "shop".into(),
            before_per_mille: 125,
            after_per_mille: 250,
        }],
        waiting: 3,
    })
    .into_response()
}

async fn why_node(State(world): State<Shared>, Path(name): Path<String>) -> Response {
    let world = world.lock().unwrap();
    let Some(node) = world.nodes.iter().find(|n| n.name == name) else {
        return not_found("such node");
    };
    Json(NodeExplanation {
        node: node.clone(),
        waiting: 5,
        refuses: vec![
            TaskCount {
                cause: "tainted gpu".into(),
                tasks: 3,
            },
            TaskCount {
                cause: "short of memory".into(),
                tasks: 1,
            },
        ],
        kept: vec![KeptRoom {
            task: another(),
            amounts: amounts(500, 64 << 20),
        }],
        waits_for_it: 1,
        first: vec![another()],
    })
    .into_response()
}

async fn why_tenant(State(world): State<Shared>, Path(path): Path<String>) -> Response {
    let world = world.lock().unwrap();
    let Some(tenant) = world.tenants.iter().find(|t| t.path == path) else {
        return not_found("such tenant");
    };
    Json(TenantExplanation {
        tenant: tenant.clone(),
        guarantee: tenant.guarantee.clone(),
        borrowed: Amounts::default(),
        unused: amounts(1_000, 0),
        share_per_mille: 0,
        within_guarantee: true,
        waits: vec![WaitsFor {
            blocks: Blocks {
                kind: "limit".into(),
                text: "tenant web reached its cpu limit (2.0 cpu of 2.0 cpu)".into(),
            },
            tasks: 3,
            first: another(),
        }],
    })
    .into_response()
}

async fn logs(Query(query): Query<HashMap<String, String>>) -> Response {
    let line = |source: &str, text: &str| LogLine {
        at: "2026-01-02T03:04:05Z".parse().unwrap(),
        source: source.into(),
        text: text.into(),
    };
    match query.get("format").map(String::as_str) {
        Some("ndjson") => [line("stdout", "one"), line("stderr", "two")]
            .iter()
            .map(|l| serde_json::to_string(l).unwrap() + "\n")
            .collect::<String>()
            .into_response(),
        _ => b"one\nt\xffo".to_vec().into_response(),
    }
}

/// Gives back what comes in, with the command in front; ends with 7.
async fn exec(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(|mut socket| async move {
        let Some(Ok(Message::Text(text))) = socket.recv().await else {
            return;
        };
        let start: ExecStart = serde_json::from_str(&text).unwrap();
        let mut send = vec![Frame::Stderr(
            format!("{:?} {:?}\n", start.argv, start.env).into(),
        )];
        let mut open = start.stdin;
        while open {
            let Some(Ok(Message::Binary(bytes))) = socket.next().await else {
                return;
            };
            match Frame::decode(&bytes).unwrap() {
                Frame::Stdin(bytes) => send.push(Frame::Stdout(bytes)),
                Frame::Eof => open = false,
                other => panic!("not input: {other:?}"),
            }
        }
        for frame in send.into_iter().chain([Frame::Exit(7)]) {
            socket.send(Message::Binary(frame.encode())).await.unwrap();
        }
    })
}

async fn set_node(State(world): State<Shared>, Path((name, verb)): Path<(String, String)>) -> Response {
    let mut world = world.lock().unwrap();
    let Some(node) = world.nodes.iter_mut().find(|n| n.name == name) else {
        return not_found("such node");
    };
    node.scheduling = if verb == "cordon" {
        Scheduling::Cordoned
    } else {
        Scheduling::Open
    };
    Json(node.clone()).into_response()
}

async fn node(State(world): State<Shared>, Path(name): Path<String>) -> Response {
    let world = world.lock().unwrap();
    let found = world.nodes.iter().find(|n| n.name == name);
    found.map_or_else(|| not_found("such node"), |n| Json(n.clone()).into_response())
}

async fn taint(
    State(world): State<Shared>,
    Path(name): Path<String>,
    Json(change): Json<TaintRequest>,
) -> Response {
    let mut world = world.lock().unwrap();
    let Some(node) = world.nodes.iter_mut().find(|n| n.name == name) else {
        return not_found("such node");
    };
    let kept = |t: &Taint| !change.remove.iter().any(|gone| gone.starts_with(&t.key));
    node.taints.retain(kept);
    node.taints.extend(change.set.iter().map(|text| {
        let taint: plenum_model::taint::Taint = text.parse().unwrap();
        Taint {
            key: taint.key,
            value: taint.value,
            effect: taint.effect,
            configured: false,
        }
    }));
    Json(node.clone()).into_response()
}

async fn tenant(State(world): State<Shared>, Path(path): Path<String>) -> Response {
    let found = world
        .lock()
        .unwrap()
        .tenants
        .iter()
        .find(|t| t.path == path)
        .cloned();
    found.map_or_else(|| not_found("such tenant"), |t| Json(t).into_response())
}

async fn set_tenant(
    State(world): State<Shared>,
    Path(path): Path<String>,
    Json(to): Json<TenantSettings>,
) -> Json<Tenant> {
    let mut tenant = a_tenant(&path);
    (tenant.weight, tenant.guarantee, tenant.limit) = (to.weight, to.guarantee, to.limit);
    let mut world = world.lock().unwrap();
    world.tenants.retain(|t| t.path != path);
    world.tenants.push(tenant.clone());
    Json(tenant)
}

async fn create(State(world): State<Shared>, Json(app): Json<Value>) -> Response {
    let mut world = world.lock().unwrap();
    let id = app["id"].as_str().unwrap().to_owned();
    if world.apps.iter().any(|a| a["id"] == app["id"]) {
        let message = json!({"message": format!("An app with id [{id}] already exists.")});
        return (axum::http::StatusCode::CONFLICT, Json(message)).into_response();
    }
    begin(&mut world, app.clone());
    let mut answer = app;
    answer["deployments"] = json!([{"id": "d1"}]);
    (axum::http::StatusCode::CREATED, Json(answer)).into_response()
}

async fn put(State(world): State<Shared>, Json(apps): Json<Vec<Value>>) -> Response {
    let mut world = world.lock().unwrap();
    if apps.iter().any(|a| a.get("cmd").is_none()) {
        let details = json!([{"path": "/cmd", "errors": ["error.path.missing"]}]);
        let body = json!({"message": "Object is not valid", "details": details});
        return (axum::http::StatusCode::UNPROCESSABLE_ENTITY, Json(body)).into_response();
    }
    apps.into_iter().for_each(|app| begin(&mut world, app));
    Json(json!({"version": "2026-01-02T03:04:05.000Z", "deploymentId": "d1"})).into_response()
}

async fn remove(State(world): State<Shared>, Path(app): Path<String>) -> Response {
    let mut world = world.lock().unwrap();
    if !world
        .apps
        .iter()
        .any(|a| a["id"].as_str().unwrap().trim_start_matches('/') == app)
    {
        let message = json!({"message": format!("App '/{app}' does not exist")});
        return (axum::http::StatusCode::NOT_FOUND, Json(message)).into_response();
    }
    world.deleted.push(app);
    Json(json!({"deploymentId": "d2"})).into_response()
}

fn begin(world: &mut World, app: Value) {
    let name = app["id"].as_str().unwrap().trim_start_matches('/').to_owned();
    let wanted = u32::try_from(app["instances"].as_u64().unwrap_or(1)).unwrap();
    world.apps.push(app);
    let mut workload = a_workload(&name);
    (workload.ready, workload.wanted) = (0, wanted);
    let mut task = a_task(&name, 0);
    match world.fate {
        Fate::Runs => world.looks = 2,
        Fate::NoImage => {
            task.state = Phase::Failed;
            task.problem = Some("image cannot be had: no such image".into());
            task.exit = Some(Exit {
                code: None,
                signal: None,
                reason: "image".into(),
                message: String::new(),
            });
        }
        Fate::NoRoom => {
            task.state = Phase::Pending;
            task.node = None;
            task.problem = Some("2 nodes: 2 short of memory".into());
        }
    }
    workload.problem.clone_from(&task.problem);
    world.workloads.push(workload);
    world.tasks.push(task);
}

async fn deployments(State(world): State<Shared>) -> Json<Value> {
    let mut world = world.lock().unwrap();
    if world.fate == Fate::Runs {
        if world.looks == 0 {
            world.workloads.iter_mut().for_each(|w| w.ready = w.wanted);
            return Json(json!([]));
        }
        world.looks -= 1;
    }
    Json(json!([{"id": "d1", "affectedApps": []}]))
}

/// So long ago that an age does not change while a test runs.
fn five_minutes_ago() -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second() - 310).unwrap()
}

fn amounts(cpu_millis: u64, memory_bytes: u64) -> Amounts {
    Amounts {
        cpu_millis,
        memory_bytes,
        slots: 1,
        ..Amounts::default()
    }
}

pub(crate) fn a_workload(name: &str) -> Workload {
    Workload {
        id: format!("marathon/{name}"),
        name: format!("/{name}"),
        scheduler: "marathon".into(),
        kind: "app".into(),
        uid: name.into(),
        version: "v1".into(),
        tenant: "web".into(),
        ready: 2,
        wanted: 2,
        outdated: 0,
        held: amounts(1_000, 256 << 20),
        since: five_minutes_ago(),
        problem: None,
    }
}

pub(crate) fn a_task(workload: &str, slot: u64) -> Task {
    Task {
        id: format!("{:0>32}", format!("{slot}{}", workload.len())),
        name: format!("{workload}.{slot}"),
        scheduler: "marathon".into(),
        workload: WorkloadRef {
            uid: workload.into(),
            name: format!("/{workload}"),
            kind: "app".into(),
            version: "v1".into(),
        },
        slot,
        tenant: "web".into(),
        state: Phase::Running,
        desired: "running".into(),
        released: false,
        ready: Some(true),
        unreachable: false,
        node: Some("n1".into()),
        address: None,
        ports: vec![Port {
            name: String::new(),
            protocol: "tcp".into(),
            host_port: 31_000,
            container_port: 80,
        }],
        charge: amounts(500, 128 << 20),
        labels: BTreeMap::new(),
        priority: 0,
        restarts: 0,
        generation: 1,
        spec: "07".repeat(32),
        problem: None,
        why: None,
        exit: None,
        message: None,
        claimed_at: five_minutes_ago(),
        placed_at: Some(five_minutes_ago()),
        started_at: Some(five_minutes_ago()),
        ended_at: None,
    }
}

pub(crate) fn a_node(name: &str) -> Node {
    Node {
        name: name.into(),
        hostname: format!("{name}.example"),
        address: "127.77.0.1".into(),
        state: Liveness::Ready,
        scheduling: Scheduling::Open,
        zone: None,
        capacity: Amounts {
            slots: 100,
            ..amounts(4_000, 8 << 30)
        },
        system: Amounts::default(),
        free: amounts(3_000, 7 << 30),
        held: [("marathon".to_owned(), amounts(1_000, 256 << 20))].into(),
        tasks: [("marathon".to_owned(), 2), ("swarm".to_owned(), 0)].into(),
        devices: [("gpu".to_owned(), BTreeSet::from(["0".to_owned(), "1".to_owned()]))].into(),
        attributes: BTreeMap::new(),
        taints: Vec::new(),
        runtimes: BTreeMap::new(),
        agent_version: "0.1.0".into(),
        joined_at: five_minutes_ago(),
        since: five_minutes_ago(),
    }
}

pub(crate) fn a_tenant(path: &str) -> Tenant {
    Tenant {
        path: path.into(),
        weight: 1,
        guarantee: amounts(2_000, 0),
        limit: Amounts::default(),
        used: amounts(1_000, 256 << 20),
        pending: Amounts::default(),
        tasks: 2,
    }
}

fn marathon() -> Scheduler {
    Scheduler {
        name: "marathon".into(),
        kind: "marathon".into(),
        state: "ready".into(),
        tasks: 3,
        pending: 1,
        held: amounts(1_000, 256 << 20),
        asked: amounts(5_000, 8 << 30),
        share: 0.3125,
    }
}

fn event() -> Event {
    Event {
        cursor: 42,
        at: "2026-01-02T03:04:05.678Z".parse().unwrap(),
        kind: "task.placed".into(),
        object: "web.0".into(),
        task: None,
        node: Some("n1".into()),
        actor: "broker".into(),
        message: "on n1\u{1b}[2J".into(),
    }
}

/// Two nodes, one app that runs, one that waits.
pub(crate) fn some() -> World {
    let mut waits = a_task("big", 0);
    waits.state = Phase::Pending;
    (waits.node, waits.ready, waits.started_at) = (None, None, None);
    waits.charge = amounts(4_000, 8 << 30);
    let mut big = a_workload("big");
    (big.ready, big.wanted) = (0, 1);
    big.problem = Some("2 nodes: 1 short of memory, 1 cordoned".into());
    World {
        nodes: vec![a_node("n1"), a_node("n2")],
        tasks: vec![waits, a_task("web", 0), a_task("web", 1)],
        workloads: vec![big, a_workload("web")],
        tenants: vec![a_tenant("web")],
        ..World::default()
    }
}
