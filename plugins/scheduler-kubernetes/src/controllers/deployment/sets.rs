//! Which of a deployment's replica sets is the one of its template, and how they are numbered. Pure.

use super::super::specs::{of_deployment, of_set};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use kube::ResourceExt;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The label that keeps the pods of two templates apart.
pub(super) const HASH: &str = "pod-template-hash";
/// The number of a template in the deployment's history.
pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
pub(super) const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
pub(super) const MOST: &str = "deployment.kubernetes.io/max-replicas";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Letters and digits that make no words.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// A deployment's replica sets.
#[derive(Debug, Default)]
pub(super) struct Sets {
    /// The one of its template.
    pub(super) new: Option<Arc<ReplicaSet>>,
    /// The others, oldest first.
    pub(super) old: Vec<Arc<ReplicaSet>>,
}

impl Sets {
    /// Tells them apart.
    pub(super) fn of(deployment: &Deployment, mut all: Vec<Arc<ReplicaSet>>) -> Self {
        all.sort_by_cached_key(|set| {
            (
                set.metadata.creation_timestamp.as_ref().map(|t| t.0),
                set.name_any(),
            )
        });
        let template = &of_deployment(deployment).template;
        let is_new =
            |set: &&Arc<ReplicaSet>| of_set(set).template.as_ref().is_some_and(|t| same(t, template));
        let new = all.iter().find(is_new).cloned();
        let name = new.as_ref().map(|set| set.name_any());
        all.retain(|set| Some(set.name_any()) != name);
        Self { new, old: all }
    }

    /// All of them, the new one last.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<ReplicaSet>> {
        self.old.iter().chain(&self.new)
    }

    /// The number the new one must have to be the newest.
    pub(super) fn newest_revision(&self) -> i64 {
        self.old.iter().map(|set| revision(set)).max().unwrap_or(0) + 1
    }
}

/// The number of a replica set; 0: it has none.
pub(super) fn revision(set: &ReplicaSet) -> i64 {
    set.annotations()
        .get(REVISION)
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

/// How many pods it shall have.
pub(super) fn wanted(set: &ReplicaSet) -> i32 {
    of_set(set).replicas.unwrap_or(1)
}

/// Whether two templates make the same pods.
fn same(of_set: &PodTemplateSpec, template: &PodTemplateSpec) -> bool {
    let plain = |template: &PodTemplateSpec| {
        let mut plain = template.clone();
        if let Some(metadata) = &mut plain.metadata {
            if let Some(labels) = &mut metadata.labels {
                labels.remove(HASH);
            }
            metadata.labels = metadata.labels.take().filter(|labels| !labels.is_empty());
            metadata.creation_timestamp = None;
        }
        plain
    };
    plain(of_set) == plain(template)
}

/// Ten characters made of the template; `collisions` makes others of the same.
pub(super) fn hash(template: &PodTemplateSpec, collisions: i32) -> String {
    let bytes = serde_json::to_vec(template).unwrap_or_default();
    let digest = Sha256::new()
        .chain_update(bytes)
        .chain_update(collisions.to_be_bytes())
        .finalize();
    let letter = |byte: &u8| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]);
    digest.iter().take(10).map(letter).collect()
}

/// The annotations the new set shall have: the deployment's own, its number, and the numbers it had before.
pub(super) fn annotations(
    deployment: &Deployment,
    set: Option<&ReplicaSet>,
    number: i64,
    most: i32,
) -> BTreeMap<String, String> {
    let mut next = set.map(|set| set.annotations().clone()).unwrap_or_default();
    let own = deployment.annotations().iter();
    next.extend(
        own.filter(|(key, _)| !is_ours(key))
            .map(|(k, v)| (k.clone(), v.clone())),
    );
    let before = set.map_or(0, revision);
    if before < number {
        if before > 0 {
            let history = next.remove(HISTORY);
            let all: Vec<String> = history.into_iter().chain([before.to_string()]).collect();
            next.insert(HISTORY.to_owned(), all.join(","));
        }
        next.insert(REVISION.to_owned(), number.to_string());
    }
    next.insert(
        DESIRED.to_owned(),
        of_deployment(deployment).replicas.unwrap_or(1).to_string(),
    );
    next.insert(MOST.to_owned(), most.to_string());
    next
}

fn is_ours(key: &str) -> bool {
    [LAST_APPLIED, REVISION, HISTORY, DESIRED, MOST].contains(&key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn template(image: &str) -> serde_json::Value {
        json!({"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "c", "image": image}]}})
    }

    fn deployment(image: &str) -> Deployment {
        let text = json!({
            "metadata": {"name": "d", "annotations": {"kubernetes.io/change-cause": "why", LAST_APPLIED: "{}"}},
            "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "x"}}, "template": template(image)},
        });
        serde_json::from_value(text).expect("a deployment")
    }

    fn set(name: &str, image: &str, number: i64, made: &str) -> Arc<ReplicaSet> {
        let mut template = template(image);
        template["metadata"]["labels"][HASH] = json!(name);
        let text = json!({
            "metadata": {"name": name, "creationTimestamp": made, "annotations": {REVISION: number.to_string()}},
            "spec": {"selector": {}, "template": template},
        });
        Arc::new(serde_json::from_value(text).expect("a replica set"))
    }

    #[test]
    fn the_set_of_the_template_is_new_again_after_an_undo_and_gets_the_next_number() {
        let all = vec![
            set("b", "two", 2, "2026-01-01T00:00:02Z"),
            set("a", "one", 1, "2026-01-01T00:00:01Z"),
        ];
        let wanted = deployment("one");
        let sets = Sets::of(&wanted, all);
        let new = sets.new.clone().expect("there is one");
        assert_eq!(
            (new.name_any().as_str(), sets.old.len(), sets.newest_revision()),
            ("a", 1, 3)
        );
        let next = annotations(&wanted, Some(&new), 3, 4);
        assert_eq!(next.get(REVISION).map(String::as_str), Some("3"));
        assert_eq!(next.get(HISTORY).map(String::as_str), Some("1"));
        assert_eq!(
            next.get("kubernetes.io/change-cause").map(String::as_str),
            Some("why")
        );
        assert!(!next.contains_key(LAST_APPLIED));
    }

    #[test]
    fn another_template_has_no_set_yet_and_another_hash() {
        let sets = Sets::of(
            &deployment("three"),
            vec![set("a", "one", 1, "2026-01-01T00:00:01Z")],
        );
        assert!(sets.new.is_none());
        let template_of = |image| of_deployment(&deployment(image)).template.clone();
        let (one, two) = (template_of("one"), template_of("two"));
        assert_eq!(hash(&one, 0), hash(&one, 0));
        assert_ne!(hash(&one, 0), hash(&two, 0));
        assert_ne!(hash(&one, 0), hash(&one, 1));
    }
}
