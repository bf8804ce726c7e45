//! What to run. A spec is immutable, addressed by its content and shared by all tasks of a version.

use crate::ids::SpecId;
use crate::template::Template;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// What one task runs: containers that share a node, a network and a fate.
///
/// What came after the first form is left out of the text while it has its default: a spec that was written
/// down before keeps its content address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskSpec {
    /// At least one; the task runs while its main containers run.
    pub containers: Vec<ContainerSpec>,
    /// How the task is reached.
    pub network: Network,
    /// The host name inside; none: the runtime's own choice.
    pub hostname: Option<String>,
    /// What a restart in place starts again. More than one container needs [`RestartUnit::Container`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub restart_unit: RestartUnit,
    /// How long to wait before a restart in place.
    #[serde(default, skip_serializing_if = "is_default")]
    pub backoff: Backoff,
    /// What its containers share on disk or in memory. Made with the task, gone with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<Volume>,
}

impl TaskSpec {
    /// Whether its parts fit together. Said by the broker when it is claimed and by the agent when it comes.
    ///
    /// # Errors
    /// The first thing that does not, in words.
    pub fn shape(&self) -> Result<(), String> {
        match self.restart_unit {
            RestartUnit::Task => self.shape_alone(),
            RestartUnit::Container => self.shape_together(),
        }
    }

    fn shape_alone(&self) -> Result<(), String> {
        let needs = |what: &str| Err(format!("{what} need the restart unit container"));
        if self.containers.len() > 1 {
            return needs("several containers in one task");
        }
        if !self.volumes.is_empty() {
            return needs("volumes of the task");
        }
        let more = |c: &ContainerSpec| {
            c.role != Role::Main || !c.volumes.is_empty() || c.startup.is_some() || c.pre_stop.is_some()
        };
        if self.containers.iter().any(more) {
            return needs("roles, volumes, startup checks and stop hooks of a container");
        }
        Ok(())
    }

    fn shape_together(&self) -> Result<(), String> {
        let mut names = BTreeSet::new();
        for c in &self.containers {
            if c.probes.iter().chain(&c.startup).any(|p| p.told || p.once) {
                let which = format!("a probe of container {}", c.name);
                return Err(format!(
                    "{which} that is told or asked once needs the restart unit task"
                ));
            }
            if !is_label(&c.name) {
                return Err(format!("container name {:?}: {LABEL}", c.name));
            }
            if !names.insert(&c.name) {
                return Err(format!("there are two containers {}", c.name));
            }
            self.mounts_fit(c)?;
        }
        if !self.containers.iter().any(|c| c.role == Role::Main) {
            return Err("a task has at least one main container".to_owned());
        }
        let mut runtimes = self.containers.iter().map(|c| &c.runtime);
        let first = runtimes.next();
        if self.network == Network::Bridge && runtimes.any(|r| Some(r) != first) {
            return Err("containers that share an address run in one runtime".to_owned());
        }
        let mut volumes = BTreeSet::new();
        for volume in &self.volumes {
            if !is_label(&volume.name) {
                return Err(format!("volume name {:?}: {LABEL}", volume.name));
            }
            if !volumes.insert(&volume.name) {
                return Err(format!("there are two volumes {}", volume.name));
            }
        }
        Ok(())
    }

    fn mounts_fit(&self, c: &ContainerSpec) -> Result<(), String> {
        for mount in &c.volumes {
            let which = format!(
                "volume {} at {} of container {}",
                mount.volume, mount.target, c.name
            );
            if !self.volumes.iter().any(|v| v.name == mount.volume) {
                return Err(format!("{which}: the task has no such volume"));
            }
            if !mount.target.starts_with('/') {
                return Err(format!("{which}: it appears at an absolute path"));
            }
            if mount.sub_path.as_deref().is_some_and(|sub| !is_inner_path(sub)) {
                return Err(format!("{which}: its sub path is relative, without .."));
            }
        }
        Ok(())
    }
}

const LABEL: &str = "1 to 63 lower-case letters, digits, `-`, `_` and `.`, a letter or digit first";

fn is_label(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
    let first = name
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    first && name.len() <= 63 && name.bytes().all(inner)
}

/// Whether a path leads to something below where it is taken from, without a step up.
#[must_use]
pub fn is_inner_path(path: &str) -> bool {
    let fine = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains('\0');
    path.split('/').all(fine)
}

/// Whether a value is what an older form of the spec had without saying so.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl TaskSpec {
    /// The content address.
    #[must_use]
    pub fn id(&self) -> SpecId {
        let bytes = serde_json::to_vec(self).expect("plain data with text keys always serialises");
        SpecId(Sha256::digest(bytes).into())
    }
}

/// How a task is reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// The node's own network: a host port is the port the process binds.
    #[default]
    Host,
    /// An address of its own on the node; host ports are forwarded to container ports.
    Bridge,
}

/// What a restart in place starts again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestartUnit {
    /// The task: one container, whose restart is the task's next incarnation.
    #[default]
    Task,
    /// The container that ended, by its own policy, while the others run on and the task stays as it is. What
    /// each of them does is in [`crate::task::Observation::containers`]. The task ends when all its main
    /// containers have ended for good: as the first of them that failed, else with success.
    Container,
}

/// How long to wait before a restart in place: doubled from restart to restart in a row, up to a cap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Backoff {
    /// Milliseconds before the first restart.
    pub base_ms: u64,
    /// Milliseconds that are never exceeded.
    pub cap_ms: u64,
    /// A run of so many milliseconds ends a row of restarts.
    pub good_run_ms: u64,
    /// So many restarts in a row are made at once, before the first wait.
    #[serde(default)]
    pub immediate: u32,
}

impl Default for Backoff {
    /// Docker's own: 100 ms, doubled up to a minute; 10 s are a good run.
    fn default() -> Self {
        Self {
            base_ms: 100,
            cap_ms: 60_000,
            good_run_ms: 10_000,
            immediate: 0,
        }
    }
}

/// Something that the containers of a task share. It outlives their restarts in place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Unique within the task: lower-case letters, digits, `-`, `_` and `.`, at most 63.
    pub name: String,
    /// What it is.
    pub source: VolumeSource,
}

/// What a volume is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VolumeSource {
    /// A directory on the node's disk, empty at first, which everybody inside may write.
    Disk,
    /// The same in memory, at most so many bytes (none: the system's default).
    Memory(Option<u64>),
    /// The files of the claim that name this volume, as a directory that nobody can write.
    Files,
}

/// A volume of the task as one container sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeMount {
    /// Which volume.
    pub volume: String,
    /// Where it appears inside: an absolute path.
    pub target: String,
    /// Only this below it: a relative path without `..`, made as a directory where it is missing.
    pub sub_path: Option<String>,
    /// Whether it cannot be written here.
    pub read_only: bool,
}

/// The part a container plays in its task.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It is what the task is for.
    #[default]
    Main,
    /// It must end with success before the next one in the list, and every main one, is started. After a failure
    /// it is started again unless its policy is never; then the task fails.
    Init,
    /// In its place among the init containers it is started and, once its startup check has passed, the next one
    /// is. It is started again whenever it ended, and stopped after the main ones have ended.
    Sidecar,
}

/// What is done before a container is asked to stop. It counts against the grace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PreStop {
    /// A command inside the container, whatever it answers.
    Exec(Vec<Template>),
    /// So many milliseconds are let pass.
    SleepMs(u64),
}

/// One process tree.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// Unique within the task; `main` where the orchestrator has no name.
    pub name: String,
    /// The runtime that must run it (`process`, `docker`, `oci`).
    pub runtime: String,
    /// The image, for runtimes that have images.
    pub image: Option<Image>,
    /// Replaces the image's entry point; without an image, the start of the command line.
    pub entrypoint: Option<Vec<Template>>,
    /// Replaces the image's command; appended to the entry point.
    pub args: Option<Vec<Template>>,
    /// Environment, in order; a later one of the same name wins.
    pub env: Vec<(String, Template)>,
    /// Working directory; none: the image's, or the task's sandbox.
    pub workdir: Option<String>,
    /// User, as name or number, optionally with `:group`; none: the image's, or the agent's.
    pub user: Option<String>,
    /// Whether it has a terminal.
    pub tty: bool,
    /// Whether its standard input is open for attaching.
    pub stdin: bool,
    /// Upper bounds, enforced on the node. What is charged is said in the claim.
    pub caps: Caps,
    /// Bind mounts and temporary file systems.
    pub mounts: Vec<Mount>,
    /// Checks of its health.
    pub probes: Vec<Probe>,
    /// When it is started again in place.
    pub restart: Restart,
    /// The signal that asks it to stop; none: the image's, or `SIGTERM`.
    pub stop_signal: Option<String>,
    /// Milliseconds from that signal to `SIGKILL`.
    pub stop_grace_ms: u64,
    /// How much of its output is kept.
    pub logs: LogLimits,
    /// All capabilities and devices of the node.
    pub privileged: bool,
    /// Labels put on the container where the runtime has them.
    pub labels: BTreeMap<String, String>,
    /// The part it plays. All but main ones need [`RestartUnit::Container`], and so do the fields below.
    #[serde(default, skip_serializing_if = "is_default")]
    pub role: Role,
    /// Volumes of the task that it sees.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<VolumeMount>,
    /// A check that must pass once before the probes begin and the container counts as started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub startup: Option<Probe>,
    /// What is done before it is asked to stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pre_stop: Option<PreStop>,
    /// What its processes may more or less than usual. Needs no particular [`RestartUnit`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub confinement: Confinement,
}

/// What the processes of a container may more or less than the runtime lets them by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Confinement {
    /// Its own file system cannot be written; its mounts and volumes can.
    pub read_only_root: bool,
    /// They gain no privileges by what they execute.
    pub no_new_privileges: bool,
    /// Linux capabilities that are taken from them, without `CAP_`; `ALL` means each.
    pub dropped: BTreeSet<String>,
    /// Linux capabilities that they have beside what is left, without `CAP_`; `ALL` means each.
    pub added: BTreeSet<String>,
}

/// An image and when to fetch it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Name with tag or digest, or an image id.
    pub reference: String,
    /// When it is fetched.
    pub pull: Pull,
}

/// When an image is fetched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pull {
    /// When the node has none of that name.
    #[default]
    IfMissing,
    /// Before every start.
    Always,
    /// Never; a node without it cannot run the task.
    Never,
}

/// Upper bounds of one container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caps {
    /// Relative weight of processor time, in thousandths of a core.
    pub cpu_weight_millis: Option<u64>,
    /// Hard quota of processor time, in thousandths of a core.
    pub cpu_limit_millis: Option<u64>,
    /// Hard limit of memory, in bytes.
    pub memory_limit_bytes: Option<u64>,
    /// Hard limit of processes and threads.
    pub pids: Option<u64>,
}

/// Something mounted into a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Where it appears inside.
    pub target: String,
    /// What is mounted.
    pub source: MountSource,
    /// Whether it can be written.
    pub read_only: bool,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MountSource {
    /// A path of the node.
    Host(String),
    /// A volume of the runtime, by name.
    Volume(String),
    /// Memory, at most so many bytes (none: the system's default).
    Tmpfs(Option<u64>),
}

/// A check of a container's health.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// What is asked.
    pub check: Check,
    /// What a failure means.
    pub on_failure: OnFailure,
    /// Milliseconds before the first one.
    pub delay_ms: u64,
    /// Milliseconds between two.
    pub period_ms: u64,
    /// Milliseconds one may take.
    pub timeout_ms: u64,
    /// Failures in a row that count as failed.
    pub failures: u32,
    /// Successes in a row that count as passed.
    pub successes: u32,
    /// Milliseconds after the start during which failures do not count, unless it has passed before.
    pub grace_ms: u64,
    /// Whether how it goes is told in [`crate::task::Observation::checks`]. Needs [`RestartUnit::Task`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub told: bool,
    /// Whether it is asked no more once it has passed. Needs [`RestartUnit::Task`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub once: bool,
}

impl Probe {
    /// The check that the image names, if it names one; its runtime is asked every second how it goes.
    #[must_use]
    pub fn of_image(on_failure: OnFailure) -> Self {
        Self {
            check: Check::Image,
            on_failure,
            delay_ms: 0,
            period_ms: 1000,
            timeout_ms: 5000,
            failures: 1,
            successes: 1,
            grace_ms: 0,
            told: false,
            once: false,
        }
    }

    /// Whether it is the image's own check, of which it is not known before the container runs whether there is
    /// one.
    #[must_use]
    pub fn is_of_image(&self) -> bool {
        self.check == Check::Image
    }
}

/// What a probe asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// A command inside the container; exit code 0 passes.
    Exec(Vec<Template>),
    /// A GET; 200 to 399 passes.
    Http {
        /// Where.
        port: ProbePort,
        /// Path and query.
        path: String,
        /// Over TLS, not verified.
        tls: bool,
        /// Sent with it; `Host` replaces the address.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        headers: Vec<(String, String)>,
        /// The status codes that pass; empty: 200 to 399.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        statuses: Vec<u16>,
    },
    /// A connection that opens passes.
    Tcp {
        /// Where.
        port: ProbePort,
    },
    /// The check that the image names, which its runtime does; where it names none there is none. Its own
    /// numbers count; those of the probe say how often its runtime is asked.
    Image,
}

/// Where a probe asks. Written as a number, or as an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ProbePort {
    /// At the node's address, at the host port that was given to the n-th port of the claim.
    Claim(u16),
    /// At the task's own address (on the node's network: at the node's), whether it is published or not.
    Inside {
        /// The port there.
        inside: u16,
    },
}

/// What a failed probe means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// The task is reported not ready.
    Report,
    /// The container is started again, by its restart policy.
    Restart,
    /// The task fails; until the probe has passed, it is not ready.
    Fail,
}

impl OnFailure {
    /// Whether a task is ready only where such a probe passes.
    #[must_use]
    pub fn gates(self) -> bool {
        match self {
            Self::Report | Self::Fail => true,
            Self::Restart => false,
        }
    }
}

/// When a container is started again in place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Restart {
    /// Never: the orchestrator replaces the task.
    #[default]
    Never,
    /// After a failure, at most so many times (0: without bound), with exponential back-off.
    OnFailure {
        /// How often.
        max: u32,
    },
    /// Whenever it ended, with exponential back-off.
    Always,
}

/// How much output of a container is kept on its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLimits {
    /// Bytes of one file before it is rotated.
    pub max_bytes: u64,
    /// Files kept, the current one included.
    pub files: u32,
}

impl Default for LogLimits {
    /// 2 files of 10 MiB: enough to look back, and 1,000 tasks fit on a 20 GB disk.
    fn default() -> Self {
        Self {
            max_bytes: 10 << 20,
            files: 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_follows_the_content() {
        let a = TaskSpec {
            hostname: Some("a".into()),
            ..TaskSpec::default()
        };
        let mut b = a.clone();
        assert_eq!(a.id(), b.id());
        b.hostname = None;
        assert_ne!(a.id(), b.id());
    }

    #[test]
    fn what_came_later_does_not_move_the_address_of_an_older_spec() {
        let old = r#"{"containers":[{"name":"main","runtime":"process","image":null,"entrypoint":null,"args":null,
            "env":[],"workdir":null,"user":null,"tty":false,"stdin":false,"caps":{"cpu_weight_millis":null,
            "cpu_limit_millis":null,"memory_limit_bytes":null,"pids":null},"mounts":[],"probes":[{"check":
            {"http":{"port":1,"path":"/","tls":false}},"on_failure":"report","delay_ms":1,"period_ms":1,
            "timeout_ms":1,"failures":1,"successes":1,"grace_ms":0}],"restart":"never","stop_signal":null,
            "stop_grace_ms":1,"logs":{"max_bytes":1,"files":1},"privileged":false,"labels":{}}],
            "network":"host","hostname":null}"#;
        let spec: TaskSpec = serde_json::from_str(old).unwrap();
        let check = &spec.containers[0].probes[0].check;
        assert!(matches!(
            check,
            Check::Http {
                port: ProbePort::Claim(1),
                ..
            }
        ));
        let compact: String = old.split_whitespace().collect();
        assert_eq!(serde_json::to_string(&spec).unwrap(), compact);
    }
}
