//! Where what is wanted is kept: keys and values under the scheduler's own prefix of the state store.
//!
//! ```text
//! tree                       the version of the tree
//! app/<path>                 uid and newest version of an app
//! group/<path>               a group
//! version/<uid>/<ms>         one version of an app
//! past/<ms>                  which apps and groups the change that made this version of the tree replaced
//! was/<ms>/<path>            one of these apps, as it was
//! deployment/<id>            the plan of a deployment under way
//! ```
//!
//! A change writes all it touches in one transaction, whose compares name every record it was decided on: a
//! scheduler that was deposed without knowing it cannot write over what its successor wrote.

mod load;
mod shape;
mod txn;

pub use load::load;
pub use txn::Revisions;

use crate::change::Proposal;
use crate::desired::Desired;
use crate::path::AppId;
use crate::plan::Deployment;
use crate::stamp::Stamp;
use plenum_contract::state_store::{StateError, StateStore};
use shape::{
    StoredApp, StoredDeployment, StoredPast, StoredTree, TREE, app_key, deployment_key, group_key, past_key,
    version_key, was_key,
};
use txn::Txn;

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
    /// What another value speaks of is not there.
    #[error("state `{key}` is missing")]
    Missing {
        /// Its key.
        key: String,
    },
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
    if proposal.plan.is_empty() {
        return Ok(());
    }
    let mut txn = Txn::new(revisions);
    let version = proposal.desired.version;
    txn.put(TREE.to_owned(), &StoredTree { version });
    save_apps(&mut txn, proposal);
    for id in proposal.plan.groups.keys() {
        match proposal.desired.groups.get(id) {
            Some(group) => txn.put(group_key(id), group),
            None => txn.delete(group_key(id)),
        }
    }
    let past = proposal.plan.past();
    txn.put_free(past_key(version), &StoredPast::of(&past));
    for (id, app) in &past.apps {
        if let Some(app) = app {
            txn.put_free(was_key(version, id), &**app);
        }
    }
    for past in &proposal.dropped_past {
        txn.delete_free(past_key(past.version));
        forget(&mut txn, &proposal.desired, past.version, past.apps.keys());
    }
    for deployment in &proposal.cancelled {
        end(&mut txn, &proposal.desired, deployment);
    }
    if proposal.desired.deployment(&proposal.plan.id).is_some() {
        let deployment = StoredDeployment::of(&proposal.plan);
        txn.put(deployment_key(&proposal.plan.id), &deployment);
    }
    txn.commit(store).await
}

fn save_apps(txn: &mut Txn<'_>, proposal: &Proposal) {
    for id in &proposal.put {
        if let Some(record) = proposal.desired.app(id) {
            let app = &*record.app;
            let stored = StoredApp {
                uid: record.uid.clone(),
                app: app.clone(),
            };
            txn.put(app_key(id), &stored);
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
}

/// Removes a deployment that is done or cancelled; `after` is without it.
///
/// # Errors
/// As [`save`].
pub async fn end_deployment(
    store: &dyn StateStore,
    after: &Desired,
    deployment: &Deployment,
    revisions: &mut Revisions,
) -> Result<(), StateError> {
    let mut txn = Txn::new(revisions);
    end(&mut txn, after, deployment);
    txn.commit(store).await
}

fn end(txn: &mut Txn<'_>, after: &Desired, deployment: &Deployment) {
    let plan = &deployment.plan;
    txn.delete(deployment_key(&plan.id));
    forget(txn, after, plan.version, plan.apps.keys());
}

/// Lets go what the change of `version` replaced, unless the tree's history or a deployment still needs it.
fn forget<'a>(txn: &mut Txn<'_>, after: &Desired, version: Stamp, apps: impl Iterator<Item = &'a AppId>) {
    let in_history = after.history.iter().any(|p| p.version == version);
    let under_way = after.deployments.iter().any(|d| d.plan.version == version);
    if !in_history && !under_way {
        apps.for_each(|id| txn.delete_free(was_key(version, id)));
    }
}
