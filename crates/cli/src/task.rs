//! `plenum task`.

use crate::exec::{self, ExecArgs};
use crate::failure::{Done, Failure, Several};
use crate::logs::{self, LogArgs};
use crate::output;
use crate::output::table::{Cell, Column, Table};
use crate::output::text::{self, parse_duration};
use crate::ps::age;
use crate::session::Session;
use clap::{Args, Subcommand};
use plenum_client::TaskQuery;
use plenum_client::v1::task::Task;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

/// The tasks of all orchestrators.
#[derive(Debug, Subcommand)]
pub enum TaskCommand {
    /// List tasks
    #[command(alias = "ls")]
    List(ListArgs),
    /// Show one task
    Show {
        /// Its name or id, or the start of one
        task: String,
    },
    /// Print what a task wrote
    Logs(LogArgs),
    /// Run a command in a task's container
    Exec(ExecArgs),
    /// Stop tasks; their scheduler sees them end, and decides what follows
    Kill {
        /// Their names or ids, or the start of one
        #[arg(required = true)]
        tasks: Vec<String>,
        /// How long each may take after its stop signal [default: as its orchestrator says]
        #[arg(long, value_name = "TIME", value_parser = parse_duration)]
        grace: Option<Duration>,
    },
    /// Show what a task uses
    Stats {
        /// Its name or id, or the start of one
        task: String,
        /// Which container [default: the main one]
        #[arg(long)]
        container: Option<String>,
    },
}

/// Which tasks.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Of this scheduler
    #[arg(long)]
    pub scheduler: Option<String>,
    /// Of the workload with this name
    #[arg(long)]
    pub workload: Option<String>,
    /// On this node
    #[arg(long)]
    pub node: Option<String>,
    /// Charged to this tenant
    #[arg(long)]
    pub tenant: Option<String>,
    /// Those that ended, too
    #[arg(long)]
    pub ended: bool,
}

const COLUMNS: &[Column] = &[
    Column::new("TASK", 9).cut_to(28),
    Column::new("WORKLOAD", 4),
    Column::new("NODE", 7),
    Column::new("STATE", 8),
    Column::new("HEALTH", 5),
    Column::new("CPU", 3).right(),
    Column::new("MEM", 3).right(),
    Column::new("RESTARTS", 2).right(),
    Column::new("AGE", 6).right(),
    Column::new("SCHEDULER", 1).wide(),
    Column::new("TENANT", 1).wide(),
    Column::new("PORTS", 1).wide(),
    Column::new("ID", 1).wide(),
    Column::new("PROBLEM", 1).wide(),
];

pub(crate) async fn run(command: &TaskCommand, session: &Session<'_>) -> Done {
    match command {
        TaskCommand::List(args) => list(args, session).await?,
        TaskCommand::Show { task } => {
            let task = session.client.task(task).await?;
            output::one(session.global, "task", &task, &task.id, describe)?;
        }
        TaskCommand::Logs(args) => return logs::run(args, session).await,
        TaskCommand::Exec(args) => return exec::run(args, session).await,
        TaskCommand::Kill { tasks, grace } => {
            let grace = grace.map(|g| u64::try_from(g.as_millis()).unwrap_or(u64::MAX));
            let mut several = Several::default();
            for task in tasks {
                let stopped = session.client.stop_task(task, grace).await.map_err(Failure::from);
                several.note(stopped.and_then(|task| {
                    output::one(session.global, "task", &task, &task.id, |t| {
                        format!("{}  asked to stop\n", t.name)
                    })
                }));
            }
            return several.end(session.global.output);
        }
        TaskCommand::Stats { task, container } => {
            let stats = session.client.stats(task, container.as_deref()).await?;
            output::one(session.global, "stats", &stats, task, |s| {
                let limit = s.memory_limit_bytes.map_or("no limit".to_owned(), text::bytes);
                let cpu = Duration::from_nanos(s.cpu_nanos).as_secs_f64();
                format!(
                    "cpu         {cpu:.2} s so far\nmemory      {} of {limit}\nprocesses   {}\n",
                    text::bytes(s.memory_bytes),
                    s.pids
                )
            })?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(args: &ListArgs, session: &Session<'_>) -> Result<(), Failure> {
    let query = TaskQuery {
        scheduler: args.scheduler.clone(),
        workload: args.workload.clone(),
        node: args.node.clone(),
        tenant: args.tenant.clone(),
        ended: args.ended,
        ..TaskQuery::default()
    };
    let mut all = session.client.tasks(&query).await?;
    all.sort_by(|a, b| {
        (&a.scheduler, &a.workload.name, a.slot).cmp(&(&b.scheduler, &b.workload.name, b.slot))
    });
    output::list(
        session.global,
        "tasks",
        &all,
        |t| t.name.clone(),
        |t| t.id.clone(),
        table,
    )
}

pub(crate) fn table(tasks: &[Task]) -> Table {
    Table::new(COLUMNS, tasks.iter().map(row))
}

fn state(t: &Task) -> String {
    if t.unreachable && !t.state.is_terminal() {
        "unreachable".to_owned()
    } else {
        t.state.to_string()
    }
}

fn health(t: &Task) -> &'static str {
    match t.ready {
        Some(true) => "ok",
        Some(false) => "failing",
        None => "",
    }
}

fn ports(t: &Task) -> String {
    t.ports
        .iter()
        .map(|p| format!("{}:{}/{}", p.host_port, p.container_port, p.protocol))
        .collect::<Vec<_>>()
        .join(",")
}

#[allow(clippy::cast_precision_loss, reason = "an order of amounts for people")]
fn row(t: &Task) -> Vec<Cell> {
    vec![
        Cell::text(&t.name),
        Cell::text(t.workload.name.trim_start_matches('/')),
        Cell::text(t.node.clone().unwrap_or_default()),
        Cell::text(state(t)),
        Cell::text(health(t)),
        Cell::keyed(text::cpu(t.charge.cpu_millis), t.charge.cpu_millis as f64),
        Cell::keyed(text::bytes(t.charge.memory_bytes), t.charge.memory_bytes as f64),
        Cell::count(t.restarts),
        age(t.started_at.unwrap_or(t.claimed_at)),
        Cell::text(&t.scheduler),
        Cell::text(&t.tenant),
        Cell::text(ports(t)),
        Cell::text(&t.id),
        Cell::text(t.problem.clone().unwrap_or_default()),
    ]
}

fn describe(t: &Task) -> String {
    let mut out = String::new();
    let mut line = |key: &str, value: &str| {
        if !value.is_empty() {
            // Writing to a string cannot fail.
            let _written = writeln!(out, "{key:<12}{value}");
        }
    };
    line("task", &t.name);
    line("id", &t.id);
    let w = &t.workload;
    line(
        "workload",
        &format!(
            "{}/{} slot {}",
            t.scheduler,
            w.name.trim_start_matches('/'),
            t.slot
        ),
    );
    line("kind", &format!("{} version {}", w.kind, w.version));
    line("tenant", &t.tenant);
    line("state", &state(t));
    line("health", health(t));
    line("problem", t.problem.as_deref().unwrap_or_default());
    line("message", t.message.as_deref().unwrap_or_default());
    line("node", t.node.as_deref().unwrap_or_default());
    line("address", t.address.as_deref().unwrap_or_default());
    line("ports", &ports(t));
    line("claim", &text::amounts(&t.charge));
    if let Some(exit) = &t.exit {
        let code = exit.code.map_or(String::new(), |c| format!(" code {c}"));
        let signal = exit.signal.map_or(String::new(), |s| format!(" signal {s}"));
        line("exit", &format!("{}{code}{signal} {}", exit.reason, exit.message));
    }
    line("restarts", &t.restarts.to_string());
    for (key, value) in &t.labels {
        line("label", &format!("{key}={value}"));
    }
    let when =
        |at: Option<jiff::Timestamp>| at.map_or(String::new(), |at| format!("{} ago  {at}", text::age(at)));
    line("claimed", &when(Some(t.claimed_at)));
    line("placed", &when(t.placed_at));
    line("started", &when(t.started_at));
    line("ended", &when(t.ended_at));
    out
}
