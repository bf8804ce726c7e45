//! The contracts over gRPC. `proto/` is the specification and what is generated from it is in [`proto`]; `convert`
//! turns the model's nouns into messages and back; `remote` holds the callers' side of each contract, `service` the
//! served side, which decodes, calls the trait and encodes, and decides nothing. Start with `routes`.

mod convert;
mod limits;
mod malformed;
mod prefixed;
pub mod proto;
mod remote;
mod routes;
mod service;
mod status;

pub use malformed::{Fault, Malformed};
pub use prefixed::Prefixed;
pub use remote::{BadUrl, RemoteBroker, RemoteDispatcher, RemotePool, RemoteState, RemoteStreams, connect};
pub use routes::routes;
pub use service::{BrokerService, DispatcherService, PoolService, StateService, StreamsService};
pub use tonic::transport::Channel;
