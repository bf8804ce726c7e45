//! Reading everything that is wanted, whole.

use super::LoadError;
use super::shape::{
    APPS, DEPLOYMENTS, GROUPS, PAST, StoredApp, StoredDeployment, StoredPast, StoredTree, TREE, VERSIONS,
    WAS, app_key, was_key,
};
use super::txn::Revisions;
use crate::app::App;
use crate::desired::{AppRecord, Desired};
use crate::group::Group;
use crate::past::Past;
use crate::path::AppId;
use crate::plan::{Deployment, Difference, Plan};
use crate::stamp::Stamp;
use plenum_contract::state_store::{Entry, StateError, StateStore};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Entries read at once: bounds the memory of a page at a few MiB.
const PAGE: usize = 500;

/// Reads everything that is wanted.
///
/// # Errors
/// See [`LoadError`].
pub async fn load(store: &dyn StateStore) -> Result<(Desired, Revisions), LoadError> {
    let mut revisions = Revisions::default();
    let mut desired = Desired::default();
    if let Some(entry) = store.get(TREE).await? {
        let StoredTree { version } = value(&entry)?;
        desired.version = version;
        revisions.0.insert(entry.key, entry.modified);
    }
    apps(store, &mut desired, &mut revisions).await?;
    for entry in list(store, &format!("{GROUPS}/")).await? {
        let group: Group = value(&entry)?;
        let id = AppId::from_root(&entry.key[GROUPS.len()..]);
        desired.groups.insert(id, group);
        revisions.0.insert(entry.key, entry.modified);
    }
    let bodies = bodies(store, &desired).await?;
    for entry in list(store, PAST).await? {
        let stored: StoredPast = value(&entry)?;
        desired.history.push(Arc::new(past(stored, &bodies)?));
    }
    let mut plans = Vec::new();
    for entry in list(store, DEPLOYMENTS).await? {
        let stored: StoredDeployment = value(&entry)?;
        plans.push(plan(stored, &bodies, &desired)?);
        revisions.0.insert(entry.key, entry.modified);
    }
    plans.sort_by(|a, b| (a.version, &a.id).cmp(&(b.version, &b.id)));
    let deployments = plans.into_iter().map(|plan| Arc::new(Deployment::begin(plan)));
    desired.deployments = deployments.collect();
    Ok((desired, revisions))
}

/// The apps with their versions, and the groups that they are in.
async fn apps(
    store: &dyn StateStore,
    desired: &mut Desired,
    revisions: &mut Revisions,
) -> Result<(), LoadError> {
    let mut versions: BTreeMap<String, BTreeMap<Stamp, Arc<App>>> = BTreeMap::new();
    for entry in list(store, VERSIONS).await? {
        let app: App = value(&entry)?;
        let key = &entry.key[VERSIONS.len()..];
        let uid = key.rsplit_once('/').map_or("", |(uid, _)| uid).to_owned();
        versions
            .entry(uid)
            .or_default()
            .insert(app.version, Arc::new(app));
    }
    for entry in list(store, &format!("{APPS}/")).await? {
        let StoredApp { uid, app } = value(&entry)?;
        let mut versions = versions.remove(&uid).unwrap_or_default();
        let app = Arc::clone(versions.entry(app.version).or_insert_with(|| Arc::new(app)));
        revisions.0.insert(entry.key, entry.modified);
        desired.version = desired.version.max(app.version);
        for group in app.id.ancestors() {
            desired.groups.entry(group).or_default();
        }
        let record = AppRecord {
            uid,
            app: Arc::clone(&app),
            versions,
        };
        desired.apps.insert(app.id.clone(), Arc::new(record));
    }
    Ok(())
}

/// Apps as they were before a change, by their keys; those that are a kept version too are shared with it.
async fn bodies(store: &dyn StateStore, desired: &Desired) -> Result<BTreeMap<String, Arc<App>>, LoadError> {
    let mut bodies = BTreeMap::new();
    for entry in list(store, WAS).await? {
        let app: App = value(&entry)?;
        let kept = desired.app(&app.id).and_then(|r| r.versions.get(&app.version));
        let app = match kept.filter(|kept| ***kept == app) {
            Some(kept) => Arc::clone(kept),
            None => Arc::new(app),
        };
        bodies.insert(entry.key, app);
    }
    Ok(bodies)
}

fn body(bodies: &BTreeMap<String, Arc<App>>, version: Stamp, id: &AppId) -> Result<Arc<App>, LoadError> {
    let key = was_key(version, id);
    match bodies.get(&key) {
        Some(app) => Ok(Arc::clone(app)),
        None => Err(LoadError::Missing { key }),
    }
}

fn past(stored: StoredPast, bodies: &BTreeMap<String, Arc<App>>) -> Result<Past, LoadError> {
    let mut apps = BTreeMap::new();
    for (id, was) in stored.apps {
        let app = was.then(|| body(bodies, stored.version, &id)).transpose()?;
        apps.insert(id, app);
    }
    Ok(Past {
        version: stored.version,
        apps,
        groups: stored.groups,
    })
}

fn plan(
    stored: StoredDeployment,
    bodies: &BTreeMap<String, Arc<App>>,
    desired: &Desired,
) -> Result<Plan, LoadError> {
    let mut apps = BTreeMap::new();
    for (id, difference) in stored.apps {
        let original = difference
            .was
            .then(|| body(bodies, stored.version, &id))
            .transpose()?;
        let target = match (difference.stays, desired.app(&id)) {
            (true, Some(record)) => Some(Arc::clone(&record.app)),
            (true, None) => return Err(LoadError::Missing { key: app_key(&id) }),
            (false, _) => None,
        };
        let difference = Difference {
            original,
            target,
            victims: difference.victims,
            stopped_uid: difference.stopped_uid,
            layer: difference.layer,
        };
        apps.insert(id, difference);
    }
    Ok(Plan {
        id: stored.id,
        version: stored.version,
        apps,
        groups: stored.groups,
    })
}

async fn list(store: &dyn StateStore, prefix: &str) -> Result<Vec<Entry>, StateError> {
    let mut all: Vec<Entry> = Vec::new();
    let mut at = None;
    loop {
        let after = all.last().map(|e| e.key.clone());
        let page = store.list(prefix, at, after.as_deref(), PAGE).await?;
        at = Some(page.revision);
        all.extend(page.entries);
        if !page.more {
            return Ok(all);
        }
    }
}

fn value<T: DeserializeOwned>(entry: &Entry) -> Result<T, LoadError> {
    serde_json::from_slice(&entry.value).map_err(|source| LoadError::Value {
        key: entry.key.clone(),
        source,
    })
}
