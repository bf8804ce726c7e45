//! The contracts over gRPC. `proto/` is the specification and what is generated from it is in [`proto`]; `convert`
//! turns the model's nouns into messages and back; `remote` holds the callers' side of each contract, `service` the
//! served side, which decodes, calls the trait and encodes, and decides nothing.

mod convert;
mod limits;
mod malformed;
pub mod proto;
mod remote;
mod service;
mod status;

pub use malformed::{Fault, Malformed};
pub use remote::{BadUrl, RemoteBroker, RemoteDispatcher, connect};
pub use service::{BrokerService, DispatcherService};
