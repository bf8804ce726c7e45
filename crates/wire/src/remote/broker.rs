//! `Broker` over a channel.

use super::session::{self, RemoteSession, Shared};
use crate::limits;
use crate::proto::broker::v1 as wire;
use crate::status::{WireError, read};
use async_trait::async_trait;
use futures::stream::{StreamExt, once};
use plenum_contract::broker::{Broker, BrokerError, Hello, Session};
use plenum_model::ids::SessionEpoch;
use std::sync::Arc;
use tonic::transport::Channel;
use wire::broker_client::BrokerClient;
use wire::session_response::Kind;

/// A broker that is called over a channel. Each session has one stream; when it breaks, the session's calls and its
/// watch end with `Unavailable`, and the caller opens another.
#[derive(Clone)]
pub struct RemoteBroker(BrokerClient<Channel>);

impl RemoteBroker {
    /// The broker behind `channel`.
    #[must_use]
    pub fn new(channel: Channel) -> Self {
        Self(
            BrokerClient::new(channel)
                .max_decoding_message_size(limits::MESSAGE)
                .max_encoding_message_size(limits::MESSAGE),
        )
    }
}

#[async_trait]
impl Broker for RemoteBroker {
    async fn open(&self, hello: Hello) -> Result<Arc<dyn Session>, BrokerError> {
        let first = wire::SessionRequest {
            kind: Some(wire::session_request::Kind::Hello((&hello).into())),
            ..Default::default()
        };
        let waiting = Shared::default();
        let (outbound, requests) = session::outbound(&waiting);
        let requests = once(std::future::ready(first)).chain(requests);
        let mut client = self.0.clone();
        let answers = client
            .session(requests)
            .await
            .map_err(|status| read::<BrokerError>(&status))?;
        let mut answers = answers.into_inner();
        let first = answers
            .message()
            .await
            .map_err(|status| read::<BrokerError>(&status))?;
        match first.and_then(|answer| answer.kind) {
            Some(Kind::Opened(opened)) => Ok(RemoteSession::start(
                SessionEpoch(opened.epoch),
                waiting,
                outbound,
                answers,
            )),
            Some(Kind::Reply(_) | Kind::Piece(_) | Kind::WatchEnd(_)) | None => Err(
                BrokerError::unavailable("the broker did not open the session".to_owned()),
            ),
        }
    }
}
