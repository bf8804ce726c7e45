//! A broker on a disk, and the ways to it: over gRPC, or in process.

use crate::report::Failed;
use plenum_broker::{BrokerConfig, BrokerHandle, CoreConfig};
use plenum_contract::broker::Broker;
use plenum_contract::dispatcher::Dispatcher;
use plenum_contract::scheduler::{RunningScheduler, Scheduler, SchedulerContext};
use plenum_contract::state_store::StateStore;
use plenum_model::ids::SchedulerId;
use plenum_sdk::door::serve::{ServeOptions, Served, serve};
use plenum_store::DataDir;
use plenum_wire::{Prefixed, RemoteBroker, RemoteDispatcher, connect, routes};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::net::TcpListener;

/// A broker that runs.
pub(crate) struct House {
    pub(crate) handle: BrokerHandle,
    /// The store that the broker serves to schedulers.
    pub(crate) state: Arc<dyn StateStore>,
    served: Option<(Served, String)>,
}

/// A fresh directory for data, removed when dropped.
pub(crate) fn data_dir(within: &Path) -> Result<TempDir, Failed> {
    let what = format!("a directory in `{}`", within.display());
    TempDir::with_prefix_in("plenum-bench-", within).map_err(Failed::in_(what))
}

impl House {
    /// One with its data in `dir`; `local`: reached in process only.
    pub(crate) async fn open(dir: &TempDir, local: bool) -> Result<Self, Failed> {
        let data = DataDir::open(dir.path()).map_err(Failed::in_("the data directory"))?;
        let log = data.ledger_log().map_err(Failed::in_("the ledger's log"))?;
        let state: Arc<dyn StateStore> = data.state_store().map_err(Failed::in_("the state store"))?;
        // A lease that no busy processor breaks: this measures work, not silence.
        let core = CoreConfig {
            lease_ms: 120_000,
            ..CoreConfig::default()
        };
        let config = BrokerConfig {
            core,
            ..BrokerConfig::default()
        };
        let handle = plenum_broker::start(config, Box::new(log), Arc::clone(&state))
            .map_err(Failed::in_("the broker"))?;
        let served = if local {
            None
        } else {
            Some(serve_broker(&handle, Arc::clone(&state)).await?)
        };
        Ok(Self {
            handle,
            state,
            served,
        })
    }

    /// A way to it for a scheduler.
    pub(crate) fn broker(&self) -> Result<Arc<dyn Broker>, Failed> {
        Ok(match &self.served {
            Some((_, url)) => Arc::new(RemoteBroker::new(connect(url).map_err(Failed::in_("dialling"))?)),
            None => Arc::new(self.handle.clone()),
        })
    }

    /// Ways to it for agents, each a connection of its own.
    pub(crate) fn dispatchers(&self, count: u32) -> Result<Vec<Arc<dyn Dispatcher>>, Failed> {
        let one = |_| -> Result<Arc<dyn Dispatcher>, Failed> {
            Ok(match &self.served {
                Some((_, url)) => {
                    let channel = connect(url).map_err(Failed::in_("dialling"))?;
                    Arc::new(RemoteDispatcher::new(channel))
                }
                None => Arc::new(self.handle.clone()),
            })
        };
        (0..count).map(one).collect()
    }

    /// A scheduler as `plenum up` starts it, in the process of the broker, under the name of its kind; and the URL of
    /// one of its endpoints.
    pub(crate) async fn door(
        &self,
        scheduler: &dyn Scheduler,
        config: Value,
        endpoint: &str,
    ) -> Result<(Box<dyn RunningScheduler>, String), Failed> {
        let id = SchedulerId::new(scheduler.kind()).map_err(Failed::in_("naming the scheduler"))?;
        let all = Arc::new(self.handle.clone());
        let context = SchedulerContext {
            broker: all.clone(),
            pool: all.clone(),
            state: Arc::new(Prefixed::new(Arc::clone(&self.state), id.clone())),
            streams: all,
            config,
            id,
        };
        let started = scheduler.start(context).await;
        let door = started.map_err(Failed::in_(format!("the scheduler {}", scheduler.kind())))?;
        let url = door.endpoints().remove(endpoint).unwrap_or_default();
        Ok((door, url.replacen("tcp://", "http://", 1)))
    }

    /// Ends it.
    pub(crate) async fn close(self) {
        if let Some((served, _)) = self.served {
            served.stop().await;
        }
        self.handle.stop().await;
    }
}

async fn serve_broker(handle: &BrokerHandle, state: Arc<dyn StateStore>) -> Result<(Served, String), Failed> {
    let all = Arc::new(handle.clone());
    let routes = routes(all.clone(), all.clone(), state, all.clone(), all);
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .map_err(Failed::in_("listening"))?;
    let url = listener
        .local_addr()
        .map(|a| format!("http://{a}"))
        .map_err(Failed::in_("listening"))?;
    let served = serve(listener, routes.into_axum_router(), ServeOptions::default());
    Ok((served, url))
}
