//! From an assignment and its spec to what a runtime is told: every placeholder filled in, every port named.
//! Also what this agent does not serve, said by name before anything is made.

use super::NodeView;
use super::io::{FromFile, Piece, PlannedContainer, PlannedFile, PlannedVolume};
use super::memory::Remembered;
use plenum_contract::runtime::{Among, ContainerKey, ContainerPlan, PublishedPort, SandboxPlan};
use plenum_model::claim::FileRef;
use plenum_model::ids::TaskId;
use plenum_model::spec::{
    ContainerSpec, Mount, MountSource, Network, RestartUnit, TaskSpec, Volume, VolumeSource,
};
use plenum_model::template::{Part, Placeholder, Template, Unfilled};
use std::path::{Path, PathBuf};

/// The task's own directory.
pub(super) fn sandbox(node: &NodeView, task: TaskId) -> PathBuf {
    node.sandboxes.join(task.to_string())
}

/// The directories of a task's files: plain ones, secrets. Beside the sandbox, which its containers can write.
fn file_dirs(node: &NodeView, task: TaskId) -> [PathBuf; 2] {
    [&node.files, &node.secrets].map(|all| all.join(task.to_string()))
}

/// Whether a file is kept in memory: it is secret, or in a volume with one that is.
fn in_memory(task: &Remembered, file: &FileRef) -> bool {
    let mut files = task.assigned.terms.files.iter();
    file.secret || file.volume.is_some() && files.any(|f| f.secret && f.volume == file.volume)
}

/// The directories that hold files of this task.
pub(super) fn used_dirs(node: &NodeView, task: &Remembered) -> Vec<PathBuf> {
    let [plain, secret] = file_dirs(node, task.assigned.seat.id);
    let files = &task.assigned.terms.files;
    let has = |wanted: bool| files.iter().any(|f| in_memory(task, f) == wanted);
    let used = [has(false).then_some(plain), has(true).then_some(secret)];
    used.into_iter().flatten().collect()
}

/// The directories that may hold files of this task, volumes without files among them.
pub(super) fn dirs_of_files(node: &NodeView, task: &Remembered, spec: &TaskSpec) -> Vec<PathBuf> {
    let volumes = spec.volumes.iter().any(|v| v.source == VolumeSource::Files);
    let any = volumes || !task.assigned.terms.files.is_empty();
    any.then(|| file_dirs(node, task.assigned.seat.id))
        .into_iter()
        .flatten()
        .collect()
}

/// The files the claim refers to. One that every container sees is at a path that names its revision, one in a
/// volume at its path there; the files of a task do not change: what is there already is right.
pub(super) fn files(node: &NodeView, task: &Remembered) -> Vec<PlannedFile> {
    let [plain, secret] = file_dirs(node, task.assigned.seat.id);
    let files = task.assigned.terms.files.iter().enumerate();
    files
        .map(|(i, file)| {
            let in_memory = in_memory(task, file);
            let dir = if in_memory { &secret } else { &plain };
            PlannedFile {
                key: file.key.clone(),
                revision: file.revision,
                dir: dir.clone(),
                path: match &file.volume {
                    None => dir.join(format!("{i}-{}", file.revision)),
                    Some(volume) => files_of(dir, volume).join(&file.target),
                },
                mode: file.mode,
                secret: in_memory,
            }
        })
        .collect()
}

/// The directory of a volume of files. No other file's name has a dot.
fn files_of(dir: &Path, volume: &str) -> PathBuf {
    dir.join(format!("volume.{volume}"))
}

/// The directory of all volumes of a task.
pub(super) fn volumes_dir(node: &NodeView, task: TaskId) -> PathBuf {
    node.volumes.join(task.to_string())
}

/// Where a volume of the task is.
fn volume_path(node: &NodeView, task: &Remembered, volume: &Volume) -> PathBuf {
    let id = task.assigned.seat.id;
    match volume.source {
        VolumeSource::Disk | VolumeSource::Memory(_) => volumes_dir(node, id).join(&volume.name),
        VolumeSource::Files => {
            let [plain, secret] = file_dirs(node, id);
            let mut files = task.assigned.terms.files.iter();
            let in_memory = files.any(|f| f.volume.as_deref() == Some(&volume.name) && in_memory(task, f));
            files_of(if in_memory { &secret } else { &plain }, &volume.name)
        }
    }
}

/// The volumes that are made for a task.
pub(super) fn volumes(node: &NodeView, task: &Remembered, spec: &TaskSpec) -> Vec<PlannedVolume> {
    let made = spec.volumes.iter().map(|volume| {
        let memory = match volume.source {
            VolumeSource::Disk => None,
            VolumeSource::Memory(bytes) => Some(bytes),
            VolumeSource::Files => None,
        };
        let path = volume_path(node, task, volume);
        let mounts = spec.containers.iter().flat_map(|c| &c.volumes);
        let below = mounts
            .filter(|m| m.volume == volume.name && volume.source != VolumeSource::Files)
            .filter_map(|m| Some(path.join(m.sub_path.as_ref()?)));
        PlannedVolume {
            below: below.collect(),
            path: path.clone(),
            memory,
            written: volume.source != VolumeSource::Files,
        }
    });
    made.collect()
}

/// The volumes of a task that hold memory.
pub(super) fn volumes_in_memory(node: &NodeView, task: &Remembered, spec: &TaskSpec) -> Vec<PathBuf> {
    let all = volumes(node, task, spec).into_iter();
    all.filter(|v| v.memory.is_some()).map(|v| v.path).collect()
}

/// The mounts of a container: those of its spec, the volumes it sees, then the files that all see.
fn mounts(node: &NodeView, task: &Remembered, spec: &TaskSpec, c: &ContainerSpec) -> Vec<Mount> {
    let home = sandbox(node, task.assigned.seat.id);
    let placed = task.assigned.terms.files.iter().zip(files(node, task));
    let files = placed
        .filter(|(file, _)| file.volume.is_none())
        .map(|(file, planned)| Mount {
            target: home.join(&file.target).display().to_string(),
            source: MountSource::Host(planned.path.display().to_string()),
            read_only: true,
        });
    let volumes = c.volumes.iter().filter_map(|mount| {
        let volume = spec.volumes.iter().find(|v| v.name == mount.volume)?;
        let whole = volume_path(node, task, volume);
        let source = mount
            .sub_path
            .as_ref()
            .map_or(whole.clone(), |sub| whole.join(sub));
        Some(Mount {
            target: mount.target.clone(),
            source: MountSource::Host(source.display().to_string()),
            read_only: mount.read_only || volume.source == VolumeSource::Files,
        })
    });
    c.mounts.iter().cloned().chain(volumes).chain(files).collect()
}

/// The key of a container in its current incarnation.
fn key_of(task: &Remembered, name: &str) -> ContainerKey {
    let own = task.runs.get(name).map(|run| run.incarnation);
    ContainerKey {
        task: task.assigned.seat.id,
        container: name.to_owned(),
        incarnation: own.unwrap_or(task.incarnation),
    }
}

/// The key of container `index` in its current incarnation.
pub(super) fn key(task: &Remembered, spec: &TaskSpec, index: usize) -> ContainerKey {
    key_of(task, spec.containers.get(index).map_or("", |c| &c.name))
}

/// The key of the sandbox of the current incarnation.
pub(super) fn sandbox_key(task: &Remembered) -> ContainerKey {
    key_of(task, "")
}

/// What the containers of a task share on the network, where they share an address.
pub(super) fn network(node: &NodeView, task: &Remembered, spec: &TaskSpec) -> Option<SandboxPlan> {
    match spec.network {
        Network::Host => None,
        Network::Bridge => Some(SandboxPlan {
            key: sandbox_key(task),
            hostname: spec.hostname.clone(),
            ports: ports(node, task),
        }),
    }
}

/// The task's own address, where its containers share one and it is known.
pub(super) fn own_address(task: &Remembered) -> Option<&str> {
    task.shared.as_ref()?.as_deref()
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
    let missing = spec
        .containers
        .iter()
        .find(|c| !node.runtimes.contains(&c.runtime));
    if let Some(c) = missing {
        return Some(format!("node {} has no runtime {}", node.id, c.runtime));
    }
    spec.shape().err()
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
) -> Result<PlannedContainer, Unfilled> {
    let ports = ports(node, task);
    let fill = |p: Placeholder| value(node, task, spec, &ports, p);
    let list = |items: &Vec<Template>| {
        items
            .iter()
            .map(|t| t.expand(fill))
            .collect::<Result<Vec<_>, _>>()
    };
    let alone = spec.restart_unit == RestartUnit::Task;
    // What they share on the network, host name and ports too, is the sandbox's.
    let sandbox_of = network(node, task, spec).filter(|_| !alone).map(|plan| plan.key);
    let mut env = Vec::new();
    let mut from_files = Vec::new();
    for (variable, (name, template)) in c.env.iter().enumerate() {
        let pieces = pieces(node, task, template, fill)?;
        env.push((name.clone(), text(&pieces)));
        let has_files = pieces.iter().any(|p| matches!(p, Piece::File(_)));
        from_files.extend(has_files.then_some(FromFile { variable, pieces }));
    }
    let plan = ContainerPlan {
        key: key_of(task, &c.name),
        image: c.image.clone(),
        entrypoint: c.entrypoint.as_ref().map(list).transpose()?,
        args: c.args.as_ref().map(list).transpose()?,
        env,
        workdir: c.workdir.clone(),
        user: c.user.clone(),
        hostname: spec.hostname.clone().filter(|_| sandbox_of.is_none()),
        tty: c.tty,
        stdin: c.stdin,
        caps: c.caps.clone(),
        mounts: mounts(node, task, spec, c),
        network: spec.network,
        ports: if alone { ports } else { Vec::new() },
        stop_signal: c.stop_signal.clone(),
        logs: c.logs,
        privileged: c.privileged,
        confinement: c.confinement.clone(),
        labels: c.labels.clone(),
        sandbox: sandbox(node, task.assigned.seat.id),
        among: (!alone).then_some(Among { sandbox: sandbox_of }),
    };
    Ok(PlannedContainer {
        plan,
        from_files,
        below: parts_of_volumes(node, task, spec, c),
    })
}

/// The parts of volumes that a container sees.
fn parts_of_volumes(
    node: &NodeView,
    task: &Remembered,
    spec: &TaskSpec,
    c: &ContainerSpec,
) -> Vec<(PathBuf, PathBuf)> {
    let parts = c.volumes.iter().filter_map(|mount| {
        let volume = spec.volumes.iter().find(|v| v.name == mount.volume)?;
        Some((
            volume_path(node, task, volume),
            PathBuf::from(mount.sub_path.as_ref()?),
        ))
    });
    parts.collect()
}

/// The pieces of a variable: what stands in it, and the files whose text is not known here.
fn pieces(
    node: &NodeView,
    task: &Remembered,
    template: &Template,
    fill: impl Fn(Placeholder) -> Option<String>,
) -> Result<Vec<Piece>, Unfilled> {
    let piece = |part: &Part| match part {
        Part::Text(text) => Ok(Piece::Text(text.clone())),
        Part::Fill(p @ Placeholder::File(n)) => {
            let file = files(node, task).into_iter().nth(usize::from(*n));
            file.map(|f| Piece::File(f.path)).ok_or(Unfilled(*p))
        }
        Part::Fill(p) => fill(*p).map(Piece::Text).ok_or(Unfilled(*p)),
    };
    template.0.iter().map(piece).collect()
}

/// What of a variable is known here.
fn text(pieces: &[Piece]) -> String {
    let known = |piece: &Piece| match piece {
        Piece::Text(text) => Some(text.clone()),
        Piece::File(_) => None,
    };
    pieces.iter().filter_map(known).collect()
}

/// A command with every placeholder filled in.
///
/// # Errors
/// The first placeholder that has no value for this task.
pub(super) fn command(
    node: &NodeView,
    task: &Remembered,
    spec: &TaskSpec,
    words: &[Template],
) -> Result<Vec<String>, Unfilled> {
    let ports = ports(node, task);
    let fill = |p: Placeholder| value(node, task, spec, &ports, p);
    words.iter().map(|t| t.expand(fill)).collect()
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
        // One that is bridged alone has an address only once it runs, too late for its own environment.
        Placeholder::TaskAddress => match spec.network {
            Network::Host => Some(node.address.clone()),
            Network::Bridge => own_address(task).map(str::to_owned),
        },
        Placeholder::HostPort(i) => ports.get(usize::from(i)).map(|p| p.host.to_string()),
        Placeholder::ContainerPort(i) => ports.get(usize::from(i)).map(|p| p.container.to_string()),
        Placeholder::Sandbox => Some(sandbox(node, seat.id).display().to_string()),
        // The supervisor never holds the bytes of files.
        Placeholder::File(_) => None,
    }
}
