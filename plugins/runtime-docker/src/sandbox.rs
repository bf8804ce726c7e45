//! What the containers of a task share: a container of its own that does nothing and has the address, the host name and
//! the published ports; the others join its network. Its image holds the shim alone and is made here, from nothing, when
//! the daemon lacks it.

use crate::create::{bindings, names};
use crate::failure::{failed, of_create, of_start, refused, status};
use crate::{DockerRuntime, end, labels};
use bollard::Docker;
use bollard::models::{ContainerCreateBody, ContainerInspectResponse, HostConfig, HostConfigLogConfig};
use bollard::query_parameters::{CreateContainerOptions, CreateImageOptions, StartContainerOptions};
use futures::TryStreamExt as _;
use plenum_contract::runtime::{RuntimeError, SandboxFacts, SandboxPlan};
use plenum_model::task::ExitReason;

/// The name of the image; its tag says what is in it.
const IMAGE: &str = "plenum-sandbox";

/// The executable in the image.
const HOLDER: &str = "plenum-shim";

/// Has the sandbox of a plan up and says what it is.
pub(crate) async fn make(runtime: &DockerRuntime, plan: &SandboxPlan) -> Result<SandboxFacts, RuntimeError> {
    let docker = runtime.docker().await?;
    let name = labels::name(&runtime.owner, &plan.key);
    let there = match runtime.inspect(&plan.key).await {
        Ok(inspected) => inspected,
        Err(RuntimeError::NotFound { .. }) => {
            create(runtime, docker, &name, plan).await?;
            runtime.inspect(&plan.key).await?
        }
        Err(e) => return Err(e),
    };
    let running = match end::state(&there) {
        end::State::Running => there,
        end::State::Created => {
            let started = docker.start_container(&name, None::<StartContainerOptions>).await;
            started.map_err(|e| of_start(&e))?;
            runtime.inspect(&plan.key).await?
        }
        end::State::Ended => {
            return Err(RuntimeError::NotFound {
                key: plan.key.clone(),
            });
        }
    };
    match address(&running) {
        Some(address) => Ok(SandboxFacts { address }),
        None if end::state(&running) == end::State::Running => {
            Err(refused(ExitReason::Setup, "the daemon gave the task no address"))
        }
        None => Err(RuntimeError::NotFound {
            key: plan.key.clone(),
        }),
    }
}

fn address(inspected: &ContainerInspectResponse) -> Option<String> {
    let networks = inspected.network_settings.as_ref()?.networks.as_ref()?;
    let mut addresses = networks.values().filter_map(|n| n.ip_address.clone());
    addresses.find(|a| !a.is_empty())
}

async fn create(
    runtime: &DockerRuntime,
    docker: &Docker,
    name: &str,
    plan: &SandboxPlan,
) -> Result<(), RuntimeError> {
    let attempt = || {
        let options = CreateContainerOptions {
            name: Some(name.to_owned()),
            ..CreateContainerOptions::default()
        };
        docker.create_container(Some(options), body(&runtime.owner, plan))
    };
    let first = match attempt().await {
        Err(e) if status(&e) == Some(404) => {
            have_image(runtime, docker).await?;
            attempt().await
        }
        other => other,
    };
    match first {
        Ok(_) => Ok(()),
        Err(e) if status(&e) == Some(409) => Ok(()),
        Err(e) => Err(of_create(&e)),
    }
}

fn body(owner: &str, plan: &SandboxPlan) -> ContainerCreateBody {
    ContainerCreateBody {
        hostname: plan.hostname.clone(),
        image: Some(reference()),
        entrypoint: Some(vec![format!("/{HOLDER}"), "pause".to_owned()]),
        exposed_ports: Some(plan.ports.iter().flat_map(names).collect()),
        labels: Some(labels::of(owner, &plan.key)),
        host_config: Some(HostConfig {
            network_mode: Some("bridge".to_owned()),
            port_bindings: Some(bindings(&plan.ports)),
            // Shared memory is part of what they share.
            ipc_mode: Some("shareable".to_owned()),
            log_config: Some(HostConfigLogConfig {
                typ: Some("none".to_owned()),
                config: None,
            }),
            readonly_rootfs: Some(true),
            cap_drop: Some(vec!["ALL".to_owned()]),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}

fn reference() -> String {
    format!("{IMAGE}:{}", plenum_shim::binary::HASH)
}

/// Makes the image if the daemon has none of that name. One at a time: two would both be kept.
async fn have_image(runtime: &DockerRuntime, docker: &Docker) -> Result<(), RuntimeError> {
    let _one = runtime.making_image.lock().await;
    if docker.inspect_image(&reference()).await.is_ok() {
        return Ok(());
    }
    let root = root().map_err(|e| RuntimeError::Failed {
        runtime: crate::NAME,
        op: "make the image of sandboxes",
        why: e.to_string(),
    })?;
    let options = CreateImageOptions {
        from_src: Some("-".to_owned()),
        repo: Some(IMAGE.to_owned()),
        tag: Some(plenum_shim::binary::HASH.to_owned()),
        ..CreateImageOptions::default()
    };
    let body = bollard::body_full(root.into());
    let made: Result<Vec<_>, _> = docker
        .create_image(Some(options), Some(body), None)
        .try_collect()
        .await;
    made.map(|_| ())
        .map_err(|e| failed("make the image of sandboxes", &e))
}

/// The root of the image, as an archive.
fn root() -> std::io::Result<Vec<u8>> {
    let binary = plenum_shim::binary::BINARY;
    let mut header = tar::Header::new_ustar();
    header.set_size(binary.len() as u64);
    header.set_mode(0o755);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, HOLDER, binary)?;
    archive.into_inner()
}
