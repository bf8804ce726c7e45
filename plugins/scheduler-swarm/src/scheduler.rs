//! The plugin as the catalog knows it: starts the driver, the desk and the doors, and stops them in order.

use crate::config::SwarmConfig;
use crate::container::Plans;
use crate::container::planner::ContainerPlanner;
use crate::desk::desk;
use crate::door::{router, swarm, versioned};
use crate::events::Events;
use crate::planner::SwarmPlanner;
use crate::service::planner::ServicePlanner;
use crate::state::DoorState;
use crate::store::{self, LoadError};
use async_trait::async_trait;
use http::request::Parts;
use plenum_contract::scheduler::{RunningScheduler, Scheduler, SchedulerContext, SchedulerError};
use plenum_sdk::desk::SessionState;
use plenum_sdk::door::guard::{Guards, guard};
use plenum_sdk::door::hosts::Hosts;
use plenum_sdk::door::listen;
use plenum_sdk::door::refuse;
use plenum_sdk::door::serve::{ServeOptions, Served, serve_until};
use plenum_sdk::driver::{Driver, DriverConfig};
use plenum_sdk::time::Clock;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The orchestrator this plugin speaks.
pub const KIND: &str = "swarm";

/// The longest body of a request that is no upload: a config of 1,000 KiB in base 64, and room.
const BODY_BYTES: usize = 4 << 20;

/// Makes swarm schedulers.
#[derive(Debug, Clone, Copy, Default)]
pub struct SwarmScheduler;

#[async_trait]
impl Scheduler for SwarmScheduler {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn default_config(&self) -> serde_json::Value {
        serde_json::to_value(SwarmConfig::default()).expect("plain data with text keys always serialises")
    }

    async fn start(&self, context: SchedulerContext) -> Result<Box<dyn RunningScheduler>, SchedulerError> {
        let config = read_config(&context)?;
        let (listener, address) = listen::tcp(&context.id, &config.listen, &config.insecure_listen).await?;
        let socket = listen::unix(&context.id, &config.socket).await?;
        Ok(Box::new(
            Running::start(context, config, listener, address, socket).await?,
        ))
    }
}

fn read_config(context: &SchedulerContext) -> Result<SwarmConfig, SchedulerError> {
    let value = match &context.config {
        serde_json::Value::Null => serde_json::json!({}),
        value => value.clone(),
    };
    serde_json::from_value(value).map_err(|e| SchedulerError::Config {
        scheduler: context.id.to_string(),
        key: String::new(),
        why: e.to_string(),
    })
}

/// A swarm scheduler that runs.
struct Running {
    url: String,
    socket: Option<PathBuf>,
    doors: Vec<Served>,
    events: Events,
    driver: Driver,
    desk: JoinHandle<()>,
    stop_desk: CancellationToken,
}

impl Running {
    async fn start(
        context: SchedulerContext,
        config: SwarmConfig,
        listener: TcpListener,
        address: SocketAddr,
        socket: Option<(UnixListener, PathBuf)>,
    ) -> Result<Self, SchedulerError> {
        let cannot = |why: String| SchedulerError::Start {
            scheduler: context.id.to_string(),
            why,
        };
        // said at once, before anything runs: what is damaged does not mend itself by being read again
        if let Err(damaged @ LoadError::Value { .. }) = store::load(&*context.state).await {
            return Err(cannot(damaged.to_string()));
        }
        let events = Events::default();
        let (desk, runner, clerk) = desk(Arc::clone(&context.state));
        let session = Arc::new(SessionState::new());
        let containers = Plans::new(desk.clone());
        let planner = SwarmPlanner {
            desk: desk.clone(),
            session: Arc::clone(&session),
            services: ServicePlanner::new(desk.clone(), config.clone(), events.clone()),
            containers: ContainerPlanner::new(containers.clone(), events.clone()),
        };
        let driver_config = DriverConfig::new(context.id.clone(), KIND).with_nodes();
        let driver = Driver::start(Arc::clone(&context.broker), driver_config, planner);
        session.get_or_init(|| driver.state());
        let stop_desk = CancellationToken::new();
        let desk_task = tokio::spawn(runner.run(clerk, driver.waker(), driver.state(), stop_desk.clone()));
        // a stand-by waits here until the session is its own
        desk.until_read().await.map_err(|e| cannot(e.to_string()))?;
        let stopping = CancellationToken::new();
        let state = Arc::new(DoorState {
            desk,
            mirror: driver.mirror(),
            waker: driver.waker(),
            pool: Arc::clone(&context.pool),
            streams: Arc::clone(&context.streams),
            store: Arc::clone(&context.state),
            events: events.clone(),
            containers,
            config: config.clone(),
            scheduler: context.id.clone(),
            authority: address.to_string(),
            clock: Clock::default(),
            stopping: stopping.clone(),
        });
        swarm::ensure(&state).await.map_err(|e| cannot(e.to_string()))?;
        let routes = versioned(router(state));
        let names = config.allowed_hosts.iter().cloned();
        let tcp = Hosts::loopback_and(names.chain([address.ip().to_string()]));
        let open = |hosts| guard(routes.clone(), guards(hosts));
        let options = ServeOptions::default();
        let mut doors = vec![serve_until(listener, open(tcp), options, stopping.clone())];
        let mut path = None;
        if let Some((listener, file)) = socket {
            doors.push(serve_until(listener, open(Hosts::any()), options, stopping));
            path = Some(file);
        }
        let url = format!("tcp://{address}");
        tracing::info!(scheduler = %context.id, url, "the door is open");
        Ok(Self {
            url,
            socket: path,
            doors,
            events,
            driver,
            desk: desk_task,
            stop_desk,
        })
    }
}

fn guards(hosts: Hosts) -> Guards {
    let mut guards = Guards::new(hosts, refuse::message);
    guards.body_limit = BODY_BYTES;
    guards.is_long = is_long;
    guards.is_big = is_big;
    guards
}

/// Answers that begin when something happens.
fn is_long(request: &Parts) -> bool {
    let path = request.uri.path();
    [
        "/events", "/wait", "/logs", "/attach", "/start", "/stats", "/stop", "/restart", "/kill", "/create",
    ]
    .iter()
    .any(|end| path.ends_with(end))
        || is_big(request)
}

/// Bodies that are files.
fn is_big(request: &Parts) -> bool {
    let path = request.uri.path();
    ["/images/load", "/images/create", "/archive", "/build"]
        .iter()
        .any(|end| path.ends_with(end))
}

#[async_trait]
impl RunningScheduler for Running {
    fn endpoints(&self) -> BTreeMap<String, String> {
        [("docker".to_owned(), self.url.clone())].into()
    }

    fn client_files(&self) -> BTreeMap<String, String> {
        let host = match &self.socket {
            Some(path) => format!("unix://{}", path.display()),
            None => self.url.clone(),
        };
        let env = format!(
            "# source this, or: docker context create plenum --docker host={host}\nexport DOCKER_HOST={host}\n"
        );
        [("docker.env".to_owned(), env)].into()
    }

    async fn stop(self: Box<Self>) {
        self.events.close();
        for door in self.doors {
            door.stop().await;
        }
        if let Some(path) = &self.socket
            && let Err(error) = std::fs::remove_file(path)
        {
            tracing::debug!(%error, "the socket's file stays behind");
        }
        self.stop_desk.cancel();
        if let Err(error) = self.desk.await {
            tracing::error!(%error, "the desk died");
        }
        self.driver.stop().await;
    }
}
