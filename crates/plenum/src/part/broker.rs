//! The broker with its stores, and the one port of gRPC and HTTP in front of it.

use crate::config::BrokerSection;
use crate::failure::Failure;
use crate::layout;
use crate::listen::{self, Reach, listen};
use plenum_broker::{BrokerConfig, BrokerHandle};
use plenum_contract::broker::Broker;
use plenum_contract::dispatcher::Dispatcher;
use plenum_contract::pool::{Pool, TaskFilter};
use plenum_contract::state_store::StateStore;
use plenum_contract::streams::Streams;
use plenum_gateway::GatewayConfig;
use plenum_sdk::door::path::PathRules;
use plenum_sdk::door::serve::{ServeOptions, Served, serve_until};
use plenum_store::DataDir;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// A running broker.
pub(crate) struct BrokerPart {
    handle: BrokerHandle,
    state: Arc<dyn StateStore>,
    served: Served,
    address: SocketAddr,
    _data: DataDir,
}

impl BrokerPart {
    /// Opens the stores, builds the core from the log and listens.
    ///
    /// # Errors
    /// The first that did not work, as users read it.
    pub(crate) async fn start(section: &BrokerSection, dir: &Path) -> Result<Self, Failure> {
        let (listener, hosts) = open_door(section).await?;
        let address = listener
            .local_addr()
            .map_err(|e| Failure::new(plenum_model::code::INTERNAL, &e))?;
        let data = DataDir::open(layout::broker(dir))?;
        let log = data.ledger_log()?;
        let state: Arc<dyn StateStore> = data.state_store()?;
        let mut config = BrokerConfig::default();
        config.core.lease_ms = section.lease_ms;
        let handle = plenum_broker::start(config, Box::new(log), Arc::clone(&state))?;
        let stop = CancellationToken::new();
        let router = router(&handle, &state, hosts, stop.clone());
        // gRPC paths are exact and the API's own are too, so nothing is made equal here.
        let options = ServeOptions {
            paths: PathRules::EXACT,
            ..ServeOptions::default()
        };
        let served = serve_until(listener, router, options, stop);
        Ok(Self {
            handle,
            state,
            served,
            address,
            _data: data,
        })
    }

    /// Where the API is.
    #[must_use]
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The broker, for schedulers in this process.
    #[must_use]
    pub(crate) fn broker(&self) -> Arc<dyn Broker> {
        Arc::new(self.handle.clone())
    }

    /// The pool, for schedulers in this process.
    #[must_use]
    pub(crate) fn pool(&self) -> Arc<dyn Pool> {
        Arc::new(self.handle.clone())
    }

    /// The dispatcher, for agents in this process.
    #[must_use]
    pub(crate) fn dispatcher(&self) -> Arc<dyn Dispatcher> {
        Arc::new(self.handle.clone())
    }

    /// The streams, for schedulers in this process.
    #[must_use]
    pub(crate) fn streams(&self) -> Arc<dyn Streams> {
        Arc::new(self.handle.clone())
    }

    /// The whole state store; schedulers get their prefix of it.
    #[must_use]
    pub(crate) fn state(&self) -> Arc<dyn StateStore> {
        Arc::clone(&self.state)
    }

    /// Tasks that the log remembered and that have not ended.
    pub(crate) async fn tasks(&self) -> usize {
        self.handle
            .tasks(TaskFilter::default())
            .await
            .map_or(0, |page| page.tasks.len())
    }

    /// Stops listening, then the broker. Tasks run on.
    pub(crate) async fn stop(self) {
        self.served.stop().await;
        self.handle.stop().await;
    }
}

/// The listening socket, and the names under which requests are answered beside the loopback ones.
async fn open_door(section: &BrokerSection) -> Result<(tokio::net::TcpListener, Vec<String>), Failure> {
    let mut hosts = section.allowed_hosts.clone();
    if section.insecure_listen.is_empty() {
        return Ok((
            listen("broker.listen", &section.listen, Reach::Loopback).await?,
            hosts,
        ));
    }
    let listener = listen(
        "broker.insecure_listen",
        &section.insecure_listen,
        Reach::Insecure,
    )
    .await?;
    if let Ok(address) = section.insecure_listen.parse::<SocketAddr>() {
        hosts.extend(listen::names(address));
    }
    Ok((listener, hosts))
}

fn router(
    handle: &BrokerHandle,
    state: &Arc<dyn StateStore>,
    hosts: Vec<String>,
    stop: CancellationToken,
) -> axum::Router {
    let pool: Arc<dyn Pool> = Arc::new(handle.clone());
    let streams: Arc<dyn Streams> = Arc::new(handle.clone());
    let config = GatewayConfig {
        hosts: hosts.clone(),
        stop,
        ..GatewayConfig::default()
    };
    let api = plenum_gateway::router(
        &config,
        Arc::clone(&pool),
        Arc::clone(&streams),
        crate::metrics::of(handle),
    );
    let grpc = plenum_wire::routes(
        Arc::new(handle.clone()),
        pool,
        Arc::clone(state),
        streams,
        Arc::new(handle.clone()),
    );
    api.merge(plenum_gateway::guarded(grpc.into_axum_router(), &hosts))
}
