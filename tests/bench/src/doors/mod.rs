//! Thousands of tasks in each door at once: how fast the requests behind each tool's lists are answered, how soon one
//! task more is shown running, and whether it costs more when there are more already. One process is everything:
//! broker on a disk, doors, simulated agents over gRPC, and the clients.
//!
//! What a tool asks stands in a file of its own name.

mod kubernetes;
mod marathon;
mod swarm;

pub(crate) use kubernetes::{TABLE, open_door};

use crate::eventually::eventually;
use crate::fleet::Fleet;
use crate::house::{House, data_dir};
use crate::http::Api;
use crate::report::{Failed, Peer, Row, Target};
use crate::times::Times;
use crate::usage::Usage;
use std::path::PathBuf;
use std::time::Instant;

/// Tasks of one workload.
const EACH: u32 = 100;
/// No list of a tool may take longer, in milliseconds.
const SOON: f64 = 1_000.0;
/// What one task more may cost among many, over what it costs among few: noise, no growth.
const GROWTH: f64 = 1.5;

/// How to measure.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Put the data here; on a file system in memory the figures mean nothing.
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Nodes.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    nodes: u32,
    /// Tasks in each door when one more is measured first.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    few: u32,
    /// Tasks in each door when the lists are measured.
    #[arg(long, value_name = "N", default_value_t = 3_000)]
    tasks: u32,
    /// Tasks in each door when one more is measured again.
    #[arg(long, value_name = "N", default_value_t = 9_000)]
    many: u32,
    /// How often each is measured.
    #[arg(long, value_name = "N", default_value_t = 30)]
    turns: u32,
}

/// A user's tool, as its door sees it.
trait Tool {
    /// What users call it.
    fn name(&self) -> &'static str;

    /// Asks for a workload of so many tasks.
    async fn make(&self, workload: &str, tasks: u32) -> Result<(), Failed>;

    /// How many tasks of a workload the tool shows running.
    async fn running(&self, workload: &str) -> Result<u64, Failed>;

    /// Commands that list, with what each asks: paths, and the form of the answer.
    fn lists(&self) -> Vec<(&'static str, Vec<(String, &'static str)>)>;

    fn api(&self) -> &Api;
}

/// What a command asks, all of it as JSON.
fn json_of(paths: &[&str]) -> Vec<(String, &'static str)> {
    let asks = paths.iter().map(|path| ((*path).to_owned(), "application/json"));
    asks.collect()
}

/// Measures; the rows.
pub(crate) fn run(arguments: &Arguments) -> Result<Vec<Row>, Failed> {
    let runtime = tokio::runtime::Runtime::new().map_err(Failed::in_("the runtime"))?;
    runtime.block_on(measure(arguments))
}

async fn measure(arguments: &Arguments) -> Result<Vec<Row>, Failed> {
    let dir = data_dir(&arguments.dir)?;
    let house = House::open(&dir, false).await?;
    let dispatchers = house.dispatchers(16)?;
    let slots = u64::from(arguments.many.div_ceil(arguments.nodes)) * 4 + 100;
    let fleet = Fleet::attach(&dispatchers, arguments.nodes, slots).await?;
    let (dcos, dcos_door) = marathon::open(&house).await?;
    let (docker, docker_door) = swarm::open(&house).await?;
    let (kubectl, kubectl_door) = kubernetes::open(&house).await?;
    let rows = through(&dcos, &docker, &kubectl, arguments).await;
    for door in [dcos_door, docker_door, kubectl_door] {
        door.stop().await;
    }
    fleet.stop().await;
    house.close().await;
    rows
}

async fn through(
    dcos: &impl Tool,
    docker: &impl Tool,
    kubectl: &impl Tool,
    arguments: &Arguments,
) -> Result<Vec<Row>, Failed> {
    let before = Usage::now()?;
    let to = |from, tasks| async move {
        grow(dcos, from, tasks).await?;
        grow(docker, from, tasks).await?;
        grow(kubectl, from, tasks).await
    };
    let turns = arguments.turns;
    to(0, arguments.few).await?;
    let few = [
        more(dcos, "few", turns).await?,
        more(docker, "few", turns).await?,
        more(kubectl, "few", turns).await?,
    ];
    to(arguments.few, arguments.tasks).await?;
    let mut rows = lists(dcos, arguments).await?;
    rows.extend(lists(docker, arguments).await?);
    rows.extend(lists(kubectl, arguments).await?);
    let there = Usage::now()?;
    to(arguments.tasks, arguments.many).await?;
    let many = [
        more(dcos, "many", turns).await?,
        more(docker, "many", turns).await?,
        more(kubectl, "many", turns).await?,
    ];
    let names = [dcos.name(), docker.name(), kubectl.name()];
    for ((name, few), many) in names.iter().zip(&few).zip(&many) {
        rows.extend(growth(name, few, many, arguments));
    }
    let tasks = 3 * arguments.tasks;
    rows.push(Row::new("memory of all, before", before.resident_mib, "MiB"));
    rows.push(Row::new(
        format!("memory of all, {tasks} tasks"),
        there.resident_mib,
        "MiB",
    ));
    rows.push(Row::new("memory of all, most", Usage::now()?.peak_mib, "MiB"));
    Ok(rows)
}

/// Brings a door from so many tasks to so many, all running.
async fn grow(tool: &impl Tool, from: u32, tasks: u32) -> Result<(), Failed> {
    for n in from / EACH..tasks / EACH {
        tool.make(&format!("w{n}"), EACH).await?;
    }
    for n in from / EACH..tasks / EACH {
        shown(tool, &format!("w{n}"), EACH).await?;
    }
    Ok(())
}

async fn shown(tool: &impl Tool, workload: &str, tasks: u32) -> Result<(), Failed> {
    let what = format!("{}: {tasks} of {workload} run", tool.name());
    eventually(&what, || async {
        Ok(tool.running(workload).await? == u64::from(tasks))
    })
    .await
}

/// What one task more costs.
struct More {
    /// Until the tool shows it running.
    way: Times,
    /// Of the processor, of everything, in milliseconds.
    cpu: f64,
}

/// Workloads of one task, one after the other.
async fn more(tool: &impl Tool, set: &str, turns: u32) -> Result<More, Failed> {
    let before = Usage::now()?;
    let mut times = Vec::new();
    for n in 0..turns {
        let begun = Instant::now();
        let name = format!("{set}{n}");
        tool.make(&name, 1).await?;
        shown(tool, &name, 1).await?;
        times.push(begun.elapsed());
    }
    let used = Usage::now()?.processor - before.processor;
    Ok(More {
        way: Times::new(times),
        cpu: used.as_secs_f64() * 1000.0 / f64::from(turns.max(1)),
    })
}

fn growth(name: &str, few: &More, many: &More, arguments: &Arguments) -> [Row; 2] {
    let peer = |value| {
        Some(Peer {
            name: format!("among {}", arguments.few),
            value,
        })
    };
    let many_tasks = arguments.many;
    [
        Row {
            target: Some(Target::AtMostOfPeer(GROWTH)),
            peer: peer(few.cpu),
            ..Row::new(
                format!("{name}: processor time of one task more among {many_tasks}"),
                many.cpu,
                "ms",
            )
        },
        Row {
            peer: peer(few.way.millis(50)),
            ..Row::new(
                format!("{name}: one task more among {many_tasks} shown running, p50"),
                many.way.millis(50),
                "ms",
            )
        },
    ]
}

/// How long each listing command waits for its answers.
async fn lists(tool: &impl Tool, arguments: &Arguments) -> Result<Vec<Row>, Failed> {
    let mut rows = Vec::new();
    for (command, asks) in tool.lists() {
        let mut times = Vec::new();
        for _ in 0..arguments.turns {
            let begun = Instant::now();
            for (path, form) in &asks {
                tool.api().get_as(path, form).await?;
            }
            times.push(begun.elapsed());
        }
        let tasks = arguments.tasks;
        rows.push(Row {
            target: Some(Target::AtMost(SOON)),
            ..Row::new(
                format!("{command}, {tasks} tasks, p99"),
                Times::new(times).millis(99),
                "ms",
            )
        });
    }
    Ok(rows)
}
