//! What users want, whole: apps with their versions, and the deployments under way. A value; the desk makes
//! the next one of it, everybody else reads.

use crate::app::App;
use crate::path::AppId;
use crate::plan::{Deployment, Mode, Plan};
use crate::stamp::Stamp;
use plenum_model::ids::SessionEpoch;
use std::collections::{BTreeMap, BTreeSet};
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

/// Everything wanted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Desired {
    /// By id.
    pub apps: BTreeMap<AppId, Arc<AppRecord>>,
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

    /// Service ports of all apps but `except`.
    #[must_use]
    pub fn service_ports(&self, except: &AppId) -> BTreeSet<u16> {
        let others = self.apps.iter().filter(|(id, _)| *id != except);
        others
            .flat_map(|(_, record)| record.app.config.service_ports())
            .collect()
    }

    /// Whether apps live under `group`: then the group exists.
    #[must_use]
    pub fn has_group(&self, group: &AppId) -> bool {
        group.is_root() || self.apps.keys().any(|id| id != group && id.is_within(group))
    }

    /// A version that is newer than every version there is.
    #[must_use]
    pub fn next_version(&self, now: Stamp) -> Stamp {
        let newest = self.apps.values().map(|r| r.app.version).max();
        let planned = self.deployments.iter().map(|d| d.plan.version).max();
        newest.max(planned).map_or(now, |newest| now.after(newest))
    }
}
