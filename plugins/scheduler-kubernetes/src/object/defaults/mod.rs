//! What the real server fills in where an object says nothing.

use serde_json::Value;

use super::schema::Kind;

/// Fills in the kind's defaults, as they are set whenever an object is read or written.
pub fn fill(kind: &Kind, object: &mut Value) {
    let _ = (kind, object);
}

/// The selector and the labels that a new job gets from its uid, unless it has `manualSelector`.
pub fn job_selector(job: &mut Value, uid: &str) {
    let _ = (job, uid);
}

/// The tolerations of 300 seconds for nodes that are not ready or unreachable, which each new pod gets at admission.
pub fn node_tolerations(pod: &mut Value) {
    let _ = pod;
}
