//! What the server says it serves: in one piece for clients that ask so, else in lists; and the OpenAPI documents
//! from which clients learn that the server checks fields itself, and people what each field means.

mod aggregated;
mod openapi;
mod plain;
mod schemas;

pub use aggregated::answer as aggregated;
pub use openapi::{document, index, second};
pub use plain::{groups, resources, versions};

use super::kinds::{self, Resource, Subresource};
use super::request::target::Question;

/// The version of Kubernetes whose API this is.
pub const VERSION: (&str, &str, &str) = ("1", "33", "v1.33.1+plenum");

/// The groups and their versions, the core group first.
#[must_use]
pub fn group_versions() -> Vec<(&'static str, &'static str)> {
    let mut found: Vec<(&str, &str)> = Vec::new();
    let kinds = kinds::ALL.iter().map(|r| (r.group, r.version));
    for pair in kinds.chain(Question::ALL.iter().map(|q| (q.group(), "v1"))) {
        if !found.contains(&pair) {
            found.push(pair);
        }
    }
    found
}

/// The verbs of a kind.
fn verbs(resource: &Resource) -> Vec<&'static str> {
    let mut verbs = vec!["create", "delete"];
    if resource.delete_collection {
        verbs.push("deletecollection");
    }
    verbs.extend(["get", "list", "patch", "update", "watch"]);
    verbs
}

/// What discovery says of a subresource: its verbs, and its kind where that is not the object's.
fn under(
    subresource: Subresource,
) -> (
    &'static [&'static str],
    Option<(&'static str, &'static str, &'static str)>,
) {
    match subresource {
        Subresource::Status => (&["get", "patch", "update"], None),
        Subresource::Scale => (&["get", "patch", "update"], Some(("autoscaling", "v1", "Scale"))),
        Subresource::Finalize => (&["update"], None),
        Subresource::Binding => (&["create"], Some(("", "v1", "Binding"))),
        Subresource::Eviction => (&["create"], Some(("policy", "v1", "Eviction"))),
        Subresource::Log => (&["get"], None),
        Subresource::Exec => (&["create", "get"], Some(("", "v1", "PodExecOptions"))),
        Subresource::Attach => (&["create", "get"], Some(("", "v1", "PodAttachOptions"))),
        Subresource::PortForward => (&["create", "get"], Some(("", "v1", "PodPortForwardOptions"))),
        Subresource::Token => (&["create"], Some(("authentication.k8s.io", "v1", "TokenRequest"))),
    }
}

fn kinds_of(group: &str, version: &str) -> impl Iterator<Item = &'static Resource> {
    kinds::ALL
        .into_iter()
        .filter(move |r| r.group == group && r.version == version)
}

fn questions_of(group: &str, version: &str) -> impl Iterator<Item = Question> {
    Question::ALL
        .into_iter()
        .filter(move |q| q.group() == group && version == "v1")
}

fn group_version(group: &str, version: &str) -> String {
    if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    }
}

/// A short name for a content, which changes with it.
fn hash(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02X}")).collect()
}
