//! `plenum down`: stop what runs on this data directory, and every task it left running. Works whether or not
//! anything still runs: the tasks are found through the runtimes, not through a server.

use super::settings;
use crate::args::DownArgs;
use crate::catalog;
use crate::failure::Failure;
use crate::layout;
use futures::future::join_all;
use plenum_contract::runtime::{Found, FoundState, Runtime};
use plenum_model::code;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How long a process may take to end in order: its doors drain for 5 s.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a container may take after its stop signal: what Docker grants.
const GRACE: Duration = Duration::from_secs(10);

/// Runs it.
///
/// # Errors
/// What would not end.
pub(crate) async fn run(args: &DownArgs) -> Result<(), Failure> {
    let (dir, layers) = settings(&args.part)?;
    let docker_host = layers.config()?.agent.docker_host;
    end_processes(&dir).await?;
    let mut stopped = 0;
    for (name, agent_dir) in layout::agents(&dir) {
        let owner = layout::owner(&agent_dir, &name);
        for runtime in catalog::runtimes(&agent_dir, &owner, &[], &docker_host).await {
            // A runtime that does not answer has nothing that could be stopped, or cannot be asked to.
            match runtime.facts().await {
                Ok(_) => stopped += clear(&runtime).await?,
                Err(e) => tracing::debug!(runtime = runtime.name(), error = %e, "left out"),
            }
        }
        plenum_agent::clear_files(&agent_dir);
    }
    println!(
        "ok  {stopped} container{} stopped; what users want is kept and starts again with the next `plenum up`",
        if stopped == 1 { "" } else { "s" }
    );
    Ok(())
}

/// The lock files of the parts that may run on this directory.
fn locks(dir: &Path) -> Vec<PathBuf> {
    let agents = layout::agents(dir)
        .into_iter()
        .map(|(_, path)| path.join("agent.lock"));
    std::iter::once(layout::broker(dir).join("lock"))
        .chain(agents)
        .collect()
}

/// The process that holds a lock file, if one does.
fn holder(lock: &Path) -> Option<i32> {
    let file = std::fs::File::open(lock).ok()?;
    match file.try_lock_shared() {
        Ok(()) => None,
        // `4711` from the broker, `agent node-1, pid 4711` from an agent.
        Err(_) => std::fs::read_to_string(lock)
            .ok()?
            .split_whitespace()
            .last()?
            .parse()
            .ok(),
    }
}

async fn end_processes(dir: &Path) -> Result<(), Failure> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let mut asked = Vec::new();
    loop {
        let holders: Vec<i32> = locks(dir).iter().filter_map(|lock| holder(lock)).collect();
        let Some(first) = holders.first() else {
            return Ok(());
        };
        if tokio::time::Instant::now() > deadline {
            return Err(Failure::say(
                code::DATA_LOCKED,
                format!("pid {first} does not end"),
            ));
        }
        for pid in holders {
            if !asked.contains(&pid) {
                let to = nix::unistd::Pid::from_raw(pid);
                nix::sys::signal::kill(to, nix::sys::signal::Signal::SIGTERM).map_err(|e| {
                    Failure::new(code::FORBIDDEN, &e).hint("run it as the user that started it")
                })?;
                asked.push(pid);
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Stops and removes every container of one runtime; how many ran.
async fn clear(runtime: &Arc<dyn Runtime>) -> Result<usize, Failure> {
    let found = runtime
        .recover()
        .await
        .map_err(|e| Failure::new(code::UNAVAILABLE, &e))?;
    let ends = join_all(found.iter().map(|f| end(runtime, f))).await;
    ends.into_iter().collect::<Result<Vec<()>, Failure>>()?;
    Ok(found.iter().filter(|f| f.state == FoundState::Running).count())
}

async fn end(runtime: &Arc<dyn Runtime>, found: &Found) -> Result<(), Failure> {
    let failed = |e: plenum_contract::runtime::RuntimeError| Failure::new(code::UNAVAILABLE, &e);
    if found.state == FoundState::Running {
        runtime.signal(&found.key, "SIGTERM").await.map_err(failed)?;
        if tokio::time::timeout(GRACE, runtime.wait(&found.key))
            .await
            .is_err()
        {
            runtime.signal(&found.key, "SIGKILL").await.map_err(failed)?;
            runtime.wait(&found.key).await.map_err(failed)?;
        }
    }
    runtime.remove(&found.key).await.map_err(failed)
}
