//! `plenum.broker.v1.Broker` in front of a `Broker`.

use super::Answers;
use super::session::Live;
use crate::malformed::need;
use crate::proto::broker::v1 as wire;
use crate::status::{malformed, protocol, status};
use futures::TryFutureExt;
use plenum_contract::broker::{Broker, BrokerError};
use std::sync::Arc;
use tonic::{Request, Response, Status, Streaming};
use wire::session_request::Kind;

/// Serves a broker.
#[derive(Clone)]
pub struct BrokerService(pub Arc<dyn Broker>);

#[async_trait::async_trait]
impl wire::broker_server::Broker for BrokerService {
    type SessionStream = Answers<wire::SessionResponse>;

    async fn session(
        &self,
        request: Request<Streaming<wire::SessionRequest>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        // Headers go out at once, so that a stand-by's connection stands while it waits. Everything lives in this
        // stream: when the connection is gone the transport drops it, and the session with it.
        let opening = open(Arc::clone(&self.0), request.into_inner());
        Ok(Response::new(Box::pin(
            opening.map_ok(Live::answers).try_flatten_stream(),
        )))
    }
}

async fn open(
    broker: Arc<dyn Broker>,
    mut requests: Streaming<wire::SessionRequest>,
) -> Result<Live, Status> {
    let first = requests.message().await?.and_then(|request| request.kind);
    let Kind::Hello(hello) = need(first, "hello").map_err(|bad| malformed::<BrokerError>(&bad))? else {
        return Err(protocol::<BrokerError>("the first message must be `hello`"));
    };
    let hello = hello.try_into().map_err(|bad| malformed::<BrokerError>(&bad))?;
    tokio::select! {
        opened = broker.open(hello) => Ok(Live::new(opened.map_err(|e| status(&e))?, requests)),
        early = requests.message() => match early? {
            Some(_) => Err(protocol::<BrokerError>("nothing may be sent before `opened` came")),
            None => Err(Status::cancelled("the scheduler gave up before the session was opened")),
        },
    }
}
