//! The served side of each contract: decode, call the trait, encode. No logic, no state but that of a stream.

mod broker;
mod dispatcher;
mod pool;
mod session;
mod state;
mod streams;

pub use broker::BrokerService;
pub use dispatcher::DispatcherService;
pub use pool::PoolService;
pub use state::StateService;
pub use streams::StreamsService;

use futures::stream::BoxStream;
use tonic::Status;

/// What a call that streams its answer gives to the transport.
type Answers<T> = BoxStream<'static, Result<T, Status>>;
