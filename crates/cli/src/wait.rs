//! Watching a change until it is done, or until the first cause that will not go away. The change goes on without
//! its watcher.

use crate::failure::{Done, Exit, Failure};
use crate::marathon::Marathon;
use crate::output;
use crate::output::progress::Progress;
use crate::output::text::parse_duration;
use crate::session::Session;
use clap::Args;
use plenum_client::TaskQuery;
use plenum_client::v1::task::Task;
use plenum_client::v1::workload::Workload;
use plenum_model::code;
use plenum_model::phase::Phase;
use serde::Serialize;
use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

/// Between two looks: often enough to seem immediate, seldom enough for a loaded server.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Apps that progress is shown of one by one.
const MAX_LINES: usize = 20;

/// How long a change is watched.
#[derive(Debug, Clone, Args)]
pub struct WaitArgs {
    /// Do not wait until it is done
    #[arg(short = 'd', long)]
    pub detach: bool,
    /// How long to wait; the change goes on after that
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = parse_duration)]
    pub timeout: Duration,
}

/// A change that the door has taken.
#[derive(Debug, Clone, Serialize)]
struct Taken {
    /// The workload, `scheduler/name`.
    id: String,
    /// What carries it out.
    deployments: Vec<String>,
}

/// A change of apps of a Marathon door.
pub(crate) struct Change<'a> {
    session: &'a Session<'a>,
    marathon: &'a Marathon,
    /// The names of the apps, without the first `/`.
    apps: Vec<String>,
    /// Tasks there were before: their ends are not its doing.
    before: BTreeSet<String>,
    /// How to take it back.
    undo: String,
}

impl<'a> Change<'a> {
    /// Notes what is there. The change is made after this.
    pub(crate) async fn new(
        session: &'a Session<'a>,
        marathon: &'a Marathon,
        apps: Vec<String>,
        undo: String,
    ) -> Result<Self, Failure> {
        let mut change = Self {
            session,
            marathon,
            apps,
            before: BTreeSet::new(),
            undo,
        };
        let workloads = change.workloads().await?;
        change.before = change
            .tasks(&workloads)
            .await?
            .into_iter()
            .map(|t| t.id)
            .collect();
        Ok(change)
    }

    /// Prints what was taken, then waits until it is done, unless that is not wanted.
    pub(crate) async fn taken(&self, deployments: &[String], wait: &WaitArgs) -> Done {
        let taken: Vec<Taken> = self
            .apps
            .iter()
            .map(|app| Taken {
                id: format!("marathon/{app}"),
                deployments: deployments.to_vec(),
            })
            .collect();
        output::names(self.session.global, "changes", &taken, |t| t.id.clone())?;
        if wait.detach {
            return Ok(ExitCode::SUCCESS);
        }
        self.watch(deployments, wait.timeout).await
    }

    async fn watch(&self, deployments: &[String], timeout: Duration) -> Done {
        let outcome = tokio::select! {
            outcome = self.until_done(deployments) => outcome,
            () = tokio::time::sleep(timeout) => Err(self.late().await),
            _ = tokio::signal::ctrl_c() => Err(self.left()),
        };
        outcome.map(|()| ExitCode::SUCCESS)
    }

    async fn until_done(&self, deployments: &[String]) -> Result<(), Failure> {
        let mut progress = Progress::default();
        loop {
            let going = self.marathon.deployments().await?;
            let workloads = self.workloads().await?;
            progress.show(progress_line(&workloads));
            if !deployments.iter().any(|d| going.contains(d)) {
                progress.end();
                return Ok(());
            }
            let troubled: Vec<Workload> = workloads.into_iter().filter(|w| w.problem.is_some()).collect();
            if let Some(failure) = self.hopeless(&self.tasks(&troubled).await?) {
                progress.end();
                return Err(failure);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn workloads(&self) -> Result<Vec<Workload>, Failure> {
        let all = self.session.client.workloads().await?;
        Ok(all
            .into_iter()
            .filter(|w| self.is_ours(&w.scheduler, &w.name))
            .collect())
    }

    /// The tasks of these workloads, ended ones included.
    async fn tasks(&self, of: &[Workload]) -> Result<Vec<Task>, Failure> {
        let mut all = Vec::new();
        for workload in of {
            let query = TaskQuery {
                scheduler: Some(workload.scheduler.clone()),
                workload: Some(workload.name.clone()),
                ended: true,
                ..TaskQuery::default()
            };
            all.extend(self.session.client.tasks(&query).await?);
        }
        Ok(all)
    }

    fn is_ours(&self, scheduler: &str, name: &str) -> bool {
        scheduler == "marathon" && self.apps.iter().any(|a| a == name.trim_start_matches('/'))
    }

    /// A new task that ended by what trying again does not mend.
    fn hopeless(&self, tasks: &[Task]) -> Option<Failure> {
        let ended = tasks.iter().find(|t| {
            let by = t.exit.as_ref().map(|e| e.reason.as_str());
            !self.before.contains(&t.id)
                && (t.state == Phase::Rejected || matches!(by, Some("image" | "command" | "setup")))
        })?;
        let cause = ended.problem.clone().unwrap_or_else(|| ended.state.to_string());
        let code = match ended.exit.as_ref().map(|e| e.reason.as_str()) {
            Some("image") => code::IMAGE,
            Some("command") => code::COMMAND,
            Some(_) | None => code::INVALID,
        };
        let at = ended
            .node
            .as_deref()
            .map_or(String::new(), |n| format!(" on {n}"));
        Some(
            Failure::new(
                code,
                format!(
                    "{} cannot run: {cause}",
                    ended.workload.name.trim_start_matches('/')
                ),
            )
            .exit(Exit::Failed)
            .at(format!("{}{at}", ended.name))
            .hint(format!("it is tried again until it is changed; {}", self.undo)),
        )
    }

    /// Time is up: whether something still waits for room is worth an exit code of its own.
    async fn late(&self) -> Failure {
        let workloads = self.workloads().await.unwrap_or_default();
        let tasks = self.tasks(&workloads).await.unwrap_or_default();
        let waiting = tasks.into_iter().find(|t| t.state == Phase::Pending);
        let failure = match waiting {
            Some(task) => {
                let why = task.problem.unwrap_or_default();
                Failure::new(
                    code::NO_ROOM,
                    format!(
                        "{} is not placed: {why}",
                        task.workload.name.trim_start_matches('/')
                    ),
                )
                .exit(Exit::NotPlaced)
            }
            None => Failure::new(
                code::UNAVAILABLE,
                format!("{} is not ready in time", self.apps.join(", ")),
            )
            .exit(Exit::StillGoing),
        };
        failure.hint(self.look())
    }

    fn left(&self) -> Failure {
        Failure::new(code::UNAVAILABLE, "stopped watching; the change goes on")
            .exit(Exit::StillGoing)
            .hint(self.look())
    }

    fn look(&self) -> String {
        let app = self.apps.first().map_or("", String::as_str);
        format!("plenum ps\nplenum why {app}\n{}", self.undo)
    }
}

fn progress_line(workloads: &[Workload]) -> String {
    let (ready, wanted) = workloads
        .iter()
        .fold((0, 0), |(r, w), l| (r + l.ready, w + l.wanted));
    if workloads.len() > MAX_LINES {
        return format!("{} apps  {ready}/{wanted} ready", workloads.len());
    }
    let each = workloads.iter().map(|w| {
        let problem = w.problem.as_deref().map_or(String::new(), |p| format!("  {p}"));
        format!("{}  {}/{} ready{problem}", w.id, w.ready, w.wanted)
    });
    each.collect::<Vec<_>>().join("    ")
}
