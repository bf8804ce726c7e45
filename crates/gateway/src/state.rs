//! What every handler may use.

use crate::metrics::Metrics;
use crate::problem::Problem;
use plenum_contract::pool::Pool;
use plenum_contract::streams::Streams;
use plenum_model::code;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// Who writes come from, until users have names: everybody who reaches the API on this machine.
pub(crate) const ACTOR: &str = "user";

/// Shared by all handlers.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) pool: Arc<dyn Pool>,
    pub(crate) streams: Arc<dyn Streams>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) version: Arc<str>,
    pub(crate) stop: CancellationToken,
    pub(crate) open_streams: Arc<Semaphore>,
}

impl App {
    /// A place for one more stream; held as long as the stream lives.
    pub(crate) fn stream_permit(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.open_streams).try_acquire_owned().map_err(|_| {
            Problem::new(
                code::OVERLOADED,
                "too many logs, events and exec sessions are open",
            )
        })
    }
}
