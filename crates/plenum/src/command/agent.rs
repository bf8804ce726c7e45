//! `plenum agent`: the agent of this node as a process of its own.

use super::{asked_to_end, settings};
use crate::args::AgentArgs;
use crate::failure::Failure;
use crate::part::node::NodePart;
use crate::part::remote::Remote;
use crate::{node_config, telemetry};

/// Runs it until a signal.
///
/// # Errors
/// Why it could not start.
pub(crate) async fn run(args: &AgentArgs) -> Result<(), Failure> {
    let (dir, mut layers) = settings(&args.part)?;
    let flags = [
        ("agent.broker", "--broker", args.broker.as_ref()),
        ("agent.name", "--name", args.name.as_ref()),
        ("agent.address", "--address", args.address.as_ref()),
    ];
    for (key, flag, value) in flags {
        if let Some(value) = value {
            layers.set(key, value, flag)?;
        }
    }
    if !args.attributes.is_empty() {
        layers.set("agent.attributes", &args.attributes.join(","), "--attribute")?;
    }
    if !args.taints.is_empty() {
        layers.set("agent.taints", &args.taints.join(","), "--taint")?;
    }
    let config = layers.config()?;
    let telemetry = telemetry::start(&config.telemetry, "plenum-agent")?;
    let remote = Remote::new(&config.agent.broker)?;
    let node = node_config::of_machine(&config.agent, &dir)?;
    let node = NodePart::start(node, &dir, &config.agent, remote.dispatcher()).await?;
    let facts = node.facts();
    println!(
        " ok  agent     {} at {}    broker {}    runtimes {}",
        facts.id,
        facts.address,
        config.agent.broker,
        node.runtimes().join(", ")
    );
    asked_to_end().await?;
    node.stop().await;
    eprintln!(" Ended. The tasks run on: `plenum agent` takes them back, `plenum down` stops them.");
    telemetry.shutdown();
    Ok(())
}
