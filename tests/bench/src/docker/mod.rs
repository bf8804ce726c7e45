//! Docker services side by side with a real swarm, in one run: how long until replicas run, and how long the
//! requests behind `docker service ls`, `ps` and `inspect` take while 200 services exist.
//!
//! What makes the two comparable:
//! - They use the *same* engines: one dockerd per node (network namespaces on one bridge, a data directory and a
//!   containerd each), which are a swarm, and in which Plenum's agents run their containers, too. So version,
//!   image, storage and network of the containers are the same, and so is what they cost. Whoever's turn it is
//!   not holds no tasks and only sends its heartbeats.
//! - The same shape: the swarm's manager works on node 1 beside its containers, and so do Plenum's broker and
//!   door in one process with the agent of node 1; the other nodes are workers. Both write to the same disk.
//!   The one difference: between its nodes the swarm encrypts, Plenum does not yet.
//! - The same client, requests and polling, over a unix socket, by turns: Plenum, swarm, Plenum, swarm. The next
//!   turn begins when the engines have nothing left. The figure is the median. A third turn asks the engines for
//!   the same containers with no scheduler at all: nobody who uses them can be faster.
//! - `running` is what the API says, and after each turn the engines must have as many containers running.
//! - For the reads each side has 200 services of one replica that runs: a list of services whose tasks are none
//!   would leave out the counting that `service ls` is about. Containers do nothing (`sleep`).

mod engine;
mod image;
mod net;
mod process;
mod reads;
mod stand;
mod turns;

use crate::report::{Failed, Peer, Row, Target};
use crate::times::Times;
use stand::{Sides, Stand};
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};

/// At most so many times what the swarm takes.
const WANTED: f64 = 1.0;

/// The version of the API that both sides speak.
const API: &str = "/v1.41";

/// How to measure. Needs root, dockerd, the docker CLI, iproute2 and busybox-static.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Put the data here; on a file system in memory the figures mean nothing.
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// The binary to measure [default: the one beside this].
    #[arg(long, value_name = "FILE")]
    plenum: Option<PathBuf>,
    /// Nodes, each with a dockerd.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=9))]
    nodes: u8,
    /// Replicas of a service; may be repeated.
    #[arg(long, value_name = "N", default_values_t = [10, 50])]
    replicas: Vec<u32>,
    /// Turns of each side.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Services while lists are read; 0: leave that out.
    #[arg(long, value_name = "N", default_value_t = 200)]
    services: u32,
    /// Requests of each kind to each side; of fewer the slowest hundredth is chance.
    #[arg(long, value_name = "N", default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..))]
    requests: u32,
}

impl Arguments {
    fn plenum(&self) -> Result<PathBuf, Failed> {
        match &self.plenum {
            Some(path) => std::path::absolute(path).map_err(Failed::in_("the binary")),
            None => stand::beside(),
        }
    }
}

/// Measures; the rows. Whatever happens, nothing is left behind.
pub(crate) fn run(arguments: &Arguments) -> Result<Vec<Row>, Failed> {
    let runtime = tokio::runtime::Runtime::new().map_err(Failed::in_("the runtime"))?;
    runtime.block_on(async {
        let mut ends = [SignalKind::interrupt(), SignalKind::terminate()]
            .into_iter()
            .map(signal)
            .collect::<Result<Vec<_>, _>>()
            .map_err(Failed::in_("the signals"))?;
        let mut stand = Stand::new(arguments)?;
        let rows = tokio::select! {
            rows = measure(&mut stand, arguments) => rows,
            _ = futures::future::select_all(ends.iter_mut().map(|s| Box::pin(s.recv()))) => Err(Failed::Measured {
                what: "the run".to_owned(),
                why: "interrupted".to_owned(),
            }),
        };
        eprintln!("plenum-bench: taking the stand down");
        drop(stand);
        rows
    })
}

async fn measure(stand: &mut Stand, arguments: &Arguments) -> Result<Vec<Row>, Failed> {
    eprintln!(
        "plenum-bench: {} engines, a swarm and Plenum come up",
        arguments.nodes
    );
    let sides = stand.build(arguments).await?;
    // What is done for the first time (layers read, modules loaded) is nobody's figure.
    turns::measure(&sides, 3, 1).await?;
    let mut rows = Vec::new();
    for replicas in &arguments.replicas {
        let turns = turns::measure(&sides, *replicas, arguments.rounds).await?;
        rows.push(
            turns
                .both
                .row(&format!("create to {replicas} running, median"), 50),
        );
        let name = format!("of which the engines, {replicas} containers");
        rows.push(Row::new(name, turns.alone.millis(50), "ms"));
    }
    if arguments.services > 0 {
        for (name, both) in reads::measure(&sides, arguments.services, arguments.requests).await? {
            rows.push(both.row(&format!("{name}, p50"), 50));
            rows.push(both.row(&format!("{name}, p99"), 99));
        }
    }
    Ok(rows)
}

/// The times of both sides.
struct Both {
    plenum: Times,
    swarm: Times,
}

impl Both {
    fn row(&self, name: &str, percent: usize) -> Row {
        let peer = Peer {
            name: "swarm".to_owned(),
            value: self.swarm.millis(percent),
        };
        Row {
            target: Some(Target::AtMostOfPeer(WANTED)),
            peer: Some(peer),
            ..Row::new(name, self.plenum.millis(percent), "ms")
        }
    }
}
