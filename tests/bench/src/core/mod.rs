//! Deciding alone, as fast as one core goes: a pool filled and churned, with what it costs as the pool grows, beside a
//! plain full scan in the same run.

mod churn;
mod workloads;
mod world;

use crate::report::{Failed, Peer, Row, Target};
use churn::{Outcome, Pool};
use workloads::Mix;

/// How to measure.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Sizes of the pool, in nodes.
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [1_000, 10_000, 50_000])]
    nodes: Vec<u32>,
    /// How full the pool is, in percent of its cpu.
    #[arg(long, value_name = "PERCENT", default_value_t = 90)]
    full: u64,
    /// Tasks that end and are replaced.
    #[arg(long, value_name = "N", default_value_t = 50_000)]
    turns: u32,
    /// Tenants.
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [3, 1_000])]
    tenants: Vec<u32>,
}

/// Measures; the rows.
pub(crate) fn run(arguments: &Arguments) -> Result<Vec<Row>, Failed> {
    let mut rows = Vec::new();
    for nodes in &arguments.nodes {
        for (name, mix) in [
            ("no rules", Mix::Plain),
            ("mixed rules", Mix::Mixed),
            ("over racks", Mix::Racks),
        ] {
            for tenants in &arguments.tenants {
                let pool = Pool {
                    nodes: *nodes,
                    mix,
                    tenants: *tenants,
                    workloads: (*tenants).max(*nodes / 10),
                    exact: 64,
                    full: arguments.full,
                    turns: arguments.turns,
                };
                let name = format!("{nodes} nodes, {name}, {tenants} tenants");
                rows.extend(told(&name, &churn::run(&pool)?));
            }
        }
    }
    rows.extend(beside_a_full_scan(arguments)?);
    Ok(rows)
}

fn told(name: &str, outcome: &Outcome) -> [Row; 5] {
    [
        Row::new(
            format!("{name}: fill to {} tasks", outcome.tasks),
            outcome.fill,
            "tasks/s",
        ),
        Row::new(format!("{name}: end and replace"), outcome.churn, "tasks/s"),
        Row::new(
            format!("{name}: one claim, p99"),
            outcome.alone.millis(99) * 1000.0,
            "us",
        ),
        Row::new(format!("{name}: without room"), outcome.rejected, "%"),
        Row::new(
            format!("{name}: memory"),
            outcome.grown * world::MIB as f64 / outcome.tasks.max(1) as f64,
            "bytes/task",
        ),
    ]
}

/// The index against looking at every node, on a pool that the scan can still manage.
fn beside_a_full_scan(arguments: &Arguments) -> Result<Vec<Row>, Failed> {
    let pool = Pool {
        nodes: 1_000,
        mix: Mix::Mixed,
        tenants: 100,
        workloads: 100,
        exact: 64,
        full: arguments.full,
        turns: arguments.turns.min(5_000),
    };
    let index = churn::run(&pool)?;
    let scan = churn::run(&Pool {
        exact: usize::MAX,
        ..pool
    })?;
    let peer = |value| {
        Some(Peer {
            name: "full scan".to_owned(),
            value,
        })
    };
    Ok(vec![
        Row {
            target: Some(Target::AtLeast(2.0 * scan.fill)),
            peer: peer(scan.fill),
            ..Row::new("1000 nodes, index: fill", index.fill, "tasks/s")
        },
        Row {
            target: Some(Target::AtMostOfPeer(1.0)),
            peer: peer(scan.used as f64),
            ..Row::new("1000 nodes, index: nodes used", index.used as f64, "nodes")
        },
    ])
}
