//! The catalog of plugins: one line each.

use crate::config::{ConfigError, Layers};
use plenum_contract::runtime::Runtime;
use plenum_contract::scheduler::Scheduler;
use runtime_docker::DockerRuntime;
use runtime_process::{ProcessRuntime, Settings};
use std::path::Path;
use std::sync::Arc;

/// Every scheduler that is linked in.
#[must_use]
pub(crate) fn schedulers() -> Vec<Box<dyn Scheduler>> {
    vec![
        Box::new(scheduler_kubernetes::KubernetesScheduler),
        Box::new(scheduler_marathon::MarathonScheduler),
        Box::new(scheduler_swarm::SwarmScheduler),
    ]
}

/// The scheduler of this kind.
#[must_use]
pub(crate) fn scheduler(kind: &str) -> Option<Box<dyn Scheduler>> {
    schedulers().into_iter().find(|s| s.kind() == kind)
}

/// The defaults of the whole configuration, the sections of the schedulers included.
#[must_use]
pub(crate) fn defaults() -> Layers {
    Layers::defaults(
        schedulers()
            .iter()
            .map(|s| (s.kind().to_owned(), s.default_config())),
    )
}

/// The name in specs of the runtime without images.
const PROCESS: &str = "process";

/// Names of the runtimes that are linked in.
const RUNTIMES: [&str; 2] = [runtime_docker::NAME, PROCESS];

/// Whether every name is that of a runtime.
///
/// # Errors
/// `Value` with the first that is none.
pub(crate) fn check_runtimes(wanted: &[String]) -> Result<(), ConfigError> {
    match wanted.iter().find(|w| !RUNTIMES.contains(&w.as_str())) {
        None => Ok(()),
        Some(unknown) => Err(ConfigError::Value {
            key: "agent.runtimes".to_owned(),
            why: format!("there is no `{unknown}`, there are {}", RUNTIMES.join(", ")),
        }),
    }
}

/// Every runtime that is linked in and wanted (none named: all), kept apart from those of other agents by
/// `owner`; the Docker daemon is the one at `docker_host` (empty: its usual socket). One that does not answer now may answer later, and says so by itself; one that can never work here
/// is left out and said in the log.
pub(crate) async fn runtimes(
    agent_dir: &Path,
    owner: &str,
    wanted: &[String],
    docker_host: &str,
) -> Vec<Arc<dyn Runtime>> {
    let wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|w| w == name);
    let mut runtimes: Vec<Arc<dyn Runtime>> = Vec::new();
    if wanted(runtime_docker::NAME) {
        runtimes.push(Arc::new(DockerRuntime::new(owner, docker_host)));
    }
    if wanted(PROCESS) {
        let settings = Settings {
            dir: agent_dir.join("processes"),
            cgroup: Path::new("plenum").join(owner),
        };
        match ProcessRuntime::open(settings).await {
            Ok(runtime) => runtimes.push(Arc::new(runtime)),
            Err(e) => tracing::error!(runtime = PROCESS, error = %e, "left out"),
        }
    }
    runtimes
}
