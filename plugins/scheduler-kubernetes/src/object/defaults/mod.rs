//! What the real server fills in where an object says nothing.

mod admission;
mod container;
mod pod;
mod set;
mod workload;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::schema::Kind;
use set::put;

pub use admission::{UnknownPriorityClass, job_selector, node_tolerations, priority, quality_of_service};

/// Fills in the kind's defaults, as they are set whenever an object is read or written. The object is one that was
/// decoded as of this kind. Done twice is done once.
pub fn fill(kind: &Kind, object: &mut Value) {
    match (kind.group, kind.kind) {
        ("", "Pod") => pod::pod(object),
        ("apps", "Deployment") => workload::deployment(object),
        ("apps", "ReplicaSet") => workload::replica_set(object),
        ("batch", "Job") => workload::job(object),
        ("", "Secret") => secret(object),
        ("", "Namespace") => namespace(object),
        ("", "Node") => node(object),
        ("authentication.k8s.io", "TokenRequest") => {
            put(&mut object["spec"], "expirationSeconds", json!(3600))
        }
        _ => {}
    }
}

/// Text that was given as such joins the data.
fn secret(secret: &mut Value) {
    put(secret, "type", json!("Opaque"));
    let Some(fields) = secret.as_object_mut() else {
        return;
    };
    let Some(Value::Object(texts)) = fields.remove("stringData") else {
        return;
    };
    for (key, text) in texts {
        fields.entry("data").or_insert_with(|| json!({}))[key] =
            json!(STANDARD.encode(text.as_str().unwrap_or("")));
    }
}

fn namespace(namespace: &mut Value) {
    if let Some(name) = namespace["metadata"]["name"].as_str().map(str::to_owned) {
        put(&mut namespace["metadata"], "labels", json!({}));
        put(
            &mut namespace["metadata"]["labels"],
            "kubernetes.io/metadata.name",
            json!(name),
        );
    }
}

fn node(node: &mut Value) {
    if let Some(capacity) = node["status"].get("capacity").cloned() {
        put(&mut node["status"], "allocatable", capacity);
    }
}

#[cfg(test)]
mod tests;
