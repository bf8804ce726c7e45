//! From an assignment and its spec to what a runtime is told: every placeholder filled in, every port named.
//! Also what this agent does not serve, said by name before anything is made.

use super::NodeView;
use super::io::PlannedFile;
use super::memory::Remembered;
use plenum_contract::runtime::{ContainerKey, ContainerPlan, PublishedPort};
use plenum_model::ids::TaskId;
use plenum_model::spec::{ContainerSpec, Mount, MountSource, Network, TaskSpec};
use plenum_model::template::{Placeholder, Template, Unfilled};
use std::path::PathBuf;

/// The task's own directory.
pub(super) fn sandbox(node: &NodeView, task: TaskId) -> PathBuf {
    node.sandboxes.join(task.to_string())
}

/// The directories of a task's files: plain ones, secrets. Beside the sandbox, which its containers can write.
fn file_dirs(node: &NodeView, task: TaskId) -> [PathBuf; 2] {
    [&node.files, &node.secrets].map(|all| all.join(task.to_string()))
}

/// The directories that hold files of this task.
pub(super) fn used_dirs(node: &NodeView, task: &Remembered) -> Vec<PathBuf> {
    let [plain, secret] = file_dirs(node, task.assigned.seat.id);
    let has = |wanted: bool| task.assigned.terms.files.iter().any(|f| f.secret == wanted);
    let used = [has(false).then_some(plain), has(true).then_some(secret)];
    used.into_iter().flatten().collect()
}

/// The files the claim refers to, each at a path that names its revision: what is there already is right.
pub(super) fn files(node: &NodeView, task: &Remembered) -> Vec<PlannedFile> {
    let [plain, secret] = file_dirs(node, task.assigned.seat.id);
    let files = task.assigned.terms.files.iter().enumerate();
    files
        .map(|(i, file)| PlannedFile {
            key: file.key.clone(),
            revision: file.revision,
            path: if file.secret { &secret } else { &plain }.join(format!("{i}-{}", file.revision)),
            mode: file.mode,
            secret: file.secret,
        })
        .collect()
}

/// The mounts of a container: those of its spec, then the files of the task.
fn mounts(node: &NodeView, task: &Remembered, c: &ContainerSpec) -> Vec<Mount> {
    let home = sandbox(node, task.assigned.seat.id);
    let placed = task.assigned.terms.files.iter().zip(files(node, task));
    let files = placed.map(|(file, planned)| Mount {
        target: home.join(&file.target).display().to_string(),
        source: MountSource::Host(planned.path.display().to_string()),
        read_only: true,
    });
    c.mounts.iter().cloned().chain(files).collect()
}

/// The key of container `index` in the current incarnation.
pub(super) fn key(task: &Remembered, spec: &TaskSpec, index: usize) -> ContainerKey {
    ContainerKey {
        task: task.assigned.seat.id,
        container: spec
            .containers
            .get(index)
            .map_or_else(String::new, |c| c.name.clone()),
        incarnation: task.incarnation,
    }
}

/// The ports of the node that lead to the task, in the order of the claim.
pub(super) fn ports(node: &NodeView, task: &Remembered) -> Vec<PublishedPort> {
    let asks = task.assigned.terms.ports.iter();
    asks.zip(&task.assigned.ports)
        .map(|(ask, host)| PublishedPort {
            address: node.address.clone(),
            host: *host,
            container: ask.container.filter(|p| *p != 0).unwrap_or(*host),
            protocol: ask.protocol,
        })
        .collect()
}

/// What stands against running this task here for ever, in words.
pub(super) fn objection(node: &NodeView, task: &Remembered, spec: &TaskSpec) -> Option<String> {
    if spec.containers.is_empty() {
        return Some("the task has no container".to_owned());
    }
    if task.assigned.ports.len() != task.assigned.terms.ports.len() {
        let (have, want) = (task.assigned.ports.len(), task.assigned.terms.ports.len());
        return Some(format!("{have} host ports are assigned, {want} are asked for"));
    }
    spec.containers.iter().find_map(|c| {
        if !node.runtimes.contains(&c.runtime) {
            return Some(format!("node {} has no runtime {}", node.id, c.runtime));
        }
        None
    })
}

/// What the runtime of container `index` is told.
///
/// # Errors
/// The first placeholder that has no value for this task.
pub(super) fn container(
    node: &NodeView,
    task: &Remembered,
    spec: &TaskSpec,
    c: &ContainerSpec,
) -> Result<ContainerPlan, Unfilled> {
    let ports = ports(node, task);
    let fill = |p: Placeholder| value(node, task, spec, &ports, p);
    let list = |items: &Vec<Template>| {
        items
            .iter()
            .map(|t| t.expand(fill))
            .collect::<Result<Vec<_>, _>>()
    };
    let env = c.env.iter().map(|(name, t)| Ok((name.clone(), t.expand(fill)?)));
    Ok(ContainerPlan {
        key: ContainerKey {
            task: task.assigned.seat.id,
            container: c.name.clone(),
            incarnation: task.incarnation,
        },
        image: c.image.clone(),
        entrypoint: c.entrypoint.as_ref().map(list).transpose()?,
        args: c.args.as_ref().map(list).transpose()?,
        env: env.collect::<Result<_, Unfilled>>()?,
        workdir: c.workdir.clone(),
        user: c.user.clone(),
        hostname: spec.hostname.clone(),
        tty: c.tty,
        stdin: c.stdin,
        caps: c.caps.clone(),
        mounts: mounts(node, task, c),
        network: spec.network,
        ports,
        stop_signal: c.stop_signal.clone(),
        logs: c.logs,
        privileged: c.privileged,
        labels: c.labels.clone(),
        sandbox: sandbox(node, task.assigned.seat.id),
        among: None,
    })
}

/// What a placeholder stands for.
pub(super) fn value(
    node: &NodeView,
    task: &Remembered,
    spec: &TaskSpec,
    ports: &[PublishedPort],
    placeholder: Placeholder,
) -> Option<String> {
    let seat = &task.assigned.seat;
    match placeholder {
        Placeholder::TaskId => Some(seat.id.to_string()),
        Placeholder::TaskName => Some(seat.name.clone()),
        Placeholder::Slot => Some(seat.slot.to_string()),
        Placeholder::NodeName => Some(node.id.to_string()),
        Placeholder::NodeHostname => Some(node.hostname.clone()),
        Placeholder::NodeAddress => Some(node.address.clone()),
        // A bridged container has an address only once it runs, too late for its own environment.
        Placeholder::TaskAddress => match spec.network {
            Network::Host => Some(node.address.clone()),
            Network::Bridge => None,
        },
        Placeholder::HostPort(i) => ports.get(usize::from(i)).map(|p| p.host.to_string()),
        Placeholder::ContainerPort(i) => ports.get(usize::from(i)).map(|p| p.container.to_string()),
        Placeholder::Sandbox => Some(sandbox(node, seat.id).display().to_string()),
    }
}
