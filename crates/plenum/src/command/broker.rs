//! `plenum broker`: the broker with the API as a process of its own.

use super::{asked_to_end, settings};
use crate::args::BrokerArgs;
use crate::endpoints;
use crate::failure::Failure;
use crate::part::broker::BrokerPart;
use crate::telemetry;
use std::collections::BTreeMap;

/// Runs it until a signal.
///
/// # Errors
/// Why it could not start.
pub(crate) async fn run(args: &BrokerArgs) -> Result<(), Failure> {
    let (dir, mut layers) = settings(&args.part)?;
    if let Some(listen) = &args.listen {
        layers.set("broker.listen", listen, "--listen")?;
    }
    if let Some(listen) = &args.insecure_listen {
        layers.set("broker.insecure_listen", listen, "--insecure-listen")?;
    }
    let config = layers.config()?;
    let telemetry = telemetry::start(&config.telemetry, "plenum-broker")?;
    let broker = BrokerPart::start(&config.broker, &dir).await?;
    let doors = BTreeMap::from([("api".to_owned(), broker.url())]);
    endpoints::write(&dir, &doors, &BTreeMap::new())?;
    let kept = broker.tasks().await;
    println!(
        " ok  broker    {}    data in {}, {kept} tasks kept from before",
        broker.url(),
        dir.display()
    );
    asked_to_end().await?;
    broker.stop().await;
    telemetry.shutdown();
    Ok(())
}
