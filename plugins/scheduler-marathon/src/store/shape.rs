//! Keys, and the values that are stored under them.

use crate::app::App;
use crate::group::Group;
use crate::past::Past;
use crate::path::AppId;
use crate::plan::{GroupDifference, Plan};
use crate::stamp::Stamp;
use plenum_model::ids::TaskId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

pub(super) const TREE: &str = "tree";
pub(super) const APPS: &str = "app";
pub(super) const GROUPS: &str = "group";
pub(super) const VERSIONS: &str = "version/";
pub(super) const PAST: &str = "past/";
pub(super) const WAS: &str = "was/";
pub(super) const DEPLOYMENTS: &str = "deployment/";

pub(super) fn app_key(id: &AppId) -> String {
    format!("{APPS}{id}")
}

pub(super) fn group_key(id: &AppId) -> String {
    format!("{GROUPS}{id}")
}

pub(super) fn version_key(uid: &str, version: Stamp) -> String {
    format!("{VERSIONS}{uid}/{:015}", version.ms())
}

pub(super) fn past_key(version: Stamp) -> String {
    format!("{PAST}{:015}", version.ms())
}

pub(super) fn was_key(version: Stamp, id: &AppId) -> String {
    format!("{WAS}{:015}{id}", version.ms())
}

pub(super) fn deployment_key(id: &str) -> String {
    format!("{DEPLOYMENTS}{id}")
}

/// Which version the tree is at. Every change writes it, so no two writers can both believe to be the one.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredTree {
    pub(super) version: Stamp,
}

/// An app's record; its older versions stand under keys of their own.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredApp {
    pub(super) uid: String,
    pub(super) app: App,
}

/// A change; the apps as they were stand under keys of their own, since all of them may be too much for one.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredPast {
    pub(super) version: Stamp,
    /// The apps that it changed, and whether they were there before.
    pub(super) apps: BTreeMap<AppId, bool>,
    pub(super) groups: BTreeMap<AppId, Option<Group>>,
}

impl StoredPast {
    pub(super) fn of(past: &Past) -> Self {
        let was = |(id, app): (&AppId, &Option<_>)| (id.clone(), app.is_some());
        Self {
            version: past.version,
            apps: past.apps.iter().map(was).collect(),
            groups: past.groups.clone(),
        }
    }
}

/// A deployment under way; the apps before it stand with the change that began it, those after it are the
/// apps as they are.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredDeployment {
    pub(super) id: String,
    pub(super) version: Stamp,
    pub(super) apps: BTreeMap<AppId, StoredDifference>,
    pub(super) groups: BTreeMap<AppId, GroupDifference>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredDifference {
    /// Whether the app was there before.
    pub(super) was: bool,
    /// Whether it is there after.
    pub(super) stays: bool,
    pub(super) layer: u32,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) victims: BTreeSet<TaskId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) stopped_uid: Option<String>,
}

impl StoredDeployment {
    pub(super) fn of(plan: &Plan) -> Self {
        let apps = plan.apps.iter().map(|(id, d)| {
            let stored = StoredDifference {
                was: d.original.is_some(),
                stays: d.target.is_some(),
                layer: d.layer,
                victims: d.victims.clone(),
                stopped_uid: d.stopped_uid.clone(),
            };
            (id.clone(), stored)
        });
        Self {
            id: plan.id.clone(),
            version: plan.version,
            apps: apps.collect(),
            groups: plan.groups.clone(),
        }
    }
}
