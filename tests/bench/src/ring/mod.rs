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

/// What the whole way must carry on two cores, in tasks a second; the same with one task a call; and claims alone.
const WANTED: (f64, f64, f64) = (100_000.0, 30_000.0, 300_000.0);
/// Callers that claim one task a call.
const CALLERS: u32 = 64;
/// Tasks a second that are offered while answers are timed.
const OFFERED: u32 = 10_000;
/// How soon half of those answers are wanted, and nearly all, in milliseconds.
const SOON: (f64, f64) = (1.0, 5.0);

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
    #[arg(long, value_name = "N", default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..))]
    agents: u32,
    /// Connections that the agents share.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// Tasks of one claim.
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,
    /// Claims under way at once.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    window: u32,
    /// Seconds for which tasks are offered at a steady rate.
    #[arg(long, value_name = "N", default_value_t = 5)]
    seconds: u32,
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
    let mut rows = whole_way(arguments).await?;
    rows.push(claims_alone(arguments).await?);
    Ok(rows)
}

async fn whole_way(arguments: &Arguments) -> Result<Vec<Row>, Failed> {
    let dir = data_dir(&arguments.dir)?;
    let house = House::open(&dir, arguments.local).await?;
    let (agents, tasks) = (arguments.agents, arguments.tasks);
    let dispatchers = house.dispatchers(arguments.connections)?;
    let fleet = Fleet::attach(&dispatchers, agents, slots(arguments)).await?;
    let claims = Claims::open(house.broker()?.as_ref()).await?;
    let alone = claims.one_by_one(200).await?;
    let before = house.handle.stats();
    let many = claims
        .many("many", tasks, arguments.batch, arguments.window)
        .await?;
    let after = house.handle.stats();
    let called = claims.many("called", tasks / 4, 1, CALLERS).await?;
    let answered = claims.offered(OFFERED, arguments.seconds).await?;
    let spent = |micros: u64| Duration::from_micros(micros).as_secs_f64() / many.seconds * 100.0;
    let rows = vec![
        Row {
            target: Some(Target::AtLeast(WANTED.0)),
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
            "of which the core",
            spent(after.core_micros - before.core_micros),
            "%",
        ),
        Row::new(
            "of which the log",
            spent(after.log_micros - before.log_micros),
            "%",
        ),
        Row::new(
            "of which the view",
            spent(after.publish_micros - before.publish_micros),
            "%",
        ),
        Row {
            target: Some(Target::AtLeast(WANTED.1)),
            ..Row::new(
                format!("ring, one task a call, {CALLERS} callers"),
                f64::from(tasks / 4) / called.seconds,
                "tasks/s",
            )
        },
        Row {
            target: Some(Target::AtMost(SOON.0)),
            ..Row::new(
                format!("claim durable and placed, {OFFERED} tasks/s offered, p50"),
                answered.millis(50),
                "ms",
            )
        },
        Row {
            target: Some(Target::AtMost(SOON.1)),
            ..Row::new("the same, p99", answered.millis(99), "ms")
        },
        Row::new(
            "claims not taken at once",
            f64::from(claims.overloads()),
            "claims",
        ),
    ];
    drop(claims);
    fleet.stop().await;
    house.close().await;
    Ok(rows)
}

/// Nobody runs what is placed: what claiming and releasing over the wire costs by itself.
async fn claims_alone(arguments: &Arguments) -> Result<Row, Failed> {
    let dir = data_dir(&arguments.dir)?;
    let house = House::open(&dir, arguments.local).await?;
    let dispatchers = house.dispatchers(arguments.connections)?;
    let fleet = Fleet::attach(&dispatchers, arguments.agents, slots(arguments)).await?;
    // Their lease outlasts this.
    fleet.stop().await;
    let claims = Claims::open(house.broker()?.as_ref()).await?;
    let rate = claims
        .claimed_and_released(arguments.tasks, arguments.batch, arguments.window)
        .await?;
    drop(claims);
    house.close().await;
    Ok(Row {
        target: Some(Target::AtLeast(WANTED.2)),
        ..Row::new(
            format!("claimed and released, {} nodes", arguments.agents),
            rate,
            "tasks/s",
        )
    })
}

/// Room on each node for all that is claimed.
fn slots(arguments: &Arguments) -> u64 {
    let all = arguments.tasks * 2 + OFFERED * arguments.seconds;
    u64::from(all.div_ceil(arguments.agents)) * 2 + 400
}
