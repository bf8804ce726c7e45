//! A service as it is kept: what users want, what they wanted before, and how its update goes.

use super::spec::{ServiceSpec, TaskTemplate};
use crate::ids;
use crate::store::{Desired, Record, Table};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How many versions of a task template are kept for the history.
const VERSIONS: usize = 12;

/// See the module's header.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceRecord {
    /// 25 characters; the uid of its workload.
    pub id: String,
    /// What is wanted.
    pub spec: ServiceSpec,
    /// What was wanted before, for a rollback.
    pub previous: Option<ServiceSpec>,
    /// How the update goes; none: nothing had to be replaced.
    pub update: Option<Update>,
    /// When the wanted version of tasks became the wanted one, in Unix milliseconds.
    pub version_since: u64,
    /// What tasks of a version run, by version, with the time it was last wanted.
    pub templates: BTreeMap<String, (u64, TaskTemplate)>,
    /// Unix milliseconds.
    pub created_at: u64,
    /// Unix milliseconds.
    pub updated_at: u64,
}

/// How an update goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// How far it is.
    pub state: UpdateState,
    /// Unix milliseconds.
    pub started_at: u64,
    /// Unix milliseconds.
    pub completed_at: Option<u64>,
    /// In words.
    pub message: String,
}

/// How far an update is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpdateState {
    /// Under way.
    Updating,
    /// Stopped by a failure.
    Paused,
    /// Done.
    Completed,
    /// The version before is under way.
    RollbackStarted,
    /// That failed, too.
    RollbackPaused,
    /// The version before is back.
    RollbackCompleted,
}

impl UpdateState {
    /// As clients read it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Updating => "updating",
            Self::Paused => "paused",
            Self::Completed => "completed",
            Self::RollbackStarted => "rollback_started",
            Self::RollbackPaused => "rollback_paused",
            Self::RollbackCompleted => "rollback_completed",
        }
    }
}

impl ServiceRecord {
    /// A new service.
    #[must_use]
    pub fn new(id: String, spec: ServiceSpec, now: u64) -> Self {
        let mut record = Self {
            id,
            spec,
            previous: None,
            update: None,
            version_since: now,
            templates: BTreeMap::new(),
            created_at: now,
            updated_at: now,
        };
        record.remember(now);
        record
    }

    /// The version of its tasks.
    #[must_use]
    pub fn version(&self) -> String {
        version(&self.spec)
    }

    /// What a task of this version runs.
    #[must_use]
    pub fn template(&self, version: &str) -> Option<&TaskTemplate> {
        self.templates
            .get(version)
            .map(|(_, t)| t)
            .or(self.spec.task.as_ref())
    }

    /// Puts another spec in place. Says whether tasks have to be replaced: not where it only says aloud what held
    /// before, as tools do that send back what they were given with all defaults filled in.
    pub fn set_spec(&mut self, mut spec: ServiceSpec, now: u64) -> bool {
        let before = self.version();
        if let (Some(had), Some(wanted)) = (&self.spec.task, &mut spec.task) {
            let alike = TaskTemplate {
                placement: wanted.placement.clone(),
                ..had.clone()
            };
            if alike.with_defaults() == wanted.with_defaults() {
                *wanted = alike;
            }
        }
        self.spec = spec;
        self.updated_at = now;
        self.remember(now);
        let dirty = self.version() != before;
        if dirty {
            self.version_since = now;
        }
        dirty
    }

    fn remember(&mut self, now: u64) {
        let version = self.version();
        let template = self.spec.task.clone().unwrap_or_default();
        self.templates.insert(version, (now, template));
        while self.templates.len() > VERSIONS {
            let oldest = self.templates.iter().min_by_key(|(_, (at, _))| *at);
            let Some(oldest) = oldest.map(|(v, _)| v.clone()) else {
                return;
            };
            self.templates.remove(&oldest);
        }
    }
}

/// The version of the tasks of a service: a digest of all that makes a running task another one. Where tasks
/// may run is not of it: a task whose node is still allowed stays.
#[must_use]
pub fn version(spec: &ServiceSpec) -> String {
    let mut task = spec.task.clone().unwrap_or_default();
    task.placement = None;
    let ports = spec.ports();
    let bytes = serde_json::to_vec(&(task, ports)).expect("plain data with text keys always serialises");
    ids::digest(&bytes)[..16].to_owned()
}

impl Record for ServiceRecord {
    const KIND: &'static str = "service";

    fn id(&self) -> &str {
        &self.id
    }

    fn table(desired: &mut Desired) -> &mut Table<Self> {
        &mut desired.services
    }
}
