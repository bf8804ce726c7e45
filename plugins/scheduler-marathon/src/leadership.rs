//! Who leads. The instance with the broker's session does; one that abdicates gives its session up and asks for
//! another only after a while, so that an instance that stands by gets it. Until it leads again it answers as
//! one that does not.

use async_trait::async_trait;
use futures::StreamExt;
use plenum_contract::broker::{Amend, Broker, BrokerError, Claimed, Hello, Refusal, Session, WatchStream};
use plenum_model::claim::ClaimBatch;
use plenum_model::ids::{Cursor, SessionEpoch, TaskId};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Longer than the broker needs to let a stand-by in, and long enough for clients that look every second to see
/// that the leader has gone.
const AWAY: Duration = Duration::from_secs(5);

/// Whether this instance leads; shared by the door and the way to the broker.
#[derive(Debug, Clone)]
pub(crate) struct Leadership(Arc<watch::Sender<bool>>);

impl Default for Leadership {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(true)))
    }
}

impl Leadership {
    /// Whether it leads. One whose broker is away leads on: nobody else does.
    pub(crate) fn leads(&self) -> bool {
        *self.0.borrow()
    }

    /// Gives the session up.
    pub(crate) fn abdicate(&self) {
        self.0.send_replace(false);
    }
}

/// A broker whose sessions end when their holder abdicates.
pub(crate) struct Abdicable {
    broker: Arc<dyn Broker>,
    leadership: Leadership,
}

impl Abdicable {
    /// The way to `broker` of the instance whose leadership this is.
    pub(crate) fn new(broker: Arc<dyn Broker>, leadership: Leadership) -> Self {
        Self { broker, leadership }
    }
}

#[async_trait]
impl Broker for Abdicable {
    async fn open(&self, hello: Hello) -> Result<Arc<dyn Session>, BrokerError> {
        if !self.leadership.leads() {
            tokio::time::sleep(AWAY).await;
        }
        let session = self.broker.open(hello).await?;
        self.leadership.0.send_replace(true);
        Ok(Arc::new(Held {
            session,
            leads: self.leadership.0.subscribe(),
        }))
    }
}

/// A session until its holder abdicates.
struct Held {
    session: Arc<dyn Session>,
    leads: watch::Receiver<bool>,
}

#[async_trait]
impl Session for Held {
    fn epoch(&self) -> SessionEpoch {
        self.session.epoch()
    }

    async fn claim(&self, batch: ClaimBatch) -> Result<Claimed, BrokerError> {
        self.session.claim(batch).await
    }

    async fn amend(&self, changes: Vec<Amend>) -> Result<Vec<Refusal>, BrokerError> {
        self.session.amend(changes).await
    }

    async fn release(&self, ids: Vec<TaskId>, grace_ms: Option<u64>) -> Result<(), BrokerError> {
        self.session.release(ids, grace_ms).await
    }

    async fn forget(&self, ids: Vec<TaskId>) -> Result<Vec<Refusal>, BrokerError> {
        self.session.forget(ids).await
    }

    /// The end of the watch is the end of the session for whoever drives it.
    async fn watch(&self, from: Option<Cursor>) -> Result<WatchStream, BrokerError> {
        let mut leads = self.leads.clone();
        let abdicated = async move {
            // an error: the plugin has ended, and with it this watch
            let _ = leads.wait_for(|leads| !leads).await;
        };
        let watch = self.session.watch(from).await?;
        Ok(watch.take_until(Box::pin(abdicated)).boxed())
    }

    async fn ack(&self, cursor: Cursor) -> Result<(), BrokerError> {
        self.session.ack(cursor).await
    }
}
