//! All services of a broker as one set of routes.

use crate::limits;
use crate::proto::agent::v1::dispatcher_server::DispatcherServer;
use crate::proto::api::v1::pool_server::PoolServer;
use crate::proto::api::v1::streams_server::StreamsServer;
use crate::proto::broker::v1::broker_server::BrokerServer;
use crate::proto::state::v1::state_store_server::StateStoreServer;
use crate::service::{BrokerService, DispatcherService, PoolService, StateService, StreamsService};
use plenum_contract::broker::Broker;
use plenum_contract::dispatcher::Dispatcher;
use plenum_contract::pool::Pool;
use plenum_contract::state_store::StateStore;
use plenum_contract::streams::Streams;
use std::sync::Arc;
use tonic::service::{Routes, RoutesBuilder};

/// The contracts of a broker, served. `state` is the whole store: each caller is confined to the part of the scheduler
/// that it names. `Routes::into_axum_router` gives a router that can be merged with others on the same port.
pub fn routes(
    broker: Arc<dyn Broker>,
    pool: Arc<dyn Pool>,
    state: Arc<dyn StateStore>,
    streams: Arc<dyn Streams>,
    dispatcher: Arc<dyn Dispatcher>,
) -> Routes {
    macro_rules! sized {
        ($server:expr) => {
            $server
                .max_decoding_message_size(limits::MESSAGE)
                .max_encoding_message_size(limits::MESSAGE)
        };
    }
    // Without a fallback of their own, so that they can be merged with a router that has one.
    let mut routes = RoutesBuilder::from(axum::Router::new());
    routes
        .add_service(sized!(BrokerServer::new(BrokerService(broker))))
        .add_service(sized!(PoolServer::new(PoolService(pool))))
        .add_service(sized!(StateStoreServer::new(StateService(state))))
        .add_service(sized!(StreamsServer::new(StreamsService(streams))))
        .add_service(sized!(DispatcherServer::new(DispatcherService(dispatcher))));
    routes.routes()
}
