//! From a pod and what it refers to, to a claim's spec and terms. What is not served is refused by name; what is
//! missing is listed, and the spec is still made: a pod whose config map has not come yet holds its room.

use super::charge::charge;
use super::container::container;
use super::refuse::check;
use super::relations::NAMESPACE;
use super::sources::{Missing, Sources};
use super::{Refused, init_containers, is_sidecar, place, volumes};
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use plenum_model::claim::{Desired, FileRef, HostPort, LostAfter, PortAsk, Protocol, Terms, Workload};
use plenum_model::ids::{SpecId, TenantPath};
use plenum_model::rules::Rules;
use plenum_model::spec::{Backoff, Network, RestartUnit, Role, TaskSpec, Volume, VolumeSource};
use plenum_model::template::{Placeholder, Template};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The kind of the workload that a pod is of which nothing else takes care.
const KIND: &str = "Pod";
/// The volume that holds what environments are filled in from; no container mounts it.
const ENV_VOLUME: &str = "plenum-env";
/// How long a pod may hold its room before it is bound and what it refers to is there.
const HELD_MS: u64 = 24 * 3600 * 1000;

/// What the adapter's configuration says of pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The runtime that runs their containers.
    pub runtime: String,
}

/// A file of the claim, before its bytes are kept.
#[derive(Clone, PartialEq, Eq)]
pub struct FileDraft {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its path in the volume.
    pub target: String,
    /// The volume.
    pub volume: String,
    /// Permission bits.
    pub mode: u32,
    /// Whether its bytes are secret.
    pub secret: bool,
}

impl std::fmt::Debug for FileDraft {
    /// Without the bytes, which may be secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{} ({} bytes)", self.volume, self.target, self.bytes.len())
    }
}

/// What a pod becomes.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    /// What to run.
    pub spec: TaskSpec,
    /// Files in the order in which the claim names them.
    pub files: Vec<FileDraft>,
    /// Host ports.
    pub ports: Vec<PortAsk>,
    /// What is not there yet. While it is not empty the task must not be started.
    pub missing: Vec<Missing>,
}

impl Draft {
    /// A text that stands for these bytes and does not show them.
    pub(super) fn secret_text(&mut self, bytes: &[u8]) -> Template {
        let kept = self
            .files
            .iter()
            .position(|f| f.volume == ENV_VOLUME && f.bytes == bytes);
        let index = kept.unwrap_or_else(|| {
            self.files.push(FileDraft {
                bytes: bytes.to_vec(),
                target: format!("{}", self.files.len()),
                volume: ENV_VOLUME.to_owned(),
                mode: 0o400,
                secret: true,
            });
            self.files.len() - 1
        });
        // the broker refuses a claim with so many files
        Template::fill(Placeholder::File(u16::try_from(index).unwrap_or(u16::MAX)))
    }
}

/// Lowers a pod.
///
/// # Errors
/// The first thing of it that is not served.
pub fn lower(pod: &Pod, sources: &Sources, settings: &Settings) -> Result<Draft, Refused> {
    let spec = pod
        .spec
        .as_ref()
        .ok_or_else(|| Refused::new("spec", "is missing"))?;
    check(spec)?;
    let mut draft = Draft::default();
    let host = spec.host_network == Some(true);
    draft.spec.network = if host { Network::Host } else { Network::Bridge };
    draft.spec.hostname = (!host).then(|| hostname(pod, spec));
    draft.spec.restart_unit = RestartUnit::Container;
    // what a kubelet takes: at once, then after 10 s, doubled up to 5 min; 10 min are a good run
    draft.spec.backoff = Backoff {
        base_ms: 10_000,
        cap_ms: 300_000,
        good_run_ms: 600_000,
        immediate: 1,
    };
    volumes::volumes(pod, spec, sources, &mut draft)?;
    for (part, role) in parts(spec) {
        let lowered = container(pod, spec, part, role, sources, settings, &mut draft)?;
        draft.spec.containers.push(lowered);
        draft.ports.extend(ports(part, host)?);
    }
    if draft.files.iter().any(|f| f.volume == ENV_VOLUME) {
        draft.spec.volumes.push(Volume {
            name: ENV_VOLUME.to_owned(),
            source: VolumeSource::Files,
        });
    }
    Ok(draft)
}

/// The containers in the order of the spec, with the parts they play.
fn parts(spec: &PodSpec) -> impl Iterator<Item = (&Container, Role)> {
    let inits = init_containers(spec).iter().map(|c| {
        let role = if is_sidecar(c) { Role::Sidecar } else { Role::Init };
        (c, role)
    });
    inits.chain(spec.containers.iter().map(|c| (c, Role::Main)))
}

/// At most 63 characters, as everywhere where hosts are named.
fn hostname(pod: &Pod, spec: &PodSpec) -> String {
    let given = spec.hostname.as_deref().unwrap_or_else(|| super::name(pod));
    let short: String = given.chars().take(63).collect();
    short.trim_end_matches(['-', '.']).to_owned()
}

/// The ports of the node that a container wants.
fn ports(container: &Container, host: bool) -> Result<Vec<PortAsk>, Refused> {
    let field = |what: &str| format!("ports of container {}: {what}", container.name);
    let wanted = container.ports.iter().flatten().filter_map(|p| {
        let port = p
            .host_port
            .filter(|p| *p != 0)
            .or_else(|| host.then_some(p.container_port))?;
        Some((p, port))
    });
    wanted
        .map(|(p, port)| {
            let number = |n: i32| u16::try_from(n).map_err(|_| Refused::new(field("port"), "is no port"));
            if !matches!(p.host_ip.as_deref(), None | Some("" | "0.0.0.0" | "::")) {
                return Err(Refused::unserved(field("hostIP")));
            }
            Ok(PortAsk {
                name: p.name.clone().unwrap_or_default(),
                protocol: match p.protocol.as_deref() {
                    None | Some("TCP") => Protocol::Tcp,
                    Some("UDP") => Protocol::Udp,
                    Some(_) => return Err(Refused::unserved(field("protocol"))),
                },
                host: HostPort::Fixed(number(port)?),
                container: Some(number(p.container_port)?),
            })
        })
        .collect()
}

/// A pod that can be claimed.
#[derive(Debug, Clone, PartialEq)]
pub struct Lowered {
    /// What to run.
    pub spec: Arc<TaskSpec>,
    /// Its content address.
    pub spec_id: SpecId,
    /// Its files, kept.
    pub files: Vec<FileRef>,
    /// Host ports.
    pub ports: Vec<PortAsk>,
    /// What is not there yet.
    pub missing: Vec<Missing>,
}

/// A pod by its uid, under the name of what users made: its Deployment, rather than the replica set of one version in
/// between; else what controls it; else itself.
fn workload(pod: &Pod) -> Workload {
    let meta = &pod.metadata;
    let mut owners = meta.owner_references.iter().flatten();
    let owner = owners.find(|o| o.controller == Some(true));
    let label = |key: &str| {
        let label = meta.labels.as_ref().and_then(|l| l.get(key));
        label.cloned().unwrap_or_default()
    };
    let (kind, name, version) = match owner {
        None => (KIND, super::name(pod), String::new()),
        Some(owner) => {
            let hash = label("pod-template-hash");
            let prefix = owner.name.strip_suffix(&hash).and_then(|n| n.strip_suffix('-'));
            match prefix.filter(|_| owner.kind == "ReplicaSet" && !hash.is_empty()) {
                Some(deployment) => ("Deployment", deployment, hash),
                None => (&*owner.kind, &*owner.name, label("controller-revision-hash")),
            }
        }
    };
    Workload {
        uid: super::uid(pod).to_owned(),
        name: format!("{}/{name}", super::namespace(pod)),
        kind: kind.to_owned(),
        version,
    }
}

/// What a claim for this pod says, held or running, where it may go left open.
///
/// # Errors
/// An amount that cannot be read.
pub fn terms(
    pod: &Pod,
    lowered: &Lowered,
    tenant: TenantPath,
    rules: Rules,
    started: bool,
) -> Result<Terms, Refused> {
    let spec = pod
        .spec
        .as_ref()
        .ok_or_else(|| Refused::new("spec", "is missing"))?;
    let mut labels: BTreeMap<String, String> = pod.metadata.labels.clone().unwrap_or_default();
    labels.insert(NAMESPACE.to_owned(), super::namespace(pod).to_owned());
    Ok(Terms {
        workload: workload(pod),
        tenant,
        charge: charge(spec)?,
        devices: BTreeMap::new(),
        ports: lowered.ports.clone(),
        spec: lowered.spec_id,
        labels,
        desired: if started {
            Desired::Running
        } else {
            Desired::Held { deadline_ms: HELD_MS }
        },
        rules,
        lost_after: place::unreachable_ms(spec).map_or(LostAfter::Never, LostAfter::Millis),
        priority: plenum_model::claim::Priority::default(),
        may_preempt: false,
        budget: None,
        files: lowered.files.clone(),
        keep_ended: 0,
    })
}

#[cfg(test)]
#[path = "lower_tests.rs"]
mod tests;
