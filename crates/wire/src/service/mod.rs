//! The served side of each contract: decode, call the trait, encode. No logic, no state but that of a stream.

mod broker;
mod dispatcher;
mod session;

pub use broker::BrokerService;
pub use dispatcher::DispatcherService;

use futures::stream::BoxStream;
use tonic::Status;

/// What a call that streams its answer gives to the transport.
type Answers<T> = BoxStream<'static, Result<T, Status>>;
