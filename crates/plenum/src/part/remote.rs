//! The contracts of a broker elsewhere.

use crate::failure::Failure;
use plenum_contract::broker::Broker;
use plenum_contract::dispatcher::Dispatcher;
use plenum_contract::pool::Pool;
use plenum_contract::state_store::StateStore;
use plenum_contract::streams::Streams;
use plenum_model::code;
use plenum_model::ids::SchedulerId;
use plenum_wire::{RemoteBroker, RemoteDispatcher, RemotePool, RemoteState, RemoteStreams};
use std::sync::Arc;

/// A broker elsewhere. Connections are made when they are needed, and again when they break.
pub(crate) struct Remote {
    url: String,
    channel: plenum_wire::Channel,
}

impl Remote {
    /// Takes its address, as a URL or as host and port.
    ///
    /// # Errors
    /// When it is neither.
    pub(crate) fn new(url: &str) -> Result<Self, Failure> {
        if url.is_empty() {
            let hint = "--broker http://ADDRESS:7717";
            return Err(Failure::say(code::CONFIG, "it is not said where the broker is").hint(hint));
        }
        let whole = if url.contains("://") {
            url.to_owned()
        } else {
            format!("http://{url}")
        };
        let channel = plenum_wire::connect(&whole)
            .map_err(|e| Failure::new(code::CONFIG, &e).hint("give it as http://10.0.0.1:7717"))?;
        Ok(Self { url: whole, channel })
    }

    /// Where it is.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn broker(&self) -> Arc<dyn Broker> {
        Arc::new(RemoteBroker::new(self.channel.clone()))
    }

    pub(crate) fn pool(&self) -> Arc<dyn Pool> {
        Arc::new(RemotePool::new(self.channel.clone()))
    }

    pub(crate) fn dispatcher(&self) -> Arc<dyn Dispatcher> {
        Arc::new(RemoteDispatcher::new(self.channel.clone()))
    }

    pub(crate) fn streams(&self) -> Arc<dyn Streams> {
        Arc::new(RemoteStreams::new(self.channel.clone()))
    }

    /// The part of the state store that is this scheduler's.
    pub(crate) fn state(&self, scheduler: &SchedulerId) -> Arc<dyn StateStore> {
        Arc::new(RemoteState::new(self.channel.clone(), scheduler.clone()))
    }
}
