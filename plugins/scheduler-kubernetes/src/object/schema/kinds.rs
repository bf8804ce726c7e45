//! The kinds that are served or read, and their roots in the table.

use super::message::Message;
use super::table::messages;

/// One kind of one version of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Empty for the core group.
    pub group: &'static str,
    pub version: &'static str,
    pub kind: &'static str,
    root: &'static str,
}

const fn kind(group: &'static str, version: &'static str, kind: &'static str) -> Kind {
    Kind {
        group,
        version,
        kind,
        root: kind,
    }
}

static KINDS: [Kind; 25] = [
    kind("", "v1", "Namespace"),
    kind("", "v1", "Node"),
    kind("", "v1", "Pod"),
    kind("", "v1", "ConfigMap"),
    kind("", "v1", "Secret"),
    kind("", "v1", "ServiceAccount"),
    kind("", "v1", "Event"),
    kind("", "v1", "Binding"),
    kind("", "v1", "DeleteOptions"),
    kind("meta.k8s.io", "v1", "DeleteOptions"),
    kind("apps", "v1", "Deployment"),
    kind("apps", "v1", "ReplicaSet"),
    kind("apps", "v1", "DeleteOptions"),
    kind("autoscaling", "v1", "Scale"),
    kind("batch", "v1", "Job"),
    kind("batch", "v1", "DeleteOptions"),
    kind("coordination.k8s.io", "v1", "Lease"),
    Kind {
        root: "events/Event",
        ..kind("events.k8s.io", "v1", "Event")
    },
    kind("policy", "v1", "Eviction"),
    kind("authentication.k8s.io", "v1", "TokenRequest"),
    kind("authentication.k8s.io", "v1", "TokenReview"),
    kind("authentication.k8s.io", "v1", "SelfSubjectReview"),
    kind("authorization.k8s.io", "v1", "SelfSubjectAccessReview"),
    kind("authorization.k8s.io", "v1", "SelfSubjectRulesReview"),
    kind("authorization.k8s.io", "v1", "SubjectAccessReview"),
];

/// The kind of this name, if it is known. The core group is the empty string.
pub fn lookup(group: &str, version: &str, kind: &str) -> Option<&'static Kind> {
    KINDS
        .iter()
        .find(|known| known.group == group && known.version == version && known.kind == kind)
}

impl Kind {
    /// Its root message: the object itself, without `apiVersion` and `kind`, which every kind has.
    pub fn root(&self) -> &'static Message {
        messages()
            .named(self.root)
            .expect("each kind has its root in the table, which a test asks for")
    }

    /// As in an object's `apiVersion`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_root() {
        for kind in &KINDS {
            assert!(!kind.root().fields().is_empty(), "{kind:?}");
        }
        assert!(lookup("apps", "v1", "Pod").is_none());
    }
}
