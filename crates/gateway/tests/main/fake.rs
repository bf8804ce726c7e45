//! A pool and streams held in memory, and a server in front of them.

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use plenum_client::Client;
use plenum_contract::pool::{
    Ahead, Explanation, NodeExplanation, Pool, PoolError, SchedulerView, ShareChange, Simulation, Suppose,
    TaskFilter, TaskPage, TenantExplanation, WaitsFor,
};
use plenum_contract::streams::{
    LogLine, LogSource, Output, Stats, StreamEnds, StreamError, StreamInput, StreamRequest, Streams,
};
use plenum_gateway::{GatewayConfig, Registry, router};
use plenum_model::amounts::{Amounts, Resource};
use plenum_model::claim::{Desired, PortAsk, Seat, Terms, Workload};
use plenum_model::event::Event;
use plenum_model::fix::Fix;
use plenum_model::ids::{Cursor, Generation, NodeId, SchedulerId, SpecId, TaskId, TenantPath};
use plenum_model::node::{Liveness, Node, NodeFacts, PortRange, Scheduling};
use plenum_model::phase::Phase;
use plenum_model::taint::TaintChange;
use plenum_model::task::{ExitReason, Status, Task};
use plenum_model::tenant::{Tenant, TenantUsage};
use plenum_model::why::{Because, Block, Cause, NodeVerdict, Other, Why};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::DropGuard;

/// What the pool holds; tests change it as they like.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) nodes: Vec<Node>,
    pub(crate) tasks: Vec<Task>,
    pub(crate) tenants: Vec<TenantUsage>,
    pub(crate) stopped: Vec<(TaskId, Option<u64>)>,
    pub(crate) removed: Vec<NodeId>,
    pub(crate) supposed: Vec<Suppose>,
    pub(crate) down: bool,
}

pub(crate) struct FakePool {
    pub(crate) state: Mutex<State>,
    /// How many events there are; they are numbered from 1.
    pub(crate) events: watch::Sender<u64>,
    /// The newest event that is no longer kept.
    pub(crate) oldest: u64,
}

impl FakePool {
    fn up(&self) -> Result<std::sync::MutexGuard<'_, State>, PoolError> {
        let state = self.state.lock().unwrap();
        if state.down {
            Err(PoolError::Unavailable {
                why: "starting".into(),
            })
        } else {
            Ok(state)
        }
    }
}

pub(crate) fn an_event(n: u64) -> Event {
    Event {
        cursor: Cursor(n),
        at: 1_700_000_000_000 + n,
        kind: "task.placed".into(),
        object: format!("web.{n}"),
        task: None,
        node: Some(NodeId::new("n1").unwrap()),
        actor: "broker".into(),
        message: "placed\non n1".into(),
    }
}

#[async_trait]
impl Pool for FakePool {
    async fn nodes(&self) -> Result<Vec<Arc<Node>>, PoolError> {
        Ok(self.up()?.nodes.iter().cloned().map(Arc::new).collect())
    }

    async fn tasks(&self, f: TaskFilter) -> Result<TaskPage, PoolError> {
        let state = self.up()?;
        let mut fit: Vec<Arc<Task>> = state
            .tasks
            .iter()
            .filter(|t| f.ended || !t.status.phase().is_terminal())
            .filter(|t| f.scheduler.as_ref().is_none_or(|s| *s == t.scheduler))
            .filter(|t| f.workload.as_ref().is_none_or(|w| *w == t.terms.workload.name))
            .filter(|t| f.node.as_ref().is_none_or(|n| t.status.node.as_ref() == Some(n)))
            .filter(|t| f.tenant.as_ref().is_none_or(|p| *p == t.terms.tenant))
            .filter(|t| f.after.is_none_or(|a| t.id() > a))
            .cloned()
            .map(Arc::new)
            .collect();
        fit.sort_by_key(|t| t.id());
        let limit = if f.limit == 0 { usize::MAX } else { f.limit };
        let more = fit.len() > limit;
        fit.truncate(limit);
        Ok(TaskPage { tasks: fit, more })
    }

    async fn task(&self, id: TaskId) -> Result<Arc<Task>, PoolError> {
        let state = self.up()?;
        let found = state.tasks.iter().find(|t| t.id() == id);
        found.cloned().map(Arc::new).ok_or(PoolError::NotFound {
            kind: "task",
            name: id.to_string(),
        })
    }

    async fn schedulers(&self) -> Result<Vec<SchedulerView>, PoolError> {
        let tasks = u32::try_from(self.up()?.tasks.len()).unwrap();
        Ok(vec![SchedulerView {
            id: scheduler("marathon"),
            kind: "marathon".into(),
            connected: true,
            tasks,
            pending: 1,
            held: Amounts::task(1_000, 1 << 30, 0),
            asked: Amounts::task(1_500, 2 << 30, 0),
        }])
    }

    async fn tenants(&self) -> Result<Vec<TenantUsage>, PoolError> {
        Ok(self.up()?.tenants.clone())
    }

    async fn set_tenant(&self, tenant: Tenant, _: &str) -> Result<(), PoolError> {
        if tenant.guarantee.cpu_millis > 1_000_000 {
            return Err(PoolError::Refused {
                field: "guarantee.cpu_millis".into(),
                why: "more than there is".into(),
            });
        }
        let mut state = self.up()?;
        state.tenants.retain(|t| t.tenant.path != tenant.path);
        state.tenants.push(TenantUsage {
            tenant,
            used: Amounts::default(),
            pending: Amounts::default(),
            tasks: 0,
        });
        Ok(())
    }

    async fn taint(&self, node: &NodeId, change: TaintChange, _: &str) -> Result<(), PoolError> {
        let mut state = self.up()?;
        let found = state.nodes.iter_mut().find(|n| n.facts.id == *node);
        let known = found.ok_or_else(|| PoolError::NotFound {
            kind: "node",
            name: node.to_string(),
        })?;
        known.taints = change.of(&known.taints);
        Ok(())
    }

    async fn set_scheduling(&self, node: &NodeId, to: Scheduling, _: &str) -> Result<(), PoolError> {
        let mut state = self.up()?;
        let found = state.nodes.iter_mut().find(|n| n.facts.id == *node);
        found
            .ok_or_else(|| PoolError::NotFound {
                kind: "node",
                name: node.to_string(),
            })?
            .scheduling = to;
        Ok(())
    }

    async fn remove_node(&self, node: &NodeId, _: &str) -> Result<(), PoolError> {
        let mut state = self.up()?;
        if state
            .nodes
            .iter()
            .any(|n| n.facts.id == *node && n.liveness == Liveness::Ready)
        {
            return Err(PoolError::Conflict {
                why: format!("{node} is alive"),
            });
        }
        state.removed.push(node.clone());
        Ok(())
    }

    async fn stop_task(&self, id: TaskId, grace_ms: Option<u64>, _: &str) -> Result<(), PoolError> {
        self.up()?.stopped.push((id, grace_ms));
        Ok(())
    }

    async fn why(&self, id: TaskId) -> Result<Explanation, PoolError> {
        let task = self.task(id).await?;
        Ok(Explanation {
            why: task.status.why.clone(),
            task,
            block: Some(Block::Nodes(Cause::Short(Resource::Memory))),
            nodes: vec![NodeVerdict {
                node: NodeId::new("n1").unwrap(),
                cause: Some(Cause::Short(Resource::Memory)),
                detail: "wants 8 GiB, 1 GiB free".into(),
            }],
            ahead: Ahead {
                tasks: 2,
                first: vec![other()],
                because: Some(Because::Share),
            },
            holders: vec![(scheduler("marathon"), Amounts::task(1_000, 1 << 30, 0))],
            fix: Some(Fix::OpenNode {
                node: NodeId::new("n2").unwrap(),
            }),
        })
    }

    async fn why_node(&self, node: &NodeId) -> Result<NodeExplanation, PoolError> {
        let state = self.up()?;
        let found = state.nodes.iter().find(|n| n.facts.id == *node);
        let node = found.ok_or_else(|| PoolError::NotFound {
            kind: "node",
            name: node.to_string(),
        })?;
        Ok(NodeExplanation {
            node: Arc::new(node.clone()),
            waiting: 3,
            refuses: vec![(Cause::Short(Resource::Memory), 2)],
            kept: vec![(other(), Amounts::task(500, 1 << 20, 0))],
            waits_for_it: 1,
            first: vec![other()],
        })
    }

    async fn why_tenant(&self, tenant: &TenantPath) -> Result<TenantExplanation, PoolError> {
        let state = self.up()?;
        let found = state.tenants.iter().find(|t| t.tenant.path == *tenant);
        let usage = found.ok_or_else(|| PoolError::NotFound {
            kind: "tenant",
            name: tenant.to_string(),
        })?;
        Ok(TenantExplanation {
            usage: usage.clone(),
            guarantee: Amounts::task(2_000, 0, 0),
            borrowed: Amounts::default(),
            unused: Amounts::task(1_000, 0, 0),
            share_per_mille: 125,
            within_guarantee: true,
            waits: vec![WaitsFor {
                block: Block::Seat(NodeId::new("n1").unwrap()),
                tasks: 4,
                first: other(),
            }],
        })
    }

    async fn simulate(&self, suppose: Vec<Suppose>) -> Result<Simulation, PoolError> {
        self.up()?.supposed.extend(suppose);
        Ok(Simulation {
            placed: vec![(other(), NodeId::new("n2").unwrap())],
            waits: vec![(other(), Some(Block::NoNodes))],
            ended: vec![(other(), NodeId::new("n1").unwrap(), ExitReason::Preempted)],
            shares: vec![ShareChange {
                tenant: TenantPath::new("web").unwrap(),
                before: 100,
                after: 250,
            }],
            waiting: 4,
        })
    }

    async fn events(
        &self,
        from: Option<Cursor>,
    ) -> Result<BoxStream<'static, Result<Vec<Event>, PoolError>>, PoolError> {
        let from = from.map_or(*self.events.borrow(), |Cursor(n)| n);
        if from < self.oldest {
            return Err(PoolError::Compacted {
                oldest: Cursor(self.oldest),
            });
        }
        let watch = self.events.subscribe();
        Ok(stream::unfold((from, watch), |(from, mut watch)| async move {
            let newest = *watch.wait_for(|n| *n > from).await.ok()?;
            Some((Ok((from + 1..=newest).map(an_event).collect()), (newest, watch)))
        })
        .boxed())
    }
}

/// Streams that answer by what is asked. An exec of `cat` gives back its input and tells each size of the
/// terminal, of `exit N` ends with N.
#[derive(Default)]
pub(crate) struct FakeStreams {
    pub(crate) asked: Mutex<Vec<StreamRequest>>,
}

#[async_trait]
impl Streams for FakeStreams {
    async fn open(&self, _: TaskId, request: StreamRequest) -> Result<StreamEnds, StreamError> {
        self.asked.lock().unwrap().push(request.clone());
        let (input, inputs) = mpsc::channel(8);
        let output = match request {
            StreamRequest::Logs(query) => logs(query.follow),
            StreamRequest::Stats { container: None } => stats(),
            StreamRequest::Stats {
                container: Some(name),
            } => {
                return Err(StreamError::NotFound {
                    what: format!("container {name}"),
                });
            }
            StreamRequest::Exec(exec) => match exec.argv.first().map(String::as_str) {
                Some("cat") => echo(inputs),
                Some("exit") => exit(exec.argv[1].parse().unwrap()),
                Some("broken") => stream::iter([Err(StreamError::Unavailable {
                    why: "n1 is silent".into(),
                })])
                .boxed(),
                _ => {
                    return Err(StreamError::State {
                        why: "container is not running".into(),
                    });
                }
            },
            StreamRequest::Attach { .. }
            | StreamRequest::PortForward { .. }
            | StreamRequest::Top { .. }
            | StreamRequest::Health { .. }
            | StreamRequest::Signal { .. } => {
                return Err(StreamError::NotSupported {
                    what: "attach".into(),
                    runtime: "fake".into(),
                });
            }
        };
        Ok(StreamEnds { input, output })
    }
}

type Outputs = BoxStream<'static, Result<Output, StreamError>>;

fn logs(follow: bool) -> Outputs {
    let line = |source, bytes: &'static [u8]| {
        Ok(Output::Log(LogLine {
            at_nanos: 1_700_000_000_000_000_000,
            source,
            bytes: Bytes::from_static(bytes),
        }))
    };
    let lines = stream::iter([
        line(LogSource::Stdout, b"one\n"),
        line(LogSource::Stderr, b"t\xffo\n"),
    ]);
    if follow {
        lines.chain(stream::pending()).boxed()
    } else {
        lines.boxed()
    }
}

fn stats() -> Outputs {
    let stats = Stats {
        cpu_nanos: 5,
        memory_bytes: 6,
        memory_limit_bytes: Some(7),
        pids: 8,
        at_nanos: 1_700_000_000_000_000_000,
        ..Stats::default()
    };
    stream::iter([Ok(Output::Stats(stats))]).boxed()
}

fn exit(code: i32) -> Outputs {
    let bytes = Ok(Output::Stderr(Bytes::from_static(b"going")));
    stream::iter([bytes, Ok(Output::Exit { code })]).boxed()
}

fn echo(inputs: mpsc::Receiver<StreamInput>) -> Outputs {
    stream::unfold(Some(inputs), |inputs| async move {
        let mut inputs = inputs?;
        Some(match inputs.recv().await {
            Some(StreamInput::Data(bytes)) => (Ok(Output::Stdout(bytes)), Some(inputs)),
            Some(StreamInput::Resize(s)) => (
                Ok(Output::Stdout(format!("{}x{}", s.rows, s.cols).into())),
                Some(inputs),
            ),
            Some(StreamInput::Eof) | None => (Ok(Output::Exit { code: 0 }), None),
        })
    })
    .boxed()
}

fn other() -> Other {
    Other {
        task: TaskId([7; 16]),
        name: "api.1".into(),
        tenant: TenantPath::new("web").unwrap(),
    }
}

pub(crate) fn scheduler(name: &str) -> SchedulerId {
    SchedulerId::new(name).unwrap()
}

pub(crate) fn node(name: &str) -> Node {
    Node {
        facts: NodeFacts {
            id: NodeId::new(name).unwrap(),
            hostname: format!("{name}.example"),
            address: "127.77.0.1".into(),
            capacity: Amounts {
                slots: 100,
                ..Amounts::task(4_000, 8 << 30, 100 << 30)
            },
            system: Amounts::default(),
            devices: BTreeMap::new(),
            attributes: [("zone".into(), "a".into())].into(),
            runtimes: BTreeMap::new(),
            ports: PortRange {
                low: 31_000,
                high: 32_000,
            },
            agent_version: "0.1.0".into(),
            taints: Vec::new(),
        },
        liveness: Liveness::Ready,
        scheduling: Scheduling::Open,
        held: [("marathon".into(), Amounts::task(1_000, 1 << 30, 0))].into(),
        tasks: [("marathon".into(), 2)].into(),
        joined_at: 1_700_000_000_000,
        since: 1_700_000_000_000,
        taints: Vec::new(),
    }
}

/// Attempt `attempt` in slot `slot` of `/workload`, running on n1.
pub(crate) fn task(workload: &str, slot: u64, attempt: u32) -> Task {
    let id = TaskId::derive(&scheduler("marathon"), workload, slot, attempt);
    let terms = Terms {
        workload: Workload {
            uid: workload.into(),
            name: format!("/{workload}"),
            kind: "app".into(),
            version: "v1".into(),
        },
        tenant: TenantPath::new("web").unwrap(),
        charge: Amounts::task(500, 128 << 20, 0),
        devices: BTreeMap::new(),
        ports: vec![PortAsk::default()],
        spec: SpecId([7; 32]),
        labels: BTreeMap::new(),
        desired: Desired::Running,
        rules: plenum_model::rules::Rules::default(),
        lost_after: plenum_model::claim::LostAfter::default(),
        priority: plenum_model::claim::Priority::default(),
        may_preempt: false,
        budget: None,
        files: Vec::new(),
        keep_ended: 0,
    };
    let mut status = Status::pending(1_700_000_000_000 + u64::from(attempt));
    status.progress.phase = Phase::Running;
    status.node = Some(NodeId::new("n1").unwrap());
    status.ports = vec![31_005];
    Task {
        scheduler: scheduler("marathon"),
        seat: Seat::new(id, format!("{workload}.instance-{slot}-{attempt}"), slot),
        terms: Arc::new(terms),
        generation: Generation(1),
        desired: Desired::Running,
        released: false,
        status,
    }
}

/// A task that waits for memory.
pub(crate) fn waiting(workload: &str, slot: u64) -> Task {
    let mut task = task(workload, slot, 0);
    task.status = Status::pending(1_700_000_000_000);
    task.status.why = Some(Why {
        nodes: 1,
        by: vec![(Cause::Short(Resource::Memory), 1)],
        limit: None,
        ..Why::default()
    });
    task
}

/// A server with its pool and streams. Stops when dropped.
pub(crate) struct Server {
    pub(crate) address: String,
    pub(crate) client: Client,
    pub(crate) pool: Arc<FakePool>,
    pub(crate) streams: Arc<FakeStreams>,
    pub(crate) served: tokio::task::JoinHandle<std::io::Result<()>>,
    pub(crate) stop: Option<DropGuard>,
}

pub(crate) async fn serve(state: State) -> Server {
    serve_with(state, GatewayConfig::default()).await
}

pub(crate) async fn serve_with(state: State, config: GatewayConfig) -> Server {
    let pool = Arc::new(FakePool {
        state: Mutex::new(state),
        events: watch::Sender::new(10),
        oldest: 3,
    });
    let streams = Arc::new(FakeStreams::default());
    let app = router(&config, pool.clone(), streams.clone(), Registry::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let stopped = config.stop.clone().cancelled_owned();
    let serving = axum::serve(listener, app).with_graceful_shutdown(stopped);
    Server {
        client: Client::new(&address).unwrap(),
        address,
        pool,
        streams,
        served: tokio::spawn(serving.into_future()),
        stop: Some(config.stop.drop_guard()),
    }
}

pub(crate) fn some() -> State {
    State {
        nodes: vec![node("n1"), node("n2")],
        tasks: vec![task("web", 0, 0), task("web", 1, 0), waiting("big", 0)],
        ..State::default()
    }
}

/// The error of a call that must be refused: status, code, field.
pub(crate) fn refusal<T: std::fmt::Debug>(
    result: Result<T, plenum_client::ClientError>,
) -> (u16, String, String) {
    match result {
        Err(plenum_client::ClientError::Refused { status, body }) => {
            (status, body.code, body.field.unwrap_or_default())
        }
        other => panic!("not refused: {other:?}"),
    }
}

pub(crate) fn refused(status: u16, code: plenum_model::code::Code, field: &str) -> (u16, String, String) {
    (status, code.to_string(), field.to_owned())
}
