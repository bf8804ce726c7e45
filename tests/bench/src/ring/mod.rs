//! The whole way of a task, as fast as it goes: claimed over gRPC, durable on disk, placed, assigned over gRPC to
//! simulated agents, reported running, durable again, seen on the watch. One process is everything (broker,
//! agents, scheduler), so that two cores carry both ends of every connection.

mod claims;

use crate::fleet::Fleet;
use crate::house::{House, data_dir};
use crate::report::{Failed, Row, Target};
use claims::Claims;
use std::path::PathBuf;
use std::time::Duration;

/// What the whole way must carry on two cores, in tasks a second.
const WANTED: f64 = 20_000.0;

/// How to measure.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Put the data here; on a file system in memory the figures mean nothing.
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Tasks that go the whole way.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    tasks: u32,
    /// Nodes.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    agents: u32,
    /// Connections that the agents share.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// Tasks of one claim.
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,
    /// Claims under way at once.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    window: u32,
    /// Leave the wire out: the same calls in process. Shows what gRPC costs.
    #[arg(long)]
    local: bool,
}

/// Measures; the rows.
pub(crate) fn run(arguments: &Arguments) -> Result<Vec<Row>, Failed> {
    let runtime = tokio::runtime::Runtime::new().map_err(Failed::in_("the runtime"))?;
    runtime.block_on(measure(arguments))
}

async fn measure(arguments: &Arguments) -> Result<Vec<Row>, Failed> {
    let dir = data_dir(&arguments.dir)?;
    let house = House::open(&dir, arguments.local).await?;
    let (agents, tasks) = (arguments.agents, arguments.tasks);
    let dispatchers = house.dispatchers(arguments.connections)?;
    let slots = u64::from(tasks.div_ceil(agents)) * 2 + 200;
    let fleet = Fleet::attach(&dispatchers, agents, slots).await?;
    let claims = Claims::open(house.broker()?.as_ref()).await?;
    let alone = claims.one_by_one(200).await?;
    let before = house.handle.stats();
    let many = claims.many(tasks, arguments.batch, arguments.window).await?;
    let after = house.handle.stats();
    let rows = vec![
        Row {
            target: Some(Target::AtLeast(WANTED)),
            ..Row::new(
                format!("ring, {agents} agents"),
                f64::from(tasks) / many.seconds,
                "tasks/s",
            )
        },
        Row::new("claim to running seen, p50", many.way.millis(50), "ms"),
        Row::new("claim to running seen, p99", many.way.millis(99), "ms"),
        Row::new("claim durable, p50", many.durable.millis(50), "ms"),
        Row::new("claim durable, p99", many.durable.millis(99), "ms"),
        Row::new("one task alone to running seen, p50", alone.millis(50), "ms"),
        Row::new("one task alone to running seen, p99", alone.millis(99), "ms"),
        Row::new(
            "claims not taken at once",
            f64::from(claims.overloads()),
            "claims",
        ),
        Row::new(
            "of which the core",
            share(after.core_micros - before.core_micros, many.seconds),
            "%",
        ),
        Row::new(
            "of which the log",
            share(after.log_micros - before.log_micros, many.seconds),
            "%",
        ),
        Row::new(
            "of which the view",
            share(after.publish_micros - before.publish_micros, many.seconds),
            "%",
        ),
    ];
    drop(claims);
    fleet.stop().await;
    house.close().await;
    Ok(rows)
}

fn share(micros: u64, seconds: f64) -> f64 {
    Duration::from_micros(micros).as_secs_f64() / seconds * 100.0
}
