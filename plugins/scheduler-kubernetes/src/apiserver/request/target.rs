//! Which object or collection a path names.

use super::super::kinds::{self, Resource, Subresource};
use super::query::unescaped;
use crate::object::problem::Problem;

/// What a path names.
#[derive(Debug, Clone)]
pub enum Target {
    /// Every object of a kind, in one namespace or (empty) in all.
    Collection(&'static Resource, String),
    /// One object.
    Object(&'static Resource, Name),
    /// Something under an object.
    Under(&'static Resource, Name, Subresource),
    /// A question that is answered and not kept.
    Question(Question),
}

/// The name of an object; the namespace is empty where there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// Questions about access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Who am I?
    SelfSubjectReview,
    /// May I?
    SelfSubjectAccessReview,
    /// What may I?
    SelfSubjectRulesReview,
    /// May they?
    SubjectAccessReview,
    /// Whose token is this?
    TokenReview,
}

impl Question {
    /// Every question.
    pub const ALL: [Self; 5] = [
        Self::SelfSubjectReview,
        Self::TokenReview,
        Self::SelfSubjectAccessReview,
        Self::SelfSubjectRulesReview,
        Self::SubjectAccessReview,
    ];

    /// The group that it belongs to.
    #[must_use]
    pub fn group(self) -> &'static str {
        match self {
            Self::SelfSubjectReview | Self::TokenReview => "authentication.k8s.io",
            Self::SelfSubjectAccessReview | Self::SelfSubjectRulesReview | Self::SubjectAccessReview => {
                "authorization.k8s.io"
            }
        }
    }

    /// Its kind.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::SelfSubjectReview => "SelfSubjectReview",
            Self::TokenReview => "TokenReview",
            Self::SelfSubjectAccessReview => "SelfSubjectAccessReview",
            Self::SelfSubjectRulesReview => "SelfSubjectRulesReview",
            Self::SubjectAccessReview => "SubjectAccessReview",
        }
    }

    /// Its name in paths.
    #[must_use]
    pub fn plural(self) -> &'static str {
        match self {
            Self::SelfSubjectReview => "selfsubjectreviews",
            Self::TokenReview => "tokenreviews",
            Self::SelfSubjectAccessReview => "selfsubjectaccessreviews",
            Self::SelfSubjectRulesReview => "selfsubjectrulesreviews",
            Self::SubjectAccessReview => "subjectaccessreviews",
        }
    }
}

/// What is wrong with a path.
#[derive(Debug)]
pub enum NoTarget {
    /// Nothing of the API: `404 page not found` as text.
    Page,
    /// The version is known, the resource is not.
    Resource(Problem),
}

/// Reads the part of a path after its group and version.
///
/// # Errors
/// See [`NoTarget`].
pub fn parse(group: &str, version: &str, rest: &[&str]) -> Result<Target, NoTarget> {
    let known_group = kinds::ALL
        .iter()
        .any(|r| r.group == group && r.version == version)
        || Question::ALL
            .iter()
            .any(|q| q.group() == group && version == "v1");
    if !known_group {
        return Err(NoTarget::Page);
    }
    let rest: Vec<String> = rest.iter().map(|part| unescaped(part)).collect();
    let parts: Vec<&str> = rest.iter().map(String::as_str).collect();
    let find = |plural: &str| kinds::find(group, version, plural).ok_or_else(missing);
    if let [plural] = parts.as_slice()
        && let Some(question) = Question::ALL
            .into_iter()
            .find(|q| q.group() == group && q.plural() == *plural)
    {
        return Ok(Target::Question(question));
    }
    match parts.as_slice() {
        ["namespaces", namespace, plural]
            if kinds::find(group, version, plural).is_some_and(Resource::is_namespaced) =>
        {
            Ok(Target::Collection(find(plural)?, (*namespace).to_owned()))
        }
        ["namespaces", namespace, plural, name, under @ ..] => {
            let resource = find(plural)?;
            if !resource.is_namespaced() {
                return Err(missing());
            }
            object(resource, namespace, name, under)
        }
        [plural] => Ok(Target::Collection(find(plural)?, String::new())),
        [plural, name, under @ ..] => {
            let resource = find(plural)?;
            if resource.is_namespaced() {
                return Err(missing());
            }
            object(resource, "", name, under)
        }
        [] => Err(NoTarget::Page),
    }
}

fn missing() -> NoTarget {
    NoTarget::Resource(Problem::no_such_resource())
}

fn object(
    resource: &'static Resource,
    namespace: &str,
    name: &str,
    under: &[&str],
) -> Result<Target, NoTarget> {
    let name = Name {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    };
    match under {
        [] => Ok(Target::Object(resource, name)),
        [one] => {
            let found = resource.subresources.iter().find(|s| s.name() == *one);
            found.map_or_else(
                || Err(missing()),
                |found| Ok(Target::Under(resource, name, *found)),
            )
        }
        _ => Err(missing()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(path: &str) -> String {
        let parts: Vec<&str> = path.split('/').collect();
        let (group, rest) = match parts.as_slice() {
            ["api", "v1", rest @ ..] => ("", rest),
            ["apis", group, "v1", rest @ ..] => (*group, rest),
            _ => panic!("{path}"),
        };
        match parse(group, "v1", rest) {
            Ok(Target::Collection(r, ns)) => format!("all {} in '{ns}'", r.plural),
            Ok(Target::Object(r, n)) => format!("{} {}/{}", r.plural, n.namespace, n.name),
            Ok(Target::Under(r, n, s)) => format!("{} {}/{} {}", r.plural, n.namespace, n.name, s.name()),
            Ok(Target::Question(q)) => q.kind().to_owned(),
            Err(NoTarget::Page) => "page".to_owned(),
            Err(NoTarget::Resource(problem)) => problem.message,
        }
    }

    #[test]
    fn paths_name_objects_collections_and_what_is_under_objects() {
        let unknown = "the server could not find the requested resource";
        let table = [
            ("api/v1/pods", "all pods in ''"),
            ("api/v1/namespaces", "all namespaces in ''"),
            ("api/v1/namespaces/a", "namespaces /a"),
            ("api/v1/namespaces/a/finalize", "namespaces /a finalize"),
            ("api/v1/namespaces/a/pods", "all pods in 'a'"),
            ("api/v1/namespaces/a/pods/b", "pods a/b"),
            ("api/v1/namespaces/a/pods/b/log", "pods a/b log"),
            ("api/v1/namespaces/a/pods/b/bogus", unknown),
            ("api/v1/namespaces/a/nodes/b", unknown),
            ("api/v1/nodes/b/status", "nodes /b status"),
            ("api/v1/pods/b", unknown),
            ("api/v1/services", unknown),
            (
                "apis/apps/v1/namespaces/a/deployments/x/scale",
                "deployments a/x scale",
            ),
            ("apis/batch/v1/jobs", "all jobs in ''"),
            ("apis/nope/v1/jobs", "page"),
            (
                "apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
                "SelfSubjectAccessReview",
            ),
        ];
        for (path, seen) in table {
            assert_eq!(shown(path), seen, "{path}");
        }
    }
}
