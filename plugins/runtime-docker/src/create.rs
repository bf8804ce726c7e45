//! From a plan to a created container: the image is there, the container is made, nothing is started.

use crate::failure::{failed, of_create, refused, status, text};
use crate::labels;
use bollard::Docker;
use bollard::models::{ContainerCreateBody, HostConfig, HostConfigLogConfig, PortBinding, PortMap};
use bollard::query_parameters::{CreateContainerOptions, CreateImageOptions};
use futures::TryStreamExt as _;
use plenum_contract::runtime::{ContainerPlan, PublishedPort, RuntimeError};
use plenum_model::claim::Protocol;
use plenum_model::spec::{Caps, Image, Mount, MountSource, Network, Pull};
use plenum_model::task::ExitReason;
use std::collections::HashMap;

/// Makes the container of a plan; one that is there already is left as it is.
pub(crate) async fn prepare(docker: &Docker, owner: &str, plan: &ContainerPlan) -> Result<(), RuntimeError> {
    let Some(image) = &plan.image else {
        return Err(refused(ExitReason::Setup, "a docker container needs an image"));
    };
    have_image(docker, image).await?;
    let options = CreateContainerOptions {
        name: Some(labels::name(owner, &plan.key)),
        ..CreateContainerOptions::default()
    };
    match docker
        .create_container(Some(options), body(owner, plan, image))
        .await
    {
        Ok(_) => Ok(()),
        Err(e) if status(&e) == Some(409) => Ok(()),
        Err(e) => Err(of_create(&e)),
    }
}

async fn have_image(docker: &Docker, image: &Image) -> Result<(), RuntimeError> {
    let missing = match docker.inspect_image(&image.reference).await {
        Ok(_) => false,
        Err(e) if status(&e) == Some(404) => true,
        Err(e) => return Err(failed("look for the image", &e)),
    };
    match image.pull {
        Pull::Never if missing => Err(refused(
            ExitReason::Image,
            format!("No such image: {}", image.reference),
        )),
        Pull::IfMissing if missing => pull(docker, &image.reference).await,
        Pull::Always => pull(docker, &image.reference).await,
        Pull::Never | Pull::IfMissing => Ok(()),
    }
}

async fn pull(docker: &Docker, reference: &str) -> Result<(), RuntimeError> {
    // Without a tag the daemon would pull every tag there is.
    let tagged = reference.contains('@')
        || reference
            .rsplit('/')
            .next()
            .is_some_and(|last| last.contains(':'));
    let options = CreateImageOptions {
        from_image: Some(reference.to_owned()),
        tag: (!tagged).then(|| "latest".to_owned()),
        ..CreateImageOptions::default()
    };
    tracing::info!(image = reference, "pulling");
    let pulled: Result<Vec<_>, _> = docker.create_image(Some(options), None, None).try_collect().await;
    pulled.map(|_| ()).map_err(|e| {
        refused(
            ExitReason::Image,
            format!("cannot pull {reference}: {}", text(&e)),
        )
    })
}

fn body(owner: &str, plan: &ContainerPlan, image: &Image) -> ContainerCreateBody {
    let mut all = plan.labels.clone().into_iter().collect::<HashMap<_, _>>();
    all.extend(labels::of(owner, &plan.key));
    ContainerCreateBody {
        hostname: plan.hostname.clone(),
        user: plan.user.clone(),
        tty: Some(plan.tty),
        open_stdin: Some(plan.stdin),
        env: Some(plan.env.iter().map(|(k, v)| format!("{k}={v}")).collect()),
        cmd: plan.args.clone(),
        entrypoint: plan.entrypoint.clone(),
        image: Some(image.reference.clone()),
        working_dir: plan.workdir.clone(),
        exposed_ports: Some(plan.ports.iter().flat_map(names).collect()),
        labels: Some(all),
        stop_signal: plan.stop_signal.clone(),
        host_config: Some(host_config(plan)),
        ..ContainerCreateBody::default()
    }
}

fn host_config(plan: &ContainerPlan) -> HostConfig {
    let (network, ports) = match plan.network {
        Network::Host => ("host", None),
        Network::Bridge => ("bridge", Some(bindings(&plan.ports))),
    };
    // The sandbox is at the same path inside, so that a path of it means the same on both sides.
    let sandbox = plan.sandbox.display();
    let mut binds = vec![format!("{sandbox}:{sandbox}")];
    binds.extend(plan.mounts.iter().filter_map(bind));
    let logs = HashMap::from([
        ("max-size".to_owned(), plan.logs.max_bytes.max(1).to_string()),
        ("max-file".to_owned(), plan.logs.files.max(1).to_string()),
    ]);
    let config = HostConfig {
        binds: Some(binds),
        tmpfs: Some(plan.mounts.iter().filter_map(tmpfs).collect()),
        network_mode: Some(network.to_owned()),
        port_bindings: ports,
        log_config: Some(HostConfigLogConfig {
            typ: Some("json-file".to_owned()),
            config: Some(logs),
        }),
        privileged: Some(plan.privileged),
        ..HostConfig::default()
    };
    with_caps(config, &plan.caps)
}

fn with_caps(config: HostConfig, caps: &Caps) -> HostConfig {
    let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let memory = caps.memory_limit_bytes.map(signed);
    HostConfig {
        // A core is 1,024 shares; the kernel takes no less than 2.
        cpu_shares: caps
            .cpu_weight_millis
            .map(|m| signed((m.saturating_mul(1024) / 1000).max(2))),
        nano_cpus: caps.cpu_limit_millis.map(|m| signed(m.saturating_mul(1_000_000))),
        memory,
        // Equal to the memory: no swap, so that the limit is the limit.
        memory_swap: memory,
        pids_limit: caps.pids.map(signed),
        ..config
    }
}

fn names(port: &PublishedPort) -> Vec<String> {
    let protocols: &[&str] = match port.protocol {
        Protocol::Tcp => &["tcp"],
        Protocol::Udp => &["udp"],
        Protocol::Both => &["tcp", "udp"],
    };
    protocols
        .iter()
        .map(|p| format!("{}/{p}", port.container))
        .collect()
}

fn bindings(ports: &[PublishedPort]) -> PortMap {
    let mut map = PortMap::new();
    for port in ports {
        for name in names(port) {
            let binding = PortBinding {
                host_ip: Some(port.address.clone()),
                host_port: Some(port.host.to_string()),
            };
            map.entry(name)
                .or_insert_with(|| Some(Vec::new()))
                .get_or_insert_default()
                .push(binding);
        }
    }
    map
}

fn bind(mount: &Mount) -> Option<String> {
    let source = match &mount.source {
        MountSource::Host(path) => path,
        MountSource::Volume(name) => name,
        MountSource::Tmpfs(_) => return None,
    };
    let mode = if mount.read_only { "ro" } else { "rw" };
    Some(format!("{source}:{}:{mode}", mount.target))
}

fn tmpfs(mount: &Mount) -> Option<(String, String)> {
    let MountSource::Tmpfs(size) = &mount.source else {
        return None;
    };
    let mut options = vec![if mount.read_only {
        "ro".to_owned()
    } else {
        "rw".to_owned()
    }];
    options.extend(size.map(|bytes| format!("size={bytes}")));
    Some((mount.target.clone(), options.join(",")))
}
