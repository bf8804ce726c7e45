//! Pods through the Kubernetes door, as fast as it goes: created over HTTP, scheduled by the adapter through a
//! broker on disk, bound, run by simulated agents over gRPC, their status written back, seen Running on a watch.
//! Every pod is a durable object; each gets a token of its service account, as pods do. One process is everything
//! (broker, embedded API server, controllers, adapter, agents, and the client), so that two cores carry both ends
//! of every connection, and the memory is that of all of them.
//!
//! `pods` makes them and looks whether all is right, `follow` watches.

mod follow;
mod pods;

use crate::doors::{TABLE, open_door};
use crate::eventually::eventually;
use crate::fleet::Fleet;
use crate::house::{House, data_dir};
use crate::http::Api;
use crate::report::{Failed, Peer, Row, Target};
use crate::times::Times;
use crate::usage::Usage;
use follow::Follower;
use pods::Maker;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Instant;

/// What the door must carry on two cores, in pods a second.
const WANTED: f64 = 500.0;

/// What the Kubernetes project publishes for kube-scheduler with a real API server and etcd, at the smallest of its
/// settings: there too the nodes are simulated.
const PUBLISHED: f64 = 270.0;

/// How to measure.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Put the data here; on a file system in memory the figures mean nothing.
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Pods that are created at once.
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..))]
    pods: u32,
    /// Nodes.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    nodes: u32,
    /// Connections that the agents share.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// Pods on their way to the API at once.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    clients: u32,
    /// Pods that are created one by one before.
    #[arg(long, value_name = "N", default_value_t = 100)]
    alone: u32,
    /// Lists of each form.
    #[arg(long, value_name = "N", default_value_t = 200)]
    lists: u32,
}

/// Measures; the rows.
pub(crate) fn run(arguments: &Arguments) -> Result<Vec<Row>, Failed> {
    let runtime = tokio::runtime::Runtime::new().map_err(Failed::in_("the runtime"))?;
    runtime.block_on(measure(arguments))
}

async fn measure(arguments: &Arguments) -> Result<Vec<Row>, Failed> {
    let dir = data_dir(&arguments.dir)?;
    let house = House::open(&dir, false).await?;
    let all = arguments.pods + arguments.alone;
    let slots = u64::from(all.div_ceil(arguments.nodes)) * 2 + 100;
    let dispatchers = house.dispatchers(arguments.connections)?;
    let fleet = Fleet::attach(&dispatchers, arguments.nodes, slots).await?;
    let (door, api) = open_door(&house).await?;
    let rows = through(&house, &api, arguments).await;
    door.stop().await;
    fleet.stop().await;
    house.close().await;
    rows
}

async fn through(house: &House, api: &Api, arguments: &Arguments) -> Result<Vec<Row>, Failed> {
    let (pods, nodes) = (arguments.pods, arguments.nodes);
    ready(api, nodes).await?;
    let maker = Maker::new(api).await?;
    let mut follower = Follower::begin(api, &maker).await?;
    let alone = one_by_one(&maker, &mut follower, arguments.alone).await?;
    let before = Usage::now()?;
    let begun = Instant::now();
    let create = maker.create("many", pods, arguments.clients);
    let (create, many) = tokio::try_join!(create, follower.all_running("many", pods))?;
    let took = begun.elapsed().as_secs_f64();
    let after = Usage::now()?;
    maker.check(house, arguments.alone + pods, nodes).await?;
    let peer = Peer {
        name: "kube-scheduler, published".to_owned(),
        value: PUBLISHED,
    };
    let rate = Row {
        target: Some(Target::AtLeast(WANTED)),
        peer: Some(peer),
        ..Row::new(
            format!("{pods} pods, {nodes} nodes"),
            f64::from(pods) / took,
            "pods/s",
        )
    };
    let cpu = (after.processor - before.processor).as_secs_f64() * 1000.0 / f64::from(pods);
    let mut rows = vec![rate];
    rows.extend(percentiles("create to Running seen", &many.running));
    rows.extend(percentiles("create answered", &create));
    rows.extend(percentiles("create to seen on a watch", &many.added));
    rows.extend(percentiles("one pod alone, create to Running seen", &alone));
    rows.extend(lists(&maker, arguments).await?);
    rows.push(Row::new("processor time of all, a pod", cpu, "ms"));
    rows.push(Row::new("memory of all, before", before.resident_mib, "MiB"));
    rows.push(Row::new(
        "memory of all, with the pods",
        after.resident_mib,
        "MiB",
    ));
    rows.push(Row::new("memory of all, most", Usage::now()?.peak_mib, "MiB"));
    Ok(rows)
}

fn percentiles(name: &str, times: &Times) -> [Row; 2] {
    [50, 99].map(|percent| Row::new(format!("{name}, p{percent}"), times.millis(percent), "ms"))
}

/// Waits until pods may go to every node.
async fn ready(api: &Api, nodes: u32) -> Result<(), Failed> {
    let open = |node: &Value| {
        let conditions = node["status"]["conditions"].as_array();
        let is_ready = |c: &Value| c["type"] == "Ready" && c["status"] == "True";
        let untainted = node["spec"]["taints"].as_array().is_none_or(Vec::is_empty);
        untainted && conditions.is_some_and(|all| all.iter().any(is_ready))
    };
    eventually("all nodes are ready", || async {
        let list = api.get("/api/v1/nodes").await?;
        let items = list["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(items.iter().filter(|node| open(node)).count() == nodes as usize)
    })
    .await
}

/// So many pods, each created when the one before was seen running.
async fn one_by_one(maker: &Maker<'_>, follower: &mut Follower<'_>, count: u32) -> Result<Times, Failed> {
    let mut times = Vec::new();
    for number in 0..count {
        let begun = Instant::now();
        let set = format!("alone{number}");
        let (create, running) = (maker.create(&set, 1, 1), follower.all_running(&set, 1));
        tokio::try_join!(create, running)?;
        times.push(begun.elapsed());
    }
    Ok(Times::new(times))
}

/// Lists of all pods: as clients in code read them, and as `kubectl get` does.
async fn lists(maker: &Maker<'_>, arguments: &Arguments) -> Result<Vec<Row>, Failed> {
    let all = arguments.pods + arguments.alone;
    let forms = [("objects", "application/json"), ("a table", TABLE)];
    let mut rows = Vec::new();
    for (form, accept) in forms {
        let times = maker.lists(accept, arguments.lists).await?;
        rows.extend(percentiles(&format!("list of {all} pods as {form}"), &times));
    }
    Ok(rows)
}
