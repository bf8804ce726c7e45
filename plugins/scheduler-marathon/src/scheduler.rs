//! The plugin as the catalog knows it: starts the driver, the desk and the door, and stops them in order.

use crate::change::Limits;
use crate::config::{BadConfig, KIND, MarathonConfig};
use crate::dcos::{self, Front};
use crate::desk::desk;
use crate::door::{Door, router};
use crate::events::Hub;
use crate::leadership::{Abdicable, Leadership};
use crate::planner::MarathonPlanner;
use crate::planner::launches::Launches;
use crate::store::{self, LoadError};
use async_trait::async_trait;
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
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Makes Marathon schedulers.
#[derive(Debug, Clone, Copy, Default)]
pub struct MarathonScheduler;

#[async_trait]
impl Scheduler for MarathonScheduler {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn default_config(&self) -> serde_json::Value {
        serde_json::to_value(MarathonConfig::default()).expect("plain data with text keys always serialises")
    }

    async fn start(&self, context: SchedulerContext) -> Result<Box<dyn RunningScheduler>, SchedulerError> {
        let config = read_config(&context)?;
        let (listener, address) = listen::tcp(&context.id, &config.listen, &config.insecure_listen).await?;
        Ok(Box::new(
            Running::start(context, config, listener, address).await?,
        ))
    }
}

fn read_config(context: &SchedulerContext) -> Result<MarathonConfig, SchedulerError> {
    let bad = |key: String, why: String| SchedulerError::Config {
        scheduler: context.id.to_string(),
        key,
        why,
    };
    let value = match &context.config {
        serde_json::Value::Null => serde_json::json!({}),
        value => value.clone(),
    };
    let config: MarathonConfig =
        serde_json::from_value(value).map_err(|e| bad(String::new(), e.to_string()))?;
    config
        .validate()
        .map_err(|BadConfig { key, why }| bad(key.to_owned(), why))?;
    Ok(config)
}

/// Who may ask, and how long.
fn guards(config: &MarathonConfig, address: SocketAddr) -> Guards {
    let mut guards = Guards::new(
        Hosts::loopback_and(
            config
                .allowed_hosts
                .iter()
                .cloned()
                .chain([address.ip().to_string()]),
        ),
        refuse::message,
    );
    guards.is_long = |request| request.uri.path().ends_with("/events") || dcos::is_long(request);
    guards.is_big = dcos::is_big;
    guards
}

/// A Marathon scheduler that runs.
struct Running {
    url: String,
    door: Served,
    hub: Hub,
    driver: Driver,
    desk: JoinHandle<()>,
    stop_desk: CancellationToken,
}

impl Running {
    async fn start(
        context: SchedulerContext,
        config: MarathonConfig,
        listener: TcpListener,
        address: SocketAddr,
    ) -> Result<Self, SchedulerError> {
        let cannot = |why: String| SchedulerError::Start {
            scheduler: context.id.to_string(),
            why,
        };
        // said at once, before anything runs: what is damaged does not mend itself by being read again
        match store::load(&*context.state).await {
            Err(LoadError::Value { key, source }) => {
                return Err(cannot(format!("state `{key}` does not read back: {source}")));
            }
            Err(LoadError::Missing { key }) => return Err(cannot(format!("state `{key}` is missing"))),
            Err(LoadError::Store(_)) | Ok(_) => {}
        }
        let clock = Clock::default();
        let (hub, launches) = (Hub::default(), Arc::new(Launches::default()));
        let limits = Limits::of(&config);
        let (desk, runner, clerk) = desk(Arc::clone(&context.state), limits, hub.clone(), clock.clone());
        let session = Arc::new(SessionState::new());
        let planner = MarathonPlanner::new(
            desk.clone(),
            config.clone(),
            Arc::clone(&launches),
            hub.clone(),
            Arc::clone(&session),
            clock.now(),
        );
        let leadership = Leadership::default();
        let driver = Driver::start(
            Arc::new(Abdicable::new(Arc::clone(&context.broker), leadership.clone())),
            DriverConfig::new(context.id.clone(), KIND).with_nodes(),
            planner,
        );
        session.get_or_init(|| driver.state());
        let stop_desk = CancellationToken::new();
        let desk_task = tokio::spawn(runner.run(clerk, driver.waker(), driver.state(), stop_desk.clone()));
        // a stand-by waits here until the session is its own
        desk.until_read().await.map_err(|e| cannot(e.to_string()))?;
        let cluster = dcos::cluster::id(&*context.state).await;
        let cluster = cluster.map_err(|e| cannot(e.to_string()))?;
        let stopping = CancellationToken::new();
        let front = Front::new(
            Arc::clone(&context.pool),
            Arc::clone(&context.streams),
            context.id.clone(),
            address,
            cluster,
            crate::instance::stamp(clock.now().0),
            stopping.clone(),
        );
        let door = Arc::new(Door {
            desk,
            mirror: driver.mirror(),
            launches,
            leadership,
            waker: driver.waker(),
            hub: hub.clone(),
            pool: Arc::clone(&context.pool),
            config: config.clone(),
            scheduler: context.id.clone(),
            authority: address.to_string(),
            clock,
            stopping: stopping.clone(),
        });
        let routes = guard(
            dcos::router(router(door), Arc::new(front)),
            guards(&config, address),
        );
        let door = serve_until(listener, routes, ServeOptions::default(), stopping);
        let url = format!("http://{address}");
        tracing::info!(scheduler = %context.id, url, "the door is open");
        Ok(Self {
            url,
            door,
            hub,
            driver,
            desk: desk_task,
            stop_desk,
        })
    }
}

#[async_trait]
impl RunningScheduler for Running {
    fn endpoints(&self) -> BTreeMap<String, String> {
        // one port: what `dcos cluster setup` takes serves Marathon's own paths, too
        [KIND, "dcos"]
            .map(|door| (door.to_owned(), self.url.clone()))
            .into()
    }

    fn client_files(&self) -> BTreeMap<String, String> {
        let dcos = format!(
            "[core]\ndcos_url = \"{0}\"\n\n[marathon]\nurl = \"{0}\"\n",
            self.url
        );
        [("dcos.toml".to_owned(), dcos)].into()
    }

    async fn stop(self: Box<Self>) {
        self.hub.close();
        self.door.stop().await;
        self.stop_desk.cancel();
        if let Err(error) = self.desk.await {
            tracing::error!(%error, "the desk died");
        }
        self.driver.stop().await;
    }
}
