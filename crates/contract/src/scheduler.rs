//! `Scheduler`: a plugin as the catalog knows it. Linked in or a process of its own, it gets the same
//! contracts and cannot tell which side of a wire they are on.

use crate::broker::Broker;
use crate::pool::Pool;
use crate::state_store::StateStore;
use crate::streams::Streams;
use async_trait::async_trait;
use plenum_model::ids::SchedulerId;
use std::collections::BTreeMap;
use std::sync::Arc;

/// All a scheduler may use of the pool.
#[derive(Clone)]
pub struct SchedulerContext {
    /// The name under which it runs.
    pub id: SchedulerId,
    /// Claims.
    pub broker: Arc<dyn Broker>,
    /// Queries.
    pub pool: Arc<dyn Pool>,
    /// Its own part of the state store; keys are relative to its prefix.
    pub state: Arc<dyn StateStore>,
    /// Bytes of containers.
    pub streams: Arc<dyn Streams>,
    /// Its section of the configuration.
    pub config: serde_json::Value,
}

/// Makes running schedulers of one kind.
#[async_trait]
pub trait Scheduler: Send + Sync {
    /// The orchestrator it speaks; also its default name and its section of the configuration.
    fn kind(&self) -> &'static str;

    /// Its default configuration, every key present; the names are what the configuration is checked against.
    fn default_config(&self) -> serde_json::Value;

    /// Starts it: its doors listen when this returns.
    ///
    /// # Errors
    /// See [`SchedulerError`].
    async fn start(&self, context: SchedulerContext) -> Result<Box<dyn RunningScheduler>, SchedulerError>;
}

/// A scheduler that runs.
#[async_trait]
pub trait RunningScheduler: Send + Sync {
    /// Its doors: name and URL.
    fn endpoints(&self) -> BTreeMap<String, String>;

    /// Files that point its clients to the door: name and content.
    fn client_files(&self) -> BTreeMap<String, String>;

    /// Stops in order: doors first, then the session. Tasks run on.
    async fn stop(self: Box<Self>);
}

/// Why a scheduler did not start.
#[derive(Debug, thiserror::Error)]
pub enum SchedulerError {
    /// Its configuration is not acceptable.
    #[error("configuration of scheduler {scheduler}, key `{key}`: {why}")]
    Config {
        /// Which scheduler.
        scheduler: String,
        /// Which key.
        key: String,
        /// What is wrong.
        why: String,
    },
    /// Its door cannot listen.
    #[error("scheduler {scheduler} cannot listen on {address}")]
    Listen {
        /// Which scheduler.
        scheduler: String,
        /// Where.
        address: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A contract it needs failed.
    #[error("scheduler {scheduler} cannot start: {why}")]
    Start {
        /// Which scheduler.
        scheduler: String,
        /// What failed.
        why: String,
    },
}
