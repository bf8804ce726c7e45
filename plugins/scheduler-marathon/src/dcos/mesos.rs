//! The words of Mesos that several of its shapes use: resources, names, states and how many there are of each. They
//! borrow from what the pool said, so that the state of ten thousand tasks is written without being copied first.

use crate::config::KIND;
use crate::instance::{Condition, State, condition};
use crate::path::AppId;
use plenum_model::amounts::Amounts;
use plenum_model::ids::TaskId;
use plenum_model::task::Task;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use uuid::Uuid;

/// The Mesos of the DC/OS that this door behaves like.
pub(super) const VERSION: &str = "1.8.1";
/// Nobody but Plenum divides machines into roles.
pub(super) const ROLE: &str = "*";

/// Unix seconds.
#[derive(Serialize)]
#[serde(transparent)]
pub(super) struct Seconds(f64);

impl Seconds {
    /// From Unix milliseconds.
    #[allow(clippy::cast_precision_loss)] // exact for the next quarter of a million years
    pub(super) fn of_ms(ms: u64) -> Self {
        Self(ms as f64 / 1000.0)
    }

    /// The number.
    pub(super) fn value(self) -> f64 {
        self.0
    }
}

/// Amounts in cores and MiB, with host ports.
#[derive(Serialize)]
pub(super) struct Resources {
    cpus: f64,
    mem: f64,
    disk: f64,
    gpus: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ports: Option<String>,
}

impl Resources {
    /// Amounts without ports.
    #[allow(clippy::cast_precision_loss)] // counts far below 2^53
    pub(super) fn of(amounts: &Amounts) -> Self {
        const MIB: f64 = 1_048_576.0;
        Self {
            cpus: amounts.cpu_millis as f64 / 1000.0,
            mem: amounts.memory_bytes as f64 / MIB,
            disk: amounts.disk_bytes as f64 / MIB,
            gpus: 0.0,
            ports: None,
        }
    }

    /// With so many gpus.
    pub(super) fn with_devices(self, gpus: usize) -> Self {
        #[allow(clippy::cast_precision_loss)] // a handful
        let gpus = gpus as f64;
        Self { gpus, ..self }
    }

    /// With these ranges of host ports, both ends included.
    pub(super) fn with_ports(self, ranges: impl IntoIterator<Item = (u16, u16)>) -> Self {
        let ranges: Vec<String> = ranges
            .into_iter()
            .map(|(low, high)| format!("{low}-{high}"))
            .collect();
        let ports = (!ranges.is_empty()).then(|| format!("[{}]", ranges.join(", ")));
        Self { ports, ..self }
    }
}

/// The set of devices that Mesos knows as gpus.
pub(super) const GPU: &str = "gpu";

/// What runs a task, by the name under which logs and processes of it are asked for.
pub(super) fn container_id(id: TaskId) -> String {
    Uuid::from_bytes(id.0).hyphenated().to_string()
}

/// The task that such a name means.
pub(super) fn task_of_container(text: &str) -> Option<TaskId> {
    Uuid::try_parse(text).ok().map(|id| TaskId(id.into_bytes()))
}

/// The name of a task in service discovery: for Marathon's own the app's path from its end.
pub(super) fn task_name(kind: &str, task: &Task) -> String {
    let name = &task.terms.workload.name;
    if kind == KIND {
        AppId::from_root(name).reversed()
    } else {
        name.clone()
    }
}

/// The state in which Mesos would have a task; none while it has no node, of which Mesos knows nothing.
pub(super) fn state_of(task: &Task) -> Option<State> {
    match condition(task) {
        Condition::Scheduled => None,
        Condition::Active(state) | Condition::Ended(state) => Some(state),
    }
}

/// Whether a task belongs to the completed ones.
pub(super) fn is_over(task: &Task) -> bool {
    matches!(condition(task), Condition::Ended(_))
}

/// An object without keys.
#[derive(Serialize)]
pub(super) struct Empty {}

/// The sum, which the ledger keeps within what a node has.
pub(super) fn held<'a>(parts: impl IntoIterator<Item = &'a Amounts>) -> Amounts {
    parts.into_iter().fold(Amounts::default(), |sum, part| {
        sum.checked_add(part).unwrap_or(sum)
    })
}

/// How many tasks are in each state, under the names of the states.
#[derive(Default, Clone)]
pub(super) struct Counts(BTreeMap<&'static str, u32>);

/// Every state that Mesos counts.
const STATES: [&str; 14] = [
    "TASK_STAGING",
    "TASK_STARTING",
    "TASK_RUNNING",
    "TASK_KILLING",
    "TASK_FINISHED",
    "TASK_KILLED",
    "TASK_FAILED",
    "TASK_LOST",
    "TASK_ERROR",
    "TASK_GONE",
    "TASK_GONE_BY_OPERATOR",
    "TASK_DROPPED",
    "TASK_UNREACHABLE",
    "TASK_UNKNOWN",
];

impl Counts {
    /// Counts a task, if it has a state.
    pub(super) fn add(&mut self, task: &Task) {
        let Some(state) = state_of(task) else { return };
        let name = match state {
            State::TaskStaging => "TASK_STAGING",
            State::TaskStarting => "TASK_STARTING",
            State::TaskRunning => "TASK_RUNNING",
            State::TaskKilling => "TASK_KILLING",
            State::TaskUnreachable => "TASK_UNREACHABLE",
            State::TaskFinished => "TASK_FINISHED",
            State::TaskFailed => "TASK_FAILED",
            State::TaskKilled => "TASK_KILLED",
            State::TaskGone => "TASK_GONE",
            State::TaskError => "TASK_ERROR",
        };
        *self.0.entry(name).or_default() += 1;
    }
}

impl Serialize for Counts {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_map(
            STATES
                .iter()
                .map(|name| (name, self.0.get(name).copied().unwrap_or(0))),
        )
    }
}
