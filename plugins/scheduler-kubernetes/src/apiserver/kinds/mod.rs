//! The kinds that are served, one file each: a description and the few rules that are the kind's own. The verbs
//! are written once, elsewhere; a further kind is one more file and one more line in [`ALL`].

pub mod cells;
mod configmap;
mod deployment;
mod event;
mod job;
mod lease;
mod namespace;
mod node;
mod pod;
mod replicaset;
mod secret;
mod serviceaccount;
mod table;

pub use table::{Column, age_column, name_column};

use super::cell::Cell;
use super::storage::Shape;
use crate::object::problem::Problem;
use crate::object::schema;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::Value;

/// Every kind that has objects, in the order of discovery.
pub static ALL: [&Resource; 11] = [
    &namespace::NAMESPACE,
    &node::NODE,
    &pod::POD,
    &configmap::CONFIG_MAP,
    &secret::SECRET,
    &serviceaccount::SERVICE_ACCOUNT,
    &event::EVENT,
    &deployment::DEPLOYMENT,
    &replicaset::REPLICA_SET,
    &job::JOB,
    &lease::LEASE,
];

/// Whether objects of a kind lie in namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// They do.
    Namespaced,
    /// They belong to the whole cluster.
    Cluster,
}

/// When an object's generation is raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// It has none.
    None,
    /// With each change of its spec.
    Spec,
    /// With each change of its spec or its annotations, as deployments do.
    SpecAndAnnotations,
}

/// Which parts of an object's metadata a write of its status may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusMetadata {
    /// Labels pass.
    pub labels: bool,
    /// Annotations pass.
    pub annotations: bool,
    /// Finalizers pass.
    pub finalizers: bool,
}

/// What answers the deletion of an object that is gone with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeleteAnswer {
    /// A `Status` of success.
    Status,
    /// The object.
    Object,
}

/// What becomes of what an object owns, where the client does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// The object goes first, its dependents after it.
    Background,
    /// The dependents go first.
    Foreground,
    /// The dependents stay and are nobody's.
    Orphan,
}

/// What stands under an object's own path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subresource {
    /// Its status, written apart.
    Status,
    /// Its number of replicas.
    Scale,
    /// The end of a namespace's finalizers.
    Finalize,
    /// The choice of a pod's node.
    Binding,
    /// A deletion that asks first.
    Eviction,
    /// A container's log.
    Log,
    /// A process in a container.
    Exec,
    /// The streams of a container.
    Attach,
    /// Connections to a pod.
    PortForward,
    /// A token of a service account.
    Token,
}

impl Subresource {
    /// As in the path.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Scale => "scale",
            Self::Finalize => "finalize",
            Self::Binding => "binding",
            Self::Eviction => "eviction",
            Self::Log => "log",
            Self::Exec => "exec",
            Self::Attach => "attach",
            Self::PortForward => "portforward",
            Self::Token => "token",
        }
    }
}

/// A kind: what discovery says of it, how a table shows it, and the rules of its own.
#[derive(Debug)]
pub struct Resource {
    /// Empty for the core group.
    pub group: &'static str,
    /// `v1`.
    pub version: &'static str,
    /// `group/version`, or the version alone in the core group.
    pub api_version: &'static str,
    /// `Deployment`.
    pub kind: &'static str,
    /// `deployments`.
    pub plural: &'static str,
    /// `deployment`.
    pub singular: &'static str,
    /// `deployments.apps`: under which name its objects are kept.
    pub qualified: &'static str,
    /// `deploy`.
    pub short_names: &'static [&'static str],
    /// `all`.
    pub categories: &'static [&'static str],
    /// Whether it lies in namespaces.
    pub scope: Scope,
    /// Whether a whole collection can be deleted.
    pub delete_collection: bool,
    /// What stands under its path.
    pub subresources: &'static [Subresource],
    /// Fields that selectors may name, beside name and namespace.
    pub selectable: &'static [&'static str],
    /// Puts its fields with their descriptions, and those of all it consists of, among these schemas; the name of its
    /// own.
    pub described: fn(&mut SchemaGenerator) -> String,
    /// The columns of its table.
    pub columns: &'static [Column],
    /// The cells of one object.
    pub row: fn(&Value) -> Vec<Cell>,
    /// When its generation rises.
    pub generation: Generation,
    /// What passes with its status.
    pub status_metadata: StatusMetadata,
    /// What answers its deletion.
    pub deleted: DeleteAnswer,
    /// What becomes of what it owns.
    pub propagation: Propagation,
    /// Whether a new object begins without a status, whatever the client wrote.
    pub resets_status: bool,
    /// What is set on a new object after its defaults, whatever the client wrote.
    pub prepare_create: fn(&mut Value),
    /// What an update may not change silently: fields that are taken over from the old object.
    pub prepare_update: fn(&Value, &mut Value),
    /// How long its deletion waits for whoever runs it, in seconds, given what the client asked for; none: it is
    /// gone at once.
    pub grace: fn(&Value, Option<i64>) -> Option<i64>,
}

/// The schema of a kind whose objects are `T`s.
pub(super) fn described<T: JsonSchema>(schemas: &mut SchemaGenerator) -> String {
    schemas.subschema_for::<T>();
    T::schema_name().into_owned()
}

/// Nothing of a new object is changed.
pub(super) fn as_given(_: &mut Value) {}

/// Nothing is taken over.
pub(super) fn as_written(_: &Value, _: &mut Value) {}

/// It is gone at once.
pub(super) fn at_once(_: &Value, _: Option<i64>) -> Option<i64> {
    None
}

/// Nothing of metadata passes with a status.
pub(super) const NO_METADATA: StatusMetadata = StatusMetadata {
    labels: false,
    annotations: false,
    finalizers: false,
};

impl Resource {
    /// Whether objects lie in namespaces.
    #[must_use]
    pub fn is_namespaced(&self) -> bool {
        self.scope == Scope::Namespaced
    }

    /// Whether its status is written apart from the rest.
    #[must_use]
    pub fn has_status(&self) -> bool {
        self.subresources.contains(&Subresource::Status)
    }

    /// What storage must know of it.
    #[must_use]
    pub fn shape(&self) -> Shape {
        Shape {
            api_version: self.api_version,
            kind: self.kind,
            selectable: self.selectable,
        }
    }

    /// Its fields.
    #[must_use]
    pub fn schema(&self) -> &'static schema::Kind {
        schema::lookup(self.group, self.version, self.kind).expect("every kind that is served has its schema")
    }

    /// `deployments.apps "x" not found`.
    #[must_use]
    pub fn not_found(&self, name: &str) -> Problem {
        Problem::not_found(self.group, self.plural, name)
    }

    /// `Deployment.apps "x" is invalid: ...`.
    #[must_use]
    pub fn invalid(&self, name: &str, errors: &[crate::object::validate::FieldError]) -> Problem {
        Problem::invalid(self.group, self.kind, name, errors)
    }
}

/// The kind of this path, if it is served.
#[must_use]
pub fn find(group: &str, version: &str, plural: &str) -> Option<&'static Resource> {
    ALL.into_iter()
        .find(|r| r.group == group && r.version == version && r.plural == plural)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_schema_and_as_many_cells_as_columns() {
        for resource in ALL {
            assert_eq!(resource.schema().kind, resource.kind);
            assert_eq!(
                resource.qualified,
                crate::object::problem::qualified(resource.group, resource.plural)
            );
            let row = (resource.row)(&serde_json::json!({"metadata": {"name": "x"}}));
            assert_eq!(row.len(), resource.columns.len(), "{}", resource.kind);
        }
    }
}
