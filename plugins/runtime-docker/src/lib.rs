//! `runtime-docker`: containers of a Docker daemon, through its API. Containers are named and labelled by the
//! agent that owns them, so several agents share one daemon. The daemon is the parent of every container and
//! keeps logs and exits, so nothing is kept here: a restarted agent asks it again.
//!
//! `create` turns a plan into what the daemon takes, `failure` the daemon's answers into causes, `end` waits,
//! `health` reads what the daemon found by the check that an image names, `images` keeps images, `io` carries
//! bytes, `sandbox` makes what containers of one task share.

mod create;
mod end;
mod failure;
mod health;
mod images;
mod io;
mod labels;
mod sandbox;

use async_trait::async_trait;
use bollard::Docker;
use bollard::query_parameters::{
    InspectContainerOptions, KillContainerOptions, ListContainersOptions, RemoveContainerOptions,
    StartContainerOptions,
};
use failure::{failed, refused, status};
use plenum_contract::images::Images;
use plenum_contract::runtime::{
    ContainerKey, ContainerNames, ContainerPlan, Found, FoundState, ImageHealth, Runtime, RuntimeError,
    SandboxFacts, SandboxPlan,
};
use plenum_model::node::{RuntimeFacts, capability};
use plenum_model::task::{Exit, ExitReason};
use std::collections::HashMap;
use tokio::sync::{Mutex, OnceCell};

/// Its name in specs.
pub const NAME: &str = "docker";

/// Where a daemon listens unless told otherwise.
const USUAL_HOST: &str = "unix:///var/run/docker.sock";

/// Runs containers in a Docker daemon.
pub struct DockerRuntime {
    owner: String,
    host: String,
    docker: OnceCell<Docker>,
    /// Held while the image of sandboxes is made.
    making_image: Mutex<()>,
}

impl DockerRuntime {
    /// Containers of `owner` (a name unique to one agent on this daemon) in the daemon at `host`
    /// (`unix:///var/run/docker.sock`, which empty stands for). Connects when first used.
    #[must_use]
    pub fn new(owner: impl Into<String>, host: &str) -> Self {
        Self {
            owner: owner.into(),
            host: if host.is_empty() { USUAL_HOST } else { host }.to_owned(),
            docker: OnceCell::new(),
            making_image: Mutex::new(()),
        }
    }

    async fn docker(&self) -> Result<&Docker, RuntimeError> {
        self.docker
            .get_or_try_init(|| async {
                let docker = Docker::connect_with_host(&self.host).map_err(|e| failed("connect", &e))?;
                docker
                    .negotiate_version()
                    .await
                    .map_err(|e| failed("connect", &e))
            })
            .await
    }

    fn name_of(&self, key: &ContainerKey) -> String {
        labels::name(&self.owner, key)
    }

    /// What the daemon says of a container.
    async fn inspect(
        &self,
        key: &ContainerKey,
    ) -> Result<bollard::models::ContainerInspectResponse, RuntimeError> {
        let docker = self.docker().await?;
        let answer = docker
            .inspect_container(&self.name_of(key), None::<InspectContainerOptions>)
            .await;
        answer.map_err(|e| match status(&e) {
            Some(404) => RuntimeError::NotFound { key: key.clone() },
            _ => failed("inspect", &e),
        })
    }
}

#[async_trait]
impl Runtime for DockerRuntime {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn facts(&self) -> Result<RuntimeFacts, RuntimeError> {
        let docker = self.docker().await?;
        let version = docker
            .version()
            .await
            .map_err(|e| failed("ask for its version", &e))?;
        let info = docker
            .info()
            .await
            .map_err(|e| failed("ask for its capabilities", &e))?;
        // A daemon may be told to have no bridge although it could.
        let bridge = docker.inspect_network("bridge", None).await.is_ok();
        let flags = [
            (capability::MEMORY_LIMIT, info.memory_limit.unwrap_or(false)),
            (capability::CPU_LIMIT, info.cpu_cfs_quota.unwrap_or(false)),
            (capability::PIDS_LIMIT, info.pids_limit.unwrap_or(false)),
            (
                capability::BRIDGE,
                bridge && info.ipv4_forwarding.unwrap_or(false),
            ),
            (
                capability::SHARED_ADDRESS,
                bridge && info.ipv4_forwarding.unwrap_or(false),
            ),
            (capability::PID_NAMESPACE, true),
            (capability::USER, true),
            (capability::IMAGES, true),
        ];
        let capabilities = flags
            .iter()
            .filter(|(_, has)| *has)
            .map(|(name, _)| (*name).to_owned())
            .collect();
        Ok(RuntimeFacts {
            version: version.version.unwrap_or_default(),
            capabilities,
        })
    }

    async fn make_sandbox(&self, plan: &SandboxPlan) -> Result<SandboxFacts, RuntimeError> {
        sandbox::make(self, plan).await
    }

    async fn prepare(&self, plan: &ContainerPlan) -> Result<(), RuntimeError> {
        let docker = self.docker().await?;
        create::prepare(docker, &self.owner, plan).await
    }

    async fn start(&self, key: &ContainerKey) -> Result<(), RuntimeError> {
        // The daemon would start an ended container again; here that is no error and no start.
        if end::state(&self.inspect(key).await?) != end::State::Created {
            return Ok(());
        }
        let docker = self.docker().await?;
        match docker
            .start_container(&self.name_of(key), None::<StartContainerOptions>)
            .await
        {
            Ok(()) => Ok(()),
            Err(e) => match status(&e) {
                Some(304) => Ok(()),
                _ => Err(failure::of_start(&e)),
            },
        }
    }

    async fn wait(&self, key: &ContainerKey) -> Result<Exit, RuntimeError> {
        end::wait(self, key).await
    }

    async fn signal(&self, key: &ContainerKey, signal: &str) -> Result<(), RuntimeError> {
        let docker = self.docker().await?;
        let options = KillContainerOptions {
            signal: signal.to_owned(),
        };
        match docker.kill_container(&self.name_of(key), Some(options)).await {
            Ok(()) => Ok(()),
            Err(e) => match status(&e) {
                // Not running any more, or not yet.
                Some(409) => Ok(()),
                Some(404) => Err(RuntimeError::NotFound { key: key.clone() }),
                Some(400) => Err(refused(ExitReason::Setup, failure::text(&e))),
                _ => Err(failed("signal", &e)),
            },
        }
    }

    async fn names(&self, key: &ContainerKey) -> Result<ContainerNames, RuntimeError> {
        Ok(names(self.inspect(key).await?))
    }

    async fn stop_signal(&self, key: &ContainerKey) -> Result<Option<String>, RuntimeError> {
        Ok(self
            .inspect(key)
            .await?
            .config
            .and_then(|c| c.stop_signal)
            .filter(|s| !s.is_empty()))
    }

    async fn image_health(&self, key: &ContainerKey) -> Result<Option<ImageHealth>, RuntimeError> {
        Ok(health::of(self.inspect(key).await?))
    }

    async fn remove(&self, key: &ContainerKey) -> Result<(), RuntimeError> {
        let docker = self.docker().await?;
        let options = RemoveContainerOptions {
            v: true,
            ..RemoveContainerOptions::default()
        };
        match docker.remove_container(&self.name_of(key), Some(options)).await {
            Ok(()) => Ok(()),
            Err(e) => match status(&e) {
                Some(404) => Ok(()),
                _ => Err(failed("remove", &e)),
            },
        }
    }

    fn images(&self) -> Option<&dyn Images> {
        Some(self)
    }

    async fn recover(&self) -> Result<Vec<Found>, RuntimeError> {
        let docker = self.docker().await?;
        let label = format!("{}={}", labels::OWNER, self.owner);
        let filters = Some(HashMap::from([("label".to_owned(), vec![label])]));
        let options = ListContainersOptions {
            all: true,
            filters,
            ..ListContainersOptions::default()
        };
        let listed = docker
            .list_containers(Some(options))
            .await
            .map_err(|e| failed("list", &e))?;
        let mut found = Vec::new();
        for container in listed {
            let Some(key) = labels::key(&container.labels.unwrap_or_default()) else {
                continue;
            };
            match self.inspect(&key).await {
                Ok(inspected) => found.push(Found {
                    state: found_state(&inspected),
                    key,
                    names: names(inspected),
                }),
                // Removed between the listing and now.
                Err(RuntimeError::NotFound { .. }) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(found)
    }
}

fn names(inspected: bollard::models::ContainerInspectResponse) -> ContainerNames {
    ContainerNames {
        id: inspected.id,
        image_id: inspected.image,
    }
}

fn found_state(inspected: &bollard::models::ContainerInspectResponse) -> FoundState {
    match end::state(inspected) {
        end::State::Created => FoundState::Prepared,
        end::State::Running => FoundState::Running,
        end::State::Ended => FoundState::Ended(end::exit(inspected)),
    }
}
