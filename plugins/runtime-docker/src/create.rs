//! From a plan to a created container: the image is there, the container is made, nothing is started.

use crate::failure::{failed, of_create, refused, status, text};
use crate::labels;
use bollard::Docker;
use bollard::errors::Error;
use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigLogConfig, Mount as DockerMount, MountType, PortBinding,
    PortMap,
};
use bollard::query_parameters::{CreateContainerOptions, CreateImageOptions};
use futures::TryStreamExt as _;
use plenum_contract::runtime::{ContainerKey, ContainerPlan, PublishedPort, RuntimeError};
use plenum_model::claim::Protocol;
use plenum_model::spec::{Caps, Confinement, Image, Mount, MountSource, Network, Pull};
use plenum_model::task::ExitReason;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;

/// The period of the quota of processor time: the kernel's default.
const PERIOD_MICROS: i64 = 100_000;

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
        .create_container(Some(options), body(owner, plan, image)?)
        .await
    {
        Ok(_) => Ok(()),
        Err(e) if status(&e) == Some(409) => Ok(()),
        Err(e) => match sandbox_of(plan) {
            Some(key) if text(&e).contains("No such container") => {
                Err(RuntimeError::NotFound { key: key.clone() })
            }
            _ => Err(of_create(&e)),
        },
    }
}

/// The sandbox whose network the container joins.
fn sandbox_of(plan: &ContainerPlan) -> Option<&ContainerKey> {
    plan.among.as_ref()?.sandbox.as_ref()
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
    // Whatever the registry answers, or that none does, is the image's fault as far as the task goes: its
    // orchestrator knows when to try again. Only a daemon that is away is not.
    pulled.map(|_| ()).map_err(|e| match (&e, status(&e)) {
        (Error::DockerStreamError { .. }, _) | (_, Some(..503 | 504..)) => {
            let why = format!("No such image: {reference}: cannot be pulled: {}", text(&e));
            refused(ExitReason::Image, why)
        }
        (_, Some(503) | None) => failed("pull the image", &e),
    })
}

fn body(owner: &str, plan: &ContainerPlan, image: &Image) -> Result<ContainerCreateBody, RuntimeError> {
    let mut all = plan.labels.clone().into_iter().collect::<HashMap<_, _>>();
    all.extend(labels::of(owner, &plan.key));
    Ok(ContainerCreateBody {
        hostname: plan.hostname.clone(),
        user: plan.user.clone(),
        tty: Some(plan.tty),
        open_stdin: Some(plan.stdin),
        // Without a terminal the end of the input must reach the process; with one it is typed.
        stdin_once: Some(plan.stdin && !plan.tty),
        env: Some(plan.env.iter().map(|(k, v)| format!("{k}={v}")).collect()),
        cmd: plan.args.clone(),
        entrypoint: plan.entrypoint.clone(),
        image: Some(image.reference.clone()),
        working_dir: plan.workdir.clone(),
        exposed_ports: Some(plan.ports.iter().flat_map(names).collect()),
        labels: Some(all),
        stop_signal: plan.stop_signal.clone(),
        host_config: Some(host_config(owner, plan)?),
        ..ContainerCreateBody::default()
    })
}

fn host_config(owner: &str, plan: &ContainerPlan) -> Result<HostConfig, RuntimeError> {
    let joined = sandbox_of(plan).map(|key| format!("container:{}", labels::name(owner, key)));
    let (network, ports) = match (&joined, plan.network) {
        (Some(joined), _) => (joined.as_str(), None),
        (None, Network::Host) => ("host", None),
        (None, Network::Bridge) => ("bridge", Some(bindings(&plan.ports))),
    };
    let mut binds = Vec::new();
    if plan.among.is_none() {
        // The sandbox is at the same path inside, so that a path of it means the same on both sides.
        let sandbox = plan.sandbox.display().to_string();
        binds.push(bound(&sandbox, &sandbox, false)?);
    }
    let (files, others): (Vec<_>, Vec<_>) = plan.mounts.iter().partition(|m| is_file(m));
    for mount in others {
        binds.extend(bind(mount)?);
    }
    let logs = HashMap::from([
        ("max-size".to_owned(), plan.logs.max_bytes.max(1).to_string()),
        ("max-file".to_owned(), plan.logs.files.max(1).to_string()),
    ]);
    let config = HostConfig {
        binds: Some(binds),
        mounts: Some(files.into_iter().filter_map(bound_file).collect()),
        tmpfs: Some(plan.mounts.iter().filter_map(tmpfs).collect()),
        network_mode: Some(network.to_owned()),
        ipc_mode: joined.clone(),
        port_bindings: ports,
        log_config: Some(HostConfigLogConfig {
            typ: Some("json-file".to_owned()),
            config: Some(logs),
        }),
        privileged: Some(plan.privileged),
        ..HostConfig::default()
    };
    Ok(with_caps(confined(config, &plan.confinement), &plan.caps))
}

fn confined(config: HostConfig, asked: &Confinement) -> HostConfig {
    let names = |set: &BTreeSet<String>| (!set.is_empty()).then(|| set.iter().cloned().collect());
    HostConfig {
        readonly_rootfs: asked.read_only_root.then_some(true),
        security_opt: asked
            .no_new_privileges
            .then(|| vec!["no-new-privileges".to_owned()]),
        cap_drop: names(&asked.dropped),
        cap_add: names(&asked.added),
        ..config
    }
}

fn with_caps(config: HostConfig, caps: &Caps) -> HostConfig {
    let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let memory = caps.memory_limit_bytes.map(signed);
    HostConfig {
        // A core is 1,024 shares; the kernel takes no less than 2.
        cpu_shares: caps
            .cpu_weight_millis
            .map(|m| signed((m.saturating_mul(1024) / 1000).max(2))),
        // Not `NanoCpus`: the daemon refuses more of those than the machine has cores. The kernel takes no
        // less than a millisecond.
        cpu_period: caps.cpu_limit_millis.map(|_| PERIOD_MICROS),
        cpu_quota: caps
            .cpu_limit_millis
            .map(|m| signed(m).saturating_mul(PERIOD_MICROS / 1000).max(1000)),
        memory,
        // Equal to the memory: no swap, so that the limit is the limit.
        memory_swap: memory,
        pids_limit: caps.pids.map(signed),
        ..config
    }
}

pub(crate) fn names(port: &PublishedPort) -> Vec<String> {
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

pub(crate) fn bindings(ports: &[PublishedPort]) -> PortMap {
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

fn bind(mount: &Mount) -> Result<Option<String>, RuntimeError> {
    let source = match &mount.source {
        MountSource::Host(path) if path.starts_with('/') => path,
        // The daemon would take it for the name of a volume.
        MountSource::Host(path) => {
            let why = format!(
                "mount of {path} at {}: a path of the node is absolute",
                mount.target
            );
            return Err(refused(ExitReason::Setup, why));
        }
        MountSource::Volume(name) => name,
        MountSource::Tmpfs(_) => return Ok(None),
    };
    bound(source, &mount.target, mount.read_only).map(Some)
}

fn is_file(mount: &Mount) -> bool {
    match &mount.source {
        MountSource::Host(path) => path.starts_with('/') && Path::new(path).is_file(),
        MountSource::Volume(_) | MountSource::Tmpfs(_) => false,
    }
}

/// A file that is there. Said so that a daemon which does not see it refuses: from a plain bind it would make an
/// empty directory in its place.
fn bound_file(mount: &Mount) -> Option<DockerMount> {
    let MountSource::Host(path) = &mount.source else {
        return None;
    };
    Some(DockerMount {
        typ: Some(MountType::BIND),
        source: Some(path.clone()),
        target: Some(mount.target.clone()),
        read_only: Some(mount.read_only),
        ..DockerMount::default()
    })
}

fn bound(source: &str, target: &str, read_only: bool) -> Result<String, RuntimeError> {
    if source.contains(':') || target.contains(':') {
        let why = format!("mount of {source} at {target}: the daemon takes no colon in a path");
        return Err(refused(ExitReason::Setup, why));
    }
    Ok(format!(
        "{source}:{target}:{}",
        if read_only { "ro" } else { "rw" }
    ))
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

#[cfg(test)]
mod tests {
    use super::*;
    use plenum_model::ids::{Incarnation, TaskId};
    use plenum_model::spec::LogLimits;

    fn plan() -> ContainerPlan {
        let key = ContainerKey {
            task: TaskId([1; 16]),
            container: "main".into(),
            incarnation: Incarnation(0),
        };
        ContainerPlan {
            key,
            image: None,
            entrypoint: None,
            args: None,
            env: vec![],
            workdir: None,
            user: None,
            hostname: None,
            tty: false,
            stdin: false,
            caps: Caps::default(),
            mounts: vec![],
            network: Network::Bridge,
            ports: vec![],
            stop_signal: None,
            logs: LogLimits::default(),
            privileged: false,
            confinement: Confinement::default(),
            labels: [].into(),
            sandbox: "/s".into(),
            among: None,
        }
    }

    #[test]
    fn caps_are_hard_and_swap_adds_nothing() {
        let mut p = plan();
        p.caps = Caps {
            cpu_weight_millis: Some(1),
            cpu_limit_millis: Some(2500),
            memory_limit_bytes: Some(64 << 20),
            pids: Some(9),
        };
        let host = host_config("n1", &p).unwrap();
        assert_eq!((host.memory, host.memory_swap), (Some(64 << 20), Some(64 << 20)));
        assert_eq!((host.cpu_quota, host.cpu_period), (Some(250_000), Some(100_000)));
        assert_eq!((host.cpu_shares, host.pids_limit), (Some(2), Some(9)));
        let none = host_config("n1", &plan()).unwrap();
        assert_eq!((none.memory, none.cpu_quota, none.cpu_shares), (None, None, None));
    }

    #[test]
    fn what_processes_may_less_or_more_is_told_to_the_daemon() {
        let mut p = plan();
        p.confinement = Confinement {
            read_only_root: true,
            no_new_privileges: true,
            dropped: ["ALL".to_owned()].into(),
            added: ["NET_ADMIN".to_owned()].into(),
        };
        let host = host_config("n1", &p).unwrap();
        assert_eq!(host.readonly_rootfs, Some(true));
        assert_eq!(host.security_opt, Some(vec!["no-new-privileges".to_owned()]));
        assert_eq!(host.cap_drop, Some(vec!["ALL".to_owned()]));
        assert_eq!(host.cap_add, Some(vec!["NET_ADMIN".to_owned()]));
        let none = host_config("n1", &plan()).unwrap();
        assert_eq!(
            (none.readonly_rootfs, none.security_opt, none.cap_drop),
            (None, None, None)
        );
    }

    #[test]
    fn ports_are_bound_on_the_nodes_address_in_a_bridge_only() {
        let mut p = plan();
        let port = PublishedPort {
            address: "127.77.0.1".into(),
            host: 31000,
            container: 80,
            protocol: Protocol::Both,
        };
        let second = PublishedPort {
            host: 31001,
            protocol: Protocol::Tcp,
            ..port.clone()
        };
        p.ports = vec![port, second];
        let ports = host_config("n1", &p).unwrap().port_bindings.unwrap();
        let tcp = ports["80/tcp"].as_ref().unwrap();
        assert_eq!(tcp.len(), 2, "one port inside may be published twice");
        assert_eq!(tcp[0].host_ip.as_deref(), Some("127.77.0.1"));
        assert_eq!(ports["80/udp"].as_ref().unwrap().len(), 1);
        p.network = Network::Host;
        let host = host_config("n1", &p).unwrap();
        assert_eq!(
            (host.port_bindings, host.network_mode.as_deref()),
            (None, Some("host"))
        );
    }

    #[test]
    fn a_file_that_is_there_is_mounted_so_that_its_absence_would_be_refused() {
        let mut p = plan();
        for source in ["/etc/passwd", "/etc", "/no/such/file"] {
            p.mounts.push(Mount {
                target: "/x".into(),
                source: MountSource::Host(source.into()),
                read_only: true,
            });
        }
        let host = host_config("n1", &p).unwrap();
        let mounts = host.mounts.unwrap();
        assert_eq!(mounts.len(), 1);
        assert_eq!(mounts[0].source.as_deref(), Some("/etc/passwd"));
        assert_eq!(
            (mounts[0].typ, mounts[0].read_only),
            (Some(MountType::BIND), Some(true))
        );
        assert_eq!(host.binds.unwrap().len(), 3, "the sandbox and the two others");
    }

    #[test]
    fn mounts_that_the_daemon_would_take_for_something_else_are_refused_by_name() {
        for (path, words) in [("data", "is absolute"), ("/a:b", "no colon")] {
            let mut p = plan();
            p.mounts.push(Mount {
                target: "/x".into(),
                source: MountSource::Host(path.into()),
                read_only: false,
            });
            let error = host_config("n1", &p).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
