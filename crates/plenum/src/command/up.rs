//! `plenum up`: broker, agents and doors in one process on this machine.

use super::{asked_to_end, settings};
use crate::args::UpArgs;
use crate::config::{Config, Layers};
use crate::endpoints;
use crate::failure::Failure;
use crate::nodes::{Share, default_count, share};
use crate::part::broker::BrokerPart;
use crate::part::node::NodePart;
use crate::part::scheduler;
use crate::{node_config, telemetry};
use plenum_contract::scheduler::RunningScheduler;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A pool in this process.
struct Pool {
    broker: BrokerPart,
    nodes: Vec<NodePart>,
    schedulers: Vec<Box<dyn RunningScheduler>>,
}

/// Runs it until a signal.
///
/// # Errors
/// Why it could not start.
pub(crate) async fn run(args: &UpArgs) -> Result<(), Failure> {
    let (dir, mut layers) = settings(&args.part)?;
    if let Some(nodes) = args.nodes {
        layers.set("up.nodes", &nodes.to_string(), "--nodes")?;
    }
    if args.free_ports {
        free_ports(&mut layers)?;
    }
    let config = layers.config()?;
    let telemetry = telemetry::start(&config.telemetry, "plenum-up")?;
    let pool = Pool::start(&config, &layers, &dir).await?;
    pool.publish(&dir)?;
    pool.announce(&dir).await;
    asked_to_end().await?;
    pool.stop().await;
    eprintln!(" Ended. The tasks run on: `plenum up` takes them back, `plenum down` stops them.");
    telemetry.shutdown();
    Ok(())
}

/// Every door on port 0.
fn free_ports(layers: &mut Layers) -> Result<(), Failure> {
    layers.set("broker.listen", "127.0.0.1:0", "--free-ports")?;
    for scheduler in layers.config()?.up.schedulers {
        layers.set(&format!("{scheduler}.listen"), "127.0.0.1:0", "--free-ports")?;
    }
    Ok(())
}

impl Pool {
    async fn start(config: &Config, layers: &Layers, dir: &Path) -> Result<Self, Failure> {
        let broker = BrokerPart::start(&config.broker, dir).await?;
        let mut pool = Self {
            broker,
            nodes: Vec::new(),
            schedulers: Vec::new(),
        };
        match pool.join(config, layers, dir).await {
            Ok(()) => Ok(pool),
            Err(e) => {
                pool.stop().await;
                Err(e)
            }
        }
    }

    async fn join(&mut self, config: &Config, layers: &Layers, dir: &Path) -> Result<(), Failure> {
        for share in shares(config, dir)? {
            let node = node_config::of_share(&config.agent, &share, dir)?;
            let dispatcher = self.broker.dispatcher();
            self.nodes
                .push(NodePart::start(node, dir, &config.agent, dispatcher).await?);
        }
        for kind in &config.up.schedulers {
            self.schedulers
                .push(scheduler::linked(kind, layers, &self.broker).await?);
        }
        Ok(())
    }

    fn doors(&self) -> BTreeMap<String, String> {
        self.schedulers.iter().flat_map(|s| s.endpoints()).collect()
    }

    /// Writes where everything is.
    fn publish(&self, dir: &Path) -> Result<(), Failure> {
        let mut doors = self.doors();
        doors.insert("api".to_owned(), self.broker.url());
        let files = self.schedulers.iter().flat_map(|s| s.client_files()).collect();
        Ok(endpoints::write(dir, &doors, &files)?)
    }

    /// Says where everything is.
    async fn announce(&self, dir: &Path) {
        let kept = self.broker.tasks().await;
        println!(
            " ok  broker    {}    data in {}, {kept} tasks kept from before",
            self.broker.url(),
            dir.display()
        );
        let runtimes: BTreeSet<_> = self.nodes.iter().flat_map(NodePart::runtimes).collect();
        let runtimes: Vec<_> = runtimes.into_iter().collect();
        let (cpu, memory) = self
            .nodes
            .iter()
            .map(NodePart::facts)
            .fold((0, 0), |(cpu, memory), facts| {
                let a = facts.allocatable();
                (cpu + a.cpu_millis, memory + a.memory_bytes)
            });
        println!(
            " ok  agents    {} ready    {}.{} cpu  {} GiB    runtimes {}",
            self.nodes.len(),
            cpu / 1000,
            cpu % 1000 / 100,
            memory >> 30,
            runtimes.join(", ")
        );
        let doors: Vec<_> = self
            .doors()
            .into_iter()
            .map(|(name, url)| format!("{name} {url}"))
            .collect();
        println!(" ok  doors     {}", doors.join("    "));
        let run = "plenum run --name hello -- sh -c 'while :; do date; sleep 1; done'";
        println!(" Next: {run}    |    plenum ps    |    plenum why hello");
    }

    /// Doors first, then the agents, the broker last. Tasks run on.
    async fn stop(self) {
        for scheduler in self.schedulers {
            scheduler.stop().await;
        }
        for node in self.nodes {
            node.stop().await;
        }
        self.broker.stop().await;
    }
}

fn shares(config: &Config, dir: &Path) -> Result<Vec<Share>, Failure> {
    let machine = node_config::machine(&config.agent, dir)?;
    Ok(match config.up.nodes {
        0 => share(&machine, default_count(&machine), true),
        count => share(&machine, count, false),
    })
}
