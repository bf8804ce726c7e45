//! Specs: what to run. A spec comes back with the content address it had.

use super::enums::WireEnum;
use super::template::{command, named, variable, words};
use crate::malformed::{Malformed, each, maybe, need};
use crate::proto::model::v1 as wire;
use plenum_model::spec::{
    Backoff, Caps, Confinement, ContainerSpec, Image, LogLimits, Mount, MountSource, Network, PreStop, Pull,
    Restart, RestartUnit, Role, TaskSpec, Volume, VolumeMount, VolumeSource,
};

impl From<&TaskSpec> for wire::TaskSpec {
    fn from(spec: &TaskSpec) -> Self {
        Self {
            containers: spec.containers.iter().map(wire::ContainerSpec::from).collect(),
            network: spec.network.number(),
            hostname: spec.hostname.clone(),
            restart_unit: spec.restart_unit.number(),
            backoff: (spec.backoff != Backoff::default()).then(|| spec.backoff.into()),
            volumes: spec.volumes.iter().map(wire::Volume::from).collect(),
        }
    }
}

impl TryFrom<wire::TaskSpec> for TaskSpec {
    type Error = Malformed;
    fn try_from(spec: wire::TaskSpec) -> Result<Self, Malformed> {
        Ok(Self {
            containers: each(spec.containers)?,
            network: Network::or_default(spec.network)?,
            hostname: spec.hostname,
            restart_unit: RestartUnit::or_default(spec.restart_unit)?,
            backoff: spec.backoff.map(Backoff::from).unwrap_or_default(),
            volumes: each(spec.volumes)?,
        })
    }
}

impl From<&ContainerSpec> for wire::ContainerSpec {
    fn from(c: &ContainerSpec) -> Self {
        Self {
            name: c.name.clone(),
            runtime: c.runtime.clone(),
            image: c.image.as_ref().map(wire::Image::from),
            entrypoint: c.entrypoint.as_deref().map(command),
            args: c.args.as_deref().map(command),
            env: c.env.iter().map(variable).collect(),
            workdir: c.workdir.clone(),
            user: c.user.clone(),
            tty: c.tty,
            stdin: c.stdin,
            caps: Some(wire::Caps::from(&c.caps)),
            mounts: c.mounts.iter().map(wire::Mount::from).collect(),
            probes: c.probes.iter().map(wire::Probe::from).collect(),
            restart: Some(wire::Restart::from(c.restart)),
            stop_signal: c.stop_signal.clone(),
            stop_grace_ms: c.stop_grace_ms,
            logs: Some(wire::LogLimits::from(c.logs)),
            privileged: c.privileged,
            labels: c.labels.clone(),
            role: c.role.number(),
            volumes: c.volumes.iter().map(wire::VolumeMount::from).collect(),
            startup: c.startup.as_ref().map(wire::Probe::from),
            pre_stop: c.pre_stop.as_ref().map(wire::PreStop::from),
            confinement: (c.confinement != Confinement::default()).then(|| (&c.confinement).into()),
        }
    }
}

impl From<&Confinement> for wire::Confinement {
    fn from(c: &Confinement) -> Self {
        Self {
            read_only_root: c.read_only_root,
            no_new_privileges: c.no_new_privileges,
            dropped: c.dropped.iter().cloned().collect(),
            added: c.added.iter().cloned().collect(),
        }
    }
}

impl From<wire::Confinement> for Confinement {
    fn from(c: wire::Confinement) -> Self {
        Self {
            read_only_root: c.read_only_root,
            no_new_privileges: c.no_new_privileges,
            dropped: c.dropped.into_iter().collect(),
            added: c.added.into_iter().collect(),
        }
    }
}

impl TryFrom<wire::ContainerSpec> for ContainerSpec {
    type Error = Malformed;
    fn try_from(c: wire::ContainerSpec) -> Result<Self, Malformed> {
        Ok(Self {
            name: c.name,
            runtime: c.runtime,
            image: maybe(c.image)?,
            entrypoint: c.entrypoint.map(words).transpose()?,
            args: c.args.map(words).transpose()?,
            env: c.env.into_iter().map(named).collect::<Result<_, _>>()?,
            workdir: c.workdir,
            user: c.user,
            tty: c.tty,
            stdin: c.stdin,
            caps: c.caps.map(Caps::from).unwrap_or_default(),
            mounts: each(c.mounts)?,
            probes: each(c.probes)?,
            restart: maybe(c.restart)?.unwrap_or_default(),
            stop_signal: c.stop_signal,
            stop_grace_ms: c.stop_grace_ms,
            logs: c.logs.map(LogLimits::from).unwrap_or_default(),
            privileged: c.privileged,
            labels: c.labels,
            role: Role::or_default(c.role)?,
            volumes: c.volumes.into_iter().map(VolumeMount::from).collect(),
            startup: maybe(c.startup)?,
            pre_stop: maybe(c.pre_stop)?,
            confinement: c.confinement.map(Confinement::from).unwrap_or_default(),
        })
    }
}

impl From<&Image> for wire::Image {
    fn from(image: &Image) -> Self {
        Self {
            reference: image.reference.clone(),
            pull: image.pull.number(),
        }
    }
}

impl TryFrom<wire::Image> for Image {
    type Error = Malformed;
    fn try_from(image: wire::Image) -> Result<Self, Malformed> {
        Ok(Self {
            reference: image.reference,
            pull: Pull::or_default(image.pull)?,
        })
    }
}

impl From<&Caps> for wire::Caps {
    fn from(caps: &Caps) -> Self {
        Self {
            cpu_weight_millis: caps.cpu_weight_millis,
            cpu_limit_millis: caps.cpu_limit_millis,
            memory_limit_bytes: caps.memory_limit_bytes,
            pids: caps.pids,
        }
    }
}

impl From<wire::Caps> for Caps {
    fn from(caps: wire::Caps) -> Self {
        Self {
            cpu_weight_millis: caps.cpu_weight_millis,
            cpu_limit_millis: caps.cpu_limit_millis,
            memory_limit_bytes: caps.memory_limit_bytes,
            pids: caps.pids,
        }
    }
}

impl From<&Mount> for wire::Mount {
    fn from(mount: &Mount) -> Self {
        use wire::mount::Source as S;
        let source = match &mount.source {
            MountSource::Host(path) => S::Host(path.clone()),
            MountSource::Volume(name) => S::Volume(name.clone()),
            MountSource::Tmpfs(bytes) => S::Tmpfs(wire::Tmpfs { bytes: *bytes }),
        };
        Self {
            target: mount.target.clone(),
            read_only: mount.read_only,
            source: Some(source),
        }
    }
}

impl TryFrom<wire::Mount> for Mount {
    type Error = Malformed;
    fn try_from(mount: wire::Mount) -> Result<Self, Malformed> {
        use wire::mount::Source as S;
        let source = match need(mount.source, "mount.source")? {
            S::Host(path) => MountSource::Host(path),
            S::Volume(name) => MountSource::Volume(name),
            S::Tmpfs(tmpfs) => MountSource::Tmpfs(tmpfs.bytes),
        };
        Ok(Self {
            target: mount.target,
            source,
            read_only: mount.read_only,
        })
    }
}

impl From<Restart> for wire::Restart {
    fn from(restart: Restart) -> Self {
        use wire::restart::Policy as P;
        let policy = match restart {
            Restart::Never => P::Never(()),
            Restart::OnFailure { max } => P::OnFailure(wire::RestartOnFailure { max }),
            Restart::Always => P::Always(()),
        };
        Self { policy: Some(policy) }
    }
}

impl TryFrom<wire::Restart> for Restart {
    type Error = Malformed;
    fn try_from(restart: wire::Restart) -> Result<Self, Malformed> {
        use wire::restart::Policy as P;
        Ok(match need(restart.policy, "restart.policy")? {
            P::Never(()) => Self::Never,
            P::OnFailure(on) => Self::OnFailure { max: on.max },
            P::Always(()) => Self::Always,
        })
    }
}

impl From<LogLimits> for wire::LogLimits {
    fn from(logs: LogLimits) -> Self {
        Self {
            max_bytes: logs.max_bytes,
            files: logs.files,
        }
    }
}

impl From<wire::LogLimits> for LogLimits {
    fn from(logs: wire::LogLimits) -> Self {
        Self {
            max_bytes: logs.max_bytes,
            files: logs.files,
        }
    }
}

impl From<Backoff> for wire::Backoff {
    fn from(backoff: Backoff) -> Self {
        Self {
            base_ms: backoff.base_ms,
            cap_ms: backoff.cap_ms,
            good_run_ms: backoff.good_run_ms,
            immediate: backoff.immediate,
        }
    }
}

impl From<wire::Backoff> for Backoff {
    fn from(backoff: wire::Backoff) -> Self {
        Self {
            base_ms: backoff.base_ms,
            cap_ms: backoff.cap_ms,
            good_run_ms: backoff.good_run_ms,
            immediate: backoff.immediate,
        }
    }
}

impl From<&Volume> for wire::Volume {
    fn from(volume: &Volume) -> Self {
        use wire::volume::Source as S;
        let source = match volume.source {
            VolumeSource::Disk => S::Disk(()),
            VolumeSource::Memory(bytes) => S::Memory(wire::Tmpfs { bytes }),
            VolumeSource::Files => S::Files(()),
        };
        Self {
            name: volume.name.clone(),
            source: Some(source),
        }
    }
}

impl TryFrom<wire::Volume> for Volume {
    type Error = Malformed;
    fn try_from(volume: wire::Volume) -> Result<Self, Malformed> {
        use wire::volume::Source as S;
        let source = match need(volume.source, "volume.source")? {
            S::Disk(()) => VolumeSource::Disk,
            S::Memory(tmpfs) => VolumeSource::Memory(tmpfs.bytes),
            S::Files(()) => VolumeSource::Files,
        };
        Ok(Self {
            name: volume.name,
            source,
        })
    }
}

impl From<&VolumeMount> for wire::VolumeMount {
    fn from(mount: &VolumeMount) -> Self {
        Self {
            volume: mount.volume.clone(),
            target: mount.target.clone(),
            sub_path: mount.sub_path.clone(),
            read_only: mount.read_only,
        }
    }
}

impl From<wire::VolumeMount> for VolumeMount {
    fn from(mount: wire::VolumeMount) -> Self {
        Self {
            volume: mount.volume,
            target: mount.target,
            sub_path: mount.sub_path,
            read_only: mount.read_only,
        }
    }
}

impl From<&PreStop> for wire::PreStop {
    fn from(hook: &PreStop) -> Self {
        use wire::pre_stop::Hook as H;
        let hook = match hook {
            PreStop::Exec(words) => H::Exec(command(words)),
            PreStop::SleepMs(ms) => H::SleepMs(*ms),
        };
        Self { hook: Some(hook) }
    }
}

impl TryFrom<wire::PreStop> for PreStop {
    type Error = Malformed;
    fn try_from(hook: wire::PreStop) -> Result<Self, Malformed> {
        use wire::pre_stop::Hook as H;
        Ok(match need(hook.hook, "pre_stop.hook")? {
            H::Exec(command) => Self::Exec(words(command)?),
            H::SleepMs(ms) => Self::SleepMs(ms),
        })
    }
}
