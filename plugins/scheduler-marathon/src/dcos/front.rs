//! What the surfaces of the front door share.

use super::cluster::ClusterId;
use super::listing::Listing;
use super::sessions::Sessions;
use crate::stamp::Stamp;
use plenum_contract::pool::Pool;
use plenum_contract::streams::Streams;
use plenum_model::ids::SchedulerId;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The name of the pool where clients list clusters by name.
pub(super) const CLUSTER: &str = "plenum";

/// See the module's header.
pub(crate) struct Front {
    /// The pool, all schedulers' tasks included.
    pub(crate) pool: Arc<dyn Pool>,
    /// Logs and processes of tasks.
    pub(crate) streams: Arc<dyn Streams>,
    /// The name of this scheduler.
    pub(crate) scheduler: SchedulerId,
    /// Where the door listens.
    pub(crate) address: SocketAddr,
    /// Which cluster this is.
    pub(crate) cluster: ClusterId,
    /// Since when it runs.
    pub(crate) started: Stamp,
    /// Ends streams when the door ends.
    pub(crate) stopping: CancellationToken,
    /// The state of the pool as it was last written.
    pub(super) state: Listing,
    /// The same in short.
    pub(super) summary: Listing,
    /// Processes that were started in tasks.
    pub(super) sessions: Arc<Sessions>,
}

impl Front {
    /// A front door that has served nothing yet.
    pub(crate) fn new(
        pool: Arc<dyn Pool>,
        streams: Arc<dyn Streams>,
        scheduler: SchedulerId,
        address: SocketAddr,
        cluster: ClusterId,
        started: Stamp,
        stopping: CancellationToken,
    ) -> Self {
        Self {
            pool,
            streams,
            scheduler,
            address,
            cluster,
            started,
            stopping,
            state: Listing::default(),
            summary: Listing::default(),
            sessions: Arc::default(),
        }
    }

    /// The address of what clients take for the leading master: the door's own.
    pub(super) fn ip(&self) -> String {
        self.address.ip().to_string()
    }

    /// The door's own URL.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}
