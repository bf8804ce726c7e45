//! What users want, whole: apps with their versions, groups, and the deployments under way. A value; the desk makes
//! the next one of it, everybody else reads.

use crate::app::App;
use crate::group::Group;
use crate::past::{Past, Tree};
use crate::path::AppId;
use crate::plan::{Deployment, Mode, Plan};
use crate::stamp::Stamp;
use plenum_model::ids::SessionEpoch;
use plenum_model::task::Task;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One app.
#[derive(Debug, Clone, PartialEq)]
pub struct AppRecord {
    /// What its tasks belong to: unique for ever, so that an app that is deleted and made again is another.
    pub uid: String,
    /// Its newest version.
    pub app: Arc<App>,
    /// All versions kept, the newest included.
    pub versions: BTreeMap<Stamp, Arc<App>>,
}

impl AppRecord {
    /// The app in the configuration that `task` runs; as it is now if that version is not kept any more.
    #[must_use]
    pub fn app_of(&self, task: &Task) -> &App {
        let version = &task.terms.workload.version;
        let runs = |app: &&Arc<App>| app.config_version().to_string() == *version;
        if runs(&&self.app) {
            return &self.app;
        }
        self.versions.values().rev().find(runs).unwrap_or(&self.app)
    }
}

/// Everything wanted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Desired {
    /// The version of the tree: raised by every change.
    pub version: Stamp,
    /// By id.
    pub apps: BTreeMap<AppId, Arc<AppRecord>>,
    /// By id: every group that an app or another group is in, and those that users made; the root only if it
    /// has dependencies.
    pub groups: BTreeMap<AppId, Group>,
    /// The newest changes, oldest first.
    pub history: Vec<Arc<Past>>,
    /// In the order in which they began.
    pub deployments: Vec<Arc<Deployment>>,
    /// The session of the broker in which this was read: another instance of the scheduler may have written
    /// between two sessions, so a planner acts on nothing that was read before its own.
    pub read_in: Option<SessionEpoch>,
}

impl Desired {
    /// One app.
    #[must_use]
    pub fn app(&self, id: &AppId) -> Option<&Arc<AppRecord>> {
        self.apps.get(id)
    }

    /// The deployment of that id.
    #[must_use]
    pub fn deployment(&self, id: &str) -> Option<&Arc<Deployment>> {
        self.deployments.iter().find(|d| d.plan.id == id)
    }

    /// The deployments that change `app`; their ids are shown with it.
    pub fn deployments_of<'a>(&'a self, app: &'a AppId) -> impl Iterator<Item = &'a Arc<Deployment>> {
        self.deployments
            .iter()
            .filter(move |d| d.plan.apps.contains_key(app))
    }

    /// What is wanted of `app` at the moment.
    #[must_use]
    pub fn mode(&self, app: &AppId) -> Mode {
        self.deployments
            .iter()
            .find_map(|d| d.mode(app))
            .unwrap_or(Mode::Keep)
    }

    /// The deployments that `plan` collides with.
    #[must_use]
    pub fn conflicts(&self, plan: &Plan) -> Vec<String> {
        let hit = self.deployments.iter().filter(|d| d.plan.conflicts_with(plan));
        hit.map(|d| d.plan.id.clone()).collect()
    }

    /// Whether there is such a group; the root always is.
    #[must_use]
    pub fn has_group(&self, group: &AppId) -> bool {
        group.is_root() || self.groups.contains_key(group)
    }

    /// All that lies under `group`, the group itself included.
    pub fn groups_within<'a>(&'a self, group: &'a AppId) -> impl Iterator<Item = &'a AppId> {
        within(&self.groups, group)
    }

    /// The apps under `group`, at any depth.
    pub fn apps_within<'a>(&'a self, group: &'a AppId) -> impl Iterator<Item = &'a AppId> {
        within(&self.apps, group)
    }

    /// A version that is newer than every version there is.
    #[must_use]
    pub fn next_version(&self, now: Stamp) -> Stamp {
        now.after(self.version)
    }

    /// The tree as it is.
    #[must_use]
    pub fn tree(&self) -> Tree {
        let app = |(id, record): (&AppId, &Arc<AppRecord>)| (id.clone(), Arc::clone(&record.app));
        Tree {
            version: self.version,
            apps: self.apps.iter().map(app).collect(),
            groups: self.groups.clone(),
        }
    }

    /// The versions of the tree that are kept and in which `group` is there, newest first.
    #[must_use]
    pub fn versions_of(&self, group: &AppId) -> Vec<Stamp> {
        let there = self.tree().back(&self.history).filter(|t| t.has_group(group));
        there.map(|t| t.version).collect()
    }

    /// The tree as it was at `version`, if that is kept.
    #[must_use]
    pub fn tree_at(&self, version: Stamp) -> Option<Tree> {
        self.tree().back(&self.history).find(|t| t.version == version)
    }
}

fn within<'a, T>(map: &'a BTreeMap<AppId, T>, group: &'a AppId) -> impl Iterator<Item = &'a AppId> {
    map.range(group..)
        .map(|(id, _)| id)
        .take_while(move |id| id.is_within(group))
}
