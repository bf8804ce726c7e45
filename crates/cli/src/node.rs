//! `plenum node`.

use crate::drain::{self, DrainArgs};
use crate::failure::{Done, Failure, Several};
use crate::output;
use crate::output::table::{Cell, Column, Table};
use crate::output::text;
use crate::ps::age;
use crate::session::Session;
use clap::Subcommand;
use plenum_client::v1::node::{Node, Taint, TaintRequest};
use plenum_model::node::{Liveness, Scheduling};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;

/// The machines of the pool.
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// List all nodes
    #[command(alias = "ls")]
    List,
    /// Show one node
    Show {
        /// Its name
        name: String,
    },
    /// Close nodes for new tasks; what runs there stays
    Cordon {
        /// Their names
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Close a node for new tasks, and have every scheduler move away what it runs there
    Drain(DrainArgs),
    /// Open nodes for new tasks
    Uncordon {
        /// Their names
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Keep off tasks that do not bear it: KEY=VALUE:EFFECT, or take it away: KEY:EFFECT- or KEY-
    Taint {
        /// The node's name
        name: String,
        /// Taints; EFFECT is NoSchedule, NoExecute (both: nothing new is placed there) or PreferNoSchedule
        #[arg(required = true, value_name = "KEY[=VALUE]:EFFECT[-]")]
        taints: Vec<String>,
    },
    /// Remove a node that is gone for good; what was there is lost
    Remove {
        /// Its name
        name: String,
    },
}

const COLUMNS: &[Column] = &[
    Column::new("NODE", 9),
    Column::new("STATE", 8),
    Column::new("ZONE", 2),
    Column::new("TASKS", 5),
    Column::new("CPU HELD/ALL", 7).right(),
    Column::new("MEM HELD/ALL", 6).right(),
    Column::new("GPU", 3).right(),
    Column::new("AGENT", 1),
    Column::new("AGE", 4).right(),
    Column::new("ADDRESS", 1).wide(),
    Column::new("RUNTIMES", 1).wide(),
    Column::new("DISK HELD/ALL", 1).right().wide(),
];

pub(crate) async fn run(command: &NodeCommand, session: &Session<'_>) -> Done {
    match command {
        NodeCommand::List => {
            let all = session.client.nodes().await?;
            output::list(
                session.global,
                "nodes",
                &all,
                |n| n.name.clone(),
                |n| n.name.clone(),
                table,
            )?;
        }
        NodeCommand::Show { name } => {
            let node = session.client.node(name).await?;
            output::one(session.global, "node", &node, &node.name, describe)?;
        }
        NodeCommand::Cordon { names } => return set(names, Scheduling::Cordoned, session).await,
        NodeCommand::Uncordon { names } => return set(names, Scheduling::Open, session).await,
        NodeCommand::Drain(args) => return drain::run(args, session).await,
        NodeCommand::Taint { name, taints } => {
            let node = session.client.taint(name, &change(taints)).await?;
            output::one(session.global, "node", &node, &node.name, |n| {
                format!("{}  {}\n", n.name, tainted(n))
            })?;
        }
        NodeCommand::Remove { name } => {
            session.client.remove_node(name).await?;
            eprintln!("{name}  removed");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// As kubectl reads it: with `-` behind, the taint is taken away; a value named there is of no account.
fn change(taints: &[String]) -> TaintRequest {
    let mut change = TaintRequest::default();
    for text in taints {
        match text.strip_suffix('-') {
            None => change.set.push(text.clone()),
            Some(gone) => {
                let (rest, effect) = gone.rsplit_once(':').map_or((gone, None), |(r, e)| (r, Some(e)));
                let key = rest.split_once('=').map_or(rest, |(key, _)| key);
                change.remove.push(match effect {
                    None => key.to_owned(),
                    Some(effect) => format!("{key}:{effect}"),
                });
            }
        }
    }
    change
}

fn tainted(n: &Node) -> String {
    let all: Vec<String> = n.taints.iter().map(taint).collect();
    if all.is_empty() {
        "no taints".to_owned()
    } else {
        all.join(" ")
    }
}

fn taint(t: &Taint) -> String {
    let value = if t.value.is_empty() { "" } else { "=" };
    format!("{}{value}{}:{}", t.key, t.value, t.effect)
}

async fn set(names: &[String], to: Scheduling, session: &Session<'_>) -> Done {
    let mut several = Several::default();
    for name in names {
        let node = match to {
            Scheduling::Cordoned => session.client.cordon(name).await,
            Scheduling::Draining => session.client.drain(name).await,
            Scheduling::Open => session.client.uncordon(name).await,
        };
        several.note(node.map_err(Failure::from).and_then(|node| {
            output::one(session.global, "node", &node, &node.name, |n| {
                format!("{}  {}\n", n.name, state(n))
            })
        }));
    }
    several.end(session.global.output)
}

pub(crate) fn table(nodes: &[Node]) -> Table {
    Table::new(COLUMNS, nodes.iter().map(row))
}

fn state(n: &Node) -> &'static str {
    match (n.state, n.scheduling) {
        (Liveness::Unreachable, _) => "unreachable",
        (Liveness::Ready, Scheduling::Cordoned) => "cordoned",
        (Liveness::Ready, Scheduling::Draining) => "draining",
        (Liveness::Ready, Scheduling::Open) => "ready",
    }
}

/// What is held of what tasks can have.
fn held(n: &Node, of: impl Fn(&plenum_client::v1::amounts::Amounts) -> u64) -> (u64, u64) {
    (
        n.held.values().map(&of).sum(),
        of(&n.capacity).saturating_sub(of(&n.system)),
    )
}

#[allow(clippy::cast_precision_loss, reason = "an order of parts for people")]
fn part((held, all): (u64, u64), show: impl Fn(u64) -> String) -> Cell {
    let key = if all == 0 { 0.0 } else { held as f64 / all as f64 };
    Cell::keyed(format!("{}/{}", show(held), show(all)), key)
}

fn row(n: &Node) -> Vec<Cell> {
    let tasks: u32 = n.tasks.values().sum();
    let gpus = n.devices.get("gpu").map_or(0, std::collections::BTreeSet::len);
    vec![
        Cell::text(&n.name),
        Cell::text(state(n)),
        Cell::text(n.zone.clone().unwrap_or_default()),
        Cell::keyed(by_scheduler(&n.tasks), f64::from(tasks)),
        part(held(n, |a| a.cpu_millis), text::cpu),
        part(held(n, |a| a.memory_bytes), text::bytes),
        Cell::text(if gpus == 0 {
            String::new()
        } else {
            gpus.to_string()
        }),
        Cell::text(&n.agent_version),
        age(n.joined_at),
        Cell::text(&n.address),
        Cell::text(n.runtimes.keys().cloned().collect::<Vec<_>>().join(",")),
        part(held(n, |a| a.disk_bytes), text::bytes),
    ]
}

/// `marathon 3, swarm 2`; `0` when nothing is there.
fn by_scheduler(tasks: &BTreeMap<String, u32>) -> String {
    let some: Vec<String> = tasks
        .iter()
        .filter(|(_, n)| **n > 0)
        .map(|(scheduler, n)| format!("{scheduler} {n}"))
        .collect();
    if some.is_empty() {
        "0".to_owned()
    } else {
        some.join(", ")
    }
}

fn describe(n: &Node) -> String {
    let mut out = String::new();
    let mut line = |key: &str, value: &str| {
        // Writing to a string cannot fail.
        let _written = writeln!(out, "{key:<12}{}", if value.is_empty() { "-" } else { value });
    };
    line("node", &n.name);
    line("state", &format!("{} for {}", state(n), text::age(n.since)));
    line("host", &format!("{}  {}", n.hostname, n.address));
    line("capacity", &text::amounts(&n.capacity));
    line("system", &text::amounts(&n.system));
    line("free", &text::amounts(&n.free));
    for (scheduler, held) in &n.held {
        let tasks = n.tasks.get(scheduler).copied().unwrap_or(0);
        line(
            "held",
            &format!("{scheduler}: {} in {tasks} tasks", text::amounts(held)),
        );
    }
    for (name, set) in &n.devices {
        line(
            "devices",
            &format!("{name}: {}", set.iter().cloned().collect::<Vec<_>>().join(", ")),
        );
    }
    for (name, runtime) in &n.runtimes {
        let can = runtime
            .capabilities
            .iter()
            .cloned()
            .collect::<Vec<_>>()
            .join(", ");
        line("runtime", &format!("{name} {}: {can}", runtime.version));
    }
    for (key, value) in &n.attributes {
        line("attribute", &format!("{key}={value}"));
    }
    for t in &n.taints {
        let by = if t.configured {
            "  (agent's configuration)"
        } else {
            ""
        };
        line("taint", &format!("{}{by}", taint(t)));
    }
    line("agent", &n.agent_version);
    line("joined", &format!("{} ago", text::age(n.joined_at)));
    out
}
