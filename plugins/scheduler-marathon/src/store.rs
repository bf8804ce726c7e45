//! Where what is wanted is kept: keys and values under the scheduler's own prefix of the state store.
//!
//! ```text
//! app/<path>                 uid and newest version of an app
//! version/<uid>/<ms>         one version of it
//! deployment/<id>            the plan of a deployment under way
//! ```
//!
//! A change writes all it touches in one transaction, whose compares name every record it was decided on: a
//! scheduler that was deposed without knowing it cannot write over what its successor wrote.

use crate::app::App;
use crate::change::Proposal;
use crate::desired::{AppRecord, Desired};
use crate::path::AppId;
use crate::plan::{Deployment, Plan};
use crate::stamp::Stamp;
use bytes::Bytes;
use plenum_contract::state_store::{Compare, Entry, StateError, StateStore, Write};
use plenum_model::ids::Revision;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

const APPS: &str = "app";
const VERSIONS: &str = "version/";
const DEPLOYMENTS: &str = "deployment/";
/// Entries read at once: bounds the memory of a page at a few MiB.
const PAGE: usize = 500;

/// An app's record as it is stored; its older versions stand under keys of their own.
#[derive(Debug, Serialize, Deserialize)]
struct StoredApp {
    uid: String,
    app: App,
}

/// Which revision each record was last written at.
#[derive(Debug, Clone, Default)]
pub struct Revisions(BTreeMap<String, Revision>);

/// What is stored cannot be read, or the store cannot.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The store failed.
    #[error("cannot read what is wanted")]
    Store(#[from] StateError),
    /// A value is not what this version writes.
    #[error("state `{key}` does not read back")]
    Value {
        /// Its key.
        key: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// Reads everything that is wanted.
///
/// # Errors
/// See [`LoadError`].
pub async fn load(store: &dyn StateStore) -> Result<(Desired, Revisions), LoadError> {
    let mut revisions = Revisions::default();
    let mut versions: BTreeMap<String, BTreeMap<Stamp, Arc<App>>> = BTreeMap::new();
    for entry in list(store, VERSIONS).await? {
        let app: App = value(&entry)?;
        let uid = entry.key[VERSIONS.len()..]
            .rsplit_once('/')
            .map_or("", |(uid, _)| uid)
            .to_owned();
        versions
            .entry(uid)
            .or_default()
            .insert(app.version, Arc::new(app));
    }
    let mut desired = Desired::default();
    for entry in list(store, &format!("{APPS}/")).await? {
        let StoredApp { uid, app } = value(&entry)?;
        let app = Arc::new(app);
        let mut versions = versions.remove(&uid).unwrap_or_default();
        versions.insert(app.version, Arc::clone(&app));
        revisions.0.insert(entry.key, entry.modified);
        desired
            .apps
            .insert(app.id.clone(), Arc::new(AppRecord { uid, app, versions }));
    }
    let mut plans: Vec<(Stamp, Plan)> = Vec::new();
    for entry in list(store, DEPLOYMENTS).await? {
        let plan: Plan = value(&entry)?;
        revisions.0.insert(entry.key, entry.modified);
        plans.push((plan.version, plan));
    }
    plans.sort_by(|a, b| (a.0, &a.1.id).cmp(&(b.0, &b.1.id)));
    desired.deployments = plans
        .into_iter()
        .map(|(_, plan)| Arc::new(Deployment::begin(plan)))
        .collect();
    Ok((desired, revisions))
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

/// Writes what a proposal changes; durable when it returns.
///
/// # Errors
/// Those of the store; nothing was written then, or, if it is unavailable, nothing is known.
pub async fn save(
    store: &dyn StateStore,
    proposal: &Proposal,
    revisions: &mut Revisions,
) -> Result<(), StateError> {
    let mut txn = Txn::new(revisions);
    for id in &proposal.put {
        if let Some(record) = proposal.desired.app(id) {
            let app = &*record.app;
            txn.put(
                app_key(id),
                &StoredApp {
                    uid: record.uid.clone(),
                    app: app.clone(),
                },
            );
            txn.put_free(version_key(&record.uid, app.version), app);
        }
    }
    for record in &proposal.removed {
        if !proposal.put.contains(&record.app.id) {
            txn.delete(app_key(&record.app.id));
        }
        for version in record.versions.keys() {
            txn.delete_free(version_key(&record.uid, *version));
        }
    }
    for (uid, version) in &proposal.dropped_versions {
        txn.delete_free(version_key(uid, *version));
    }
    for deployment in &proposal.cancelled {
        txn.delete(deployment_key(&deployment.plan.id));
    }
    if !proposal.plan.apps.is_empty() {
        txn.put(deployment_key(&proposal.plan.id), &proposal.plan);
    }
    txn.commit(store).await
}

/// Removes deployments that are done or cancelled.
///
/// # Errors
/// As [`save`].
pub async fn end_deployment(
    store: &dyn StateStore,
    id: &str,
    revisions: &mut Revisions,
) -> Result<(), StateError> {
    let mut txn = Txn::new(revisions);
    txn.delete(deployment_key(id));
    txn.commit(store).await
}

fn app_key(id: &AppId) -> String {
    format!("{APPS}{id}")
}

fn version_key(uid: &str, version: Stamp) -> String {
    format!("{VERSIONS}{uid}/{:015}", version.ms())
}

fn deployment_key(id: &str) -> String {
    format!("{DEPLOYMENTS}{id}")
}

/// A transaction in the making.
struct Txn<'a> {
    known: &'a mut Revisions,
    compares: Vec<Compare>,
    writes: Vec<Write>,
}

impl<'a> Txn<'a> {
    fn new(known: &'a mut Revisions) -> Self {
        Self {
            known,
            compares: Vec::new(),
            writes: Vec::new(),
        }
    }

    /// Compares with what was last seen of the key.
    fn expect(&mut self, key: &str) {
        self.compares.push(match self.known.0.get(key) {
            Some(revision) => Compare::ModifiedAt(key.to_owned(), *revision),
            None => Compare::Absent(key.to_owned()),
        });
    }

    fn put(&mut self, key: String, value: &impl Serialize) {
        self.expect(&key);
        self.put_free(key, value);
    }

    /// Without a compare: keys that no other writer can mean, since the uid in them is unique.
    fn put_free(&mut self, key: String, value: &impl Serialize) {
        let bytes = serde_json::to_vec(value).expect("plain data with text keys always serialises");
        self.writes.push(Write::Put(key, Bytes::from(bytes)));
    }

    fn delete(&mut self, key: String) {
        if self.known.0.contains_key(&key) {
            self.expect(&key);
        }
        self.delete_free(key);
    }

    fn delete_free(&mut self, key: String) {
        self.writes.push(Write::Delete(key));
    }

    async fn commit(self, store: &dyn StateStore) -> Result<(), StateError> {
        let Self {
            known,
            compares,
            writes,
        } = self;
        if writes.is_empty() {
            return Ok(());
        }
        let touched: Vec<(String, bool)> = writes
            .iter()
            .map(|w| match w {
                Write::Put(key, _) => (key.clone(), true),
                Write::Delete(key) => (key.clone(), false),
            })
            .collect();
        let revision = store.txn(compares, writes).await?;
        for (key, there) in touched {
            if there && !key.starts_with(VERSIONS) {
                known.0.insert(key, revision);
            } else {
                known.0.remove(&key);
            }
        }
        Ok(())
    }
}
