//! A claim: a scheduler's request for room for a batch of tasks. What the tasks of a version share is said
//! once per group; what is a task's own stands in its seat.

use crate::amounts::Amounts;
use crate::ids::{NodeId, SpecId, TaskId, TenantPath};
use crate::rules::Rules;
use crate::spec::TaskSpec;
use crate::tally::Subject;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A batch of claims, durable as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClaimBatch {
    /// Specs the groups refer to. One that the session has sent before may be left out.
    pub specs: Vec<Arc<TaskSpec>>,
    /// The tasks.
    pub groups: Vec<ClaimGroup>,
    /// Place all or none.
    pub all_or_nothing: bool,
}

/// Tasks with the same terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimGroup {
    /// What they share.
    pub terms: Arc<Terms>,
    /// One per task.
    pub seats: Vec<Seat>,
}

/// What a task has of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seat {
    /// Made by the scheduler, see [`TaskId::derive`].
    pub id: TaskId,
    /// The orchestrator's own name of the task.
    pub name: String,
    /// The index of its slot within the workload.
    pub slot: u64,
    /// The predecessor whose room and ports are kept for this task. While that one holds them this one waits for
    /// them and goes nowhere else; a predecessor that is gone has nothing to keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<TaskId>,
    /// An exact node, instead of rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<Pin>,
}

impl Seat {
    /// A seat with neither predecessor nor pin.
    #[must_use]
    pub fn new(id: TaskId, name: impl Into<String>, slot: u64) -> Self {
        Self {
            id,
            name: name.into(),
            slot,
            replaces: None,
            pin: None,
        }
    }
}

/// An exact node with an immediate verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// Which node.
    pub node: NodeId,
    /// Even if the node is cordoned.
    #[serde(default)]
    pub past_cordon: bool,
}

/// What all tasks of a group share.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Terms {
    /// What they belong to.
    pub workload: Workload,
    /// Who is charged.
    pub tenant: TenantPath,
    /// What the ledger holds for each, its slot included.
    pub charge: Amounts,
    /// How many of each set of named things.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub devices: BTreeMap<String, u32>,
    /// Host ports.
    #[serde(default)]
    pub ports: Vec<PortAsk>,
    /// What to run.
    pub spec: SpecId,
    /// Labels, for rules of other tasks and for users.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// What shall be true of them.
    #[serde(default)]
    pub desired: Desired,
    /// Where they may and should go.
    #[serde(default)]
    pub rules: Rules,
    /// How long their node may be silent.
    #[serde(default)]
    pub lost_after: LostAfter,
    /// Rank within a tenant.
    #[serde(default)]
    pub priority: Priority,
    /// Whether others of lower priority may be preempted for them, within the tenant where theirs counts. What a
    /// tenant is guaranteed is taken back from those it was lent to whatever this says.
    #[serde(default)]
    pub may_preempt: bool,
    /// The group that must stay healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// Secrets and files by reference.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileRef>,
    /// How many ended tasks of the workload are remembered although never forgotten; 0: all.
    #[serde(default)]
    pub keep_ended: u32,
}

impl Terms {
    /// What rules of other tasks look at.
    #[must_use]
    pub fn subject(&self) -> Subject<'_> {
        Subject {
            workload: &self.workload.uid,
            version: &self.workload.version,
            labels: &self.labels,
        }
    }
}

/// What a task belongs to, in its orchestrator's own words.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Workload {
    /// Unique for ever within the scheduler.
    pub uid: String,
    /// The name users gave it.
    pub name: String,
    /// The kind of thing it is (`app`, `service`, `Deployment`).
    pub kind: String,
    /// The version that these tasks run.
    pub version: String,
}

/// What shall be true of a task.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Desired {
    /// Placed, charged and prepared, not started, at most so long: nobody may hold room idle for ever.
    Held {
        /// Milliseconds from the placement.
        deadline_ms: u64,
    },
    /// Running.
    #[default]
    Running,
    /// Stopped, charged its disk only.
    Stopped,
}

/// A host port that is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PortAsk {
    /// Its name, where the orchestrator has one.
    #[serde(default)]
    pub name: String,
    /// Which protocols hold it.
    #[serde(default)]
    pub protocol: Protocol,
    /// Which port of the node.
    #[serde(default)]
    pub host: HostPort,
    /// Where it leads inside; none: the same number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<u16>,
}

/// Which protocols hold a port.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
    /// Both.
    Both,
}

/// Which port of the node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostPort {
    /// Any of the node's range; the broker chooses.
    #[default]
    Dynamic,
    /// This one.
    Fixed(u16),
}

/// How long a task's node may be silent before the task counts as lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LostAfter {
    /// Never.
    Never,
    /// So many milliseconds.
    Millis(u64),
}

impl Default for LostAfter {
    /// Five minutes: what DC/OS takes to give an agent up (20 pings, 15 s apart).
    fn default() -> Self {
        Self::Millis(300_000)
    }
}

/// Rank within a tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Priority {
    /// Higher goes first.
    #[serde(default)]
    pub value: i32,
    /// The ancestor tenant within which it counts; none: its own tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<TenantPath>,
}

/// A group of which some must stay healthy: no more of it is preempted. Healthy is what runs and passes its readiness
/// checks, if it has any. Where its tasks disagree the highest number counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Budget {
    /// The group's name, within the scheduler.
    pub group: String,
    /// How many of it must stay healthy.
    pub min_healthy: u32,
}

/// A secret or file that the agent fetches before it prepares the task. Unless it is in a volume every container
/// of the task sees it, read-only; the bytes of a secret are in memory only on the node, and gone when the task has ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FileRef {
    /// The key in the state store, under the scheduler's prefix.
    pub key: String,
    /// The revision of the store as of which its value is taken.
    pub revision: u64,
    /// Where it appears inside: an absolute path, or one in the task's own directory. In a volume: its path there.
    pub target: String,
    /// Permission bits; the owner is root.
    pub mode: u32,
    /// Whether its bytes are secret.
    pub secret: bool,
    /// It is in this volume of the task (whose source is `Files`), and only where that is mounted. A volume that
    /// holds a secret is kept in memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<String>,
}

/// What may change on a live task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Amendment {
    /// What shall be true of it.
    Desired(Desired),
    /// All its labels.
    Labels(BTreeMap<String, String>),
    /// What the ledger holds for it; admitted again.
    Charge(Amounts),
    /// New revisions of its files.
    Files(Vec<FileRef>),
    /// Another image of the same container.
    Image {
        /// Which container.
        container: String,
        /// The image.
        reference: String,
    },
}
