//! Files and secrets that assignments name, read from the state store for the agent that needs them. Their bytes
//! pass through here and nowhere else: not through the core, its facts or the view.

use bytes::Bytes;
use plenum_contract::dispatcher::{Assignment, DispatchError};
use plenum_contract::error::{Class, Classified};
use plenum_contract::state_store::{StateError, StateStore};
use plenum_model::ids::{NodeId, Revision, TaskId};

/// The value of `key` under the scheduler's own prefix as of `revision`, if the assignment names exactly that.
pub(super) async fn fetch(
    state: &dyn StateStore,
    assignment: Option<&Assignment>,
    node: &NodeId,
    task: TaskId,
    key: &str,
    revision: u64,
) -> Result<Bytes, DispatchError> {
    let named = assignment.filter(|a| {
        let mut files = a.terms.files.iter();
        files.any(|f| f.key == key && f.revision == revision)
    });
    let Some(assignment) = named else {
        return Err(DispatchError::NotFound {
            what: format!("file {key}@{revision} in an assignment of task {task} to node {node}"),
        });
    };
    // Where every scheduler's part of the store is.
    let whole = format!("schedulers/{}/{key}", assignment.scheduler);
    let value = as_of(state, &whole, Revision(revision)).await;
    value
        .map_err(|e| failed(key, &e))?
        .ok_or_else(|| DispatchError::NotFound {
            what: format!(
                "value of `{key}` at revision {revision} of {}",
                assignment.scheduler
            ),
        })
}

/// The value of a key at a revision; none if it had none then, or if nobody knows any more.
async fn as_of(state: &dyn StateStore, key: &str, at: Revision) -> Result<Option<Bytes>, StateError> {
    // Of all keys that start with the whole key, itself is the first.
    let kept = match state.list(key, Some(at), None, 1).await {
        Ok(page) => page.entries.into_iter().next(),
        // The past is gone, but what has not changed since is what it was.
        Err(StateError::Compacted { .. }) => state.get(key).await?,
        // A revision that is still to come has no values.
        Err(StateError::Invalid { .. }) => None,
        Err(e) => return Err(e),
    };
    Ok(kept.filter(|e| e.key == key && e.modified <= at).map(|e| e.value))
}

fn failed(key: &str, error: &StateError) -> DispatchError {
    match error.class() {
        Class::Retry | Class::Conflict => DispatchError::Unavailable {
            why: error.to_string(),
        },
        Class::Fatal => DispatchError::Refused {
            field: key.to_owned(),
            why: error.to_string(),
        },
    }
}
