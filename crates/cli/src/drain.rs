//! `plenum node drain`: closes a node, and watches until nothing of any scheduler is left on it.

use crate::failure::{Done, Exit, Failure};
use crate::output;
use crate::output::progress::Progress;
use crate::output::text::parse_duration;
use crate::session::Session;
use crate::wait::WaitArgs;
use clap::Args;
use plenum_client::TaskQuery;
use plenum_client::v1::task::Task;
use plenum_model::code;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, IsTerminal};
use std::process::ExitCode;
use std::time::{Duration, Instant};

const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Tasks that are named when they are what is waited for.
const NAMED: usize = 5;

/// Which node, and how far to go.
#[derive(Debug, Args)]
pub struct DrainArgs {
    /// Its name
    pub name: String,
    /// Stop what is still there after this time; this command must be there to do it
    #[arg(long, value_name = "TIME", value_parser = parse_duration, conflicts_with = "detach")]
    pub deadline: Option<Duration>,
    /// Do not ask first
    #[arg(short, long)]
    pub yes: bool,
    #[command(flatten)]
    pub wait: WaitArgs,
}

pub(crate) async fn run(args: &DrainArgs, session: &Session<'_>) -> Done {
    let name = &args.name;
    let there = tasks(name, session).await?;
    announce(name, &there);
    if !args.yes && !agreed()? {
        return Err(Failure::usage(format!("{name} is not drained: not agreed to")).exit(Exit::Failed));
    }
    let node = session.client.drain(name).await?;
    output::one(session.global, "node", &node, &node.name, |n| {
        format!("{}  draining\n", n.name)
    })?;
    if args.wait.detach {
        return Ok(ExitCode::SUCCESS);
    }
    let outcome = tokio::select! {
        outcome = until_empty(args, session) => outcome,
        () = tokio::time::sleep(args.wait.timeout) => Err(late(name, session).await),
        _ = tokio::signal::ctrl_c() => Err(left(name)),
    };
    outcome.map(|()| ExitCode::SUCCESS)
}

/// What is on the node and has not ended.
async fn tasks(name: &str, session: &Session<'_>) -> Result<Vec<Task>, Failure> {
    session.client.node(name).await?;
    let query = TaskQuery {
        node: Some(name.to_owned()),
        ..TaskQuery::default()
    };
    Ok(session.client.tasks(&query).await?)
}

/// `3 tasks (kubernetes 1, marathon 2)`.
fn counts(tasks: &[Task]) -> String {
    let mut by: BTreeMap<&str, usize> = BTreeMap::new();
    for task in tasks {
        *by.entry(task.scheduler.as_str()).or_default() += 1;
    }
    let each: Vec<String> = by.iter().map(|(s, n)| format!("{s} {n}")).collect();
    match tasks.len() {
        0 => "no tasks".to_owned(),
        1 => format!("1 task ({})", each.join(", ")),
        n => format!("{n} tasks ({})", each.join(", ")),
    }
}

fn names(tasks: &[Task]) -> String {
    let mut out: Vec<&str> = tasks.iter().take(NAMED).map(|t| t.name.as_str()).collect();
    if tasks.len() > NAMED {
        out.push("...");
    }
    out.join(", ")
}

fn announce(name: &str, there: &[Task]) {
    eprintln!(
        "{name} takes no new tasks from now on, and its schedulers move away {}",
        counts(there)
    );
}

/// Asks, where somebody is there to answer.
fn agreed() -> Result<bool, Failure> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(true);
    }
    eprint!("Go on? [y/N] ");
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    read.map_err(|e| Failure::new(code::INVALID, format!("cannot read the answer: {e}")))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

async fn until_empty(args: &DrainArgs, session: &Session<'_>) -> Result<(), Failure> {
    let began = Instant::now();
    let mut progress = Progress::default();
    let mut forced = BTreeSet::new();
    loop {
        let left = tasks(&args.name, session).await?;
        if left.is_empty() {
            progress.show(format!("{}  empty", args.name));
            progress.end();
            return Ok(());
        }
        progress.show(format!(
            "{}  {} left ({})",
            args.name,
            counts(&left),
            names(&left)
        ));
        if args.deadline.is_some_and(|d| began.elapsed() >= d) {
            for task in left {
                if forced.insert(task.id.clone()) {
                    session.client.stop_task(&task.id, None).await?;
                }
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn late(name: &str, session: &Session<'_>) -> Failure {
    let left = tasks(name, session).await.unwrap_or_default();
    Failure::new(
        code::UNAVAILABLE,
        format!("{name} is not empty in time: {} left", counts(&left)),
    )
    .exit(Exit::StillGoing)
    .at(names(&left))
    .hint(format!(
        "plenum node drain {name} --deadline 1m      (stops what nobody moves)\nplenum task list --node {name}\n\
         plenum node uncordon {name}"
    ))
}

fn left(name: &str) -> Failure {
    Failure::new(code::UNAVAILABLE, "stopped watching; the drain goes on")
        .exit(Exit::StillGoing)
        .hint(format!(
            "plenum task list --node {name}\nplenum node uncordon {name}"
        ))
}
