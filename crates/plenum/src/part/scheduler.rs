//! A scheduler of the catalog, linked in or with a broker elsewhere.

use crate::catalog;
use crate::config::Layers;
use crate::failure::Failure;
use crate::part::broker::BrokerPart;
use crate::part::remote::Remote;
use plenum_contract::scheduler::{RunningScheduler, SchedulerContext};
use plenum_model::code;
use plenum_model::ids::SchedulerId;
use plenum_wire::Prefixed;
use std::net::SocketAddr;
use std::sync::Arc;

/// Starts the scheduler `kind` beside a broker of this process.
///
/// # Errors
/// The first that did not work, as users read it.
pub(crate) async fn linked(
    kind: &str,
    layers: &Layers,
    broker: &BrokerPart,
) -> Result<Box<dyn RunningScheduler>, Failure> {
    let id = id(kind)?;
    let mut config = layers.section(kind);
    name_broker(&mut config, &broker.url());
    let context = SchedulerContext {
        broker: broker.broker(),
        pool: broker.pool(),
        state: Arc::new(Prefixed::new(broker.state(), id.clone())),
        streams: broker.streams(),
        config,
        id,
    };
    start(kind, context).await
}

/// Starts the scheduler `kind` against a broker elsewhere.
///
/// # Errors
/// The first that did not work, as users read it.
pub(crate) async fn remote(
    kind: &str,
    layers: &Layers,
    remote: &Remote,
) -> Result<Box<dyn RunningScheduler>, Failure> {
    let id = id(kind)?;
    let mut config = layers.section(kind);
    name_broker(&mut config, remote.url());
    let context = SchedulerContext {
        broker: remote.broker(),
        pool: remote.pool(),
        state: remote.state(&id),
        streams: remote.streams(),
        config,
        id,
    };
    start(kind, context).await
}

fn id(kind: &str) -> Result<SchedulerId, Failure> {
    SchedulerId::new(kind).map_err(|e| Failure::new(code::CONFIG, &e))
}

/// A door that tells how machines join is told where the broker is, unless it is configured.
fn name_broker(section: &mut serde_json::Value, url: &str) {
    if section["broker_address"].as_str() == Some("") {
        let address = url.split_once("://").map_or(url, |(_, address)| address);
        section["broker_address"] = address.trim_end_matches('/').into();
    }
}

/// A door that listens on every address of this machine is asked for under each of them.
fn add_hosts(section: &mut serde_json::Value) {
    let every = section["insecure_listen"]
        .as_str()
        .and_then(|given| given.parse::<SocketAddr>().ok())
        .filter(|address| address.ip().is_unspecified());
    if let (Some(address), Some(hosts)) = (every, section["allowed_hosts"].as_array_mut()) {
        hosts.extend(crate::listen::names(address).into_iter().map(Into::into));
    }
}

async fn start(kind: &str, mut context: SchedulerContext) -> Result<Box<dyn RunningScheduler>, Failure> {
    let Some(scheduler) = catalog::scheduler(kind) else {
        let known: Vec<_> = catalog::schedulers().iter().map(|s| s.kind()).collect();
        let message = format!("there is no scheduler `{kind}`, there are {}", known.join(", "));
        return Err(Failure::say(code::CONFIG, message));
    };
    add_hosts(&mut context.config);
    Ok(scheduler.start(context).await?)
}
