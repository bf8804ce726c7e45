//! Who may do what. There are no roles here: the administrator may everything, everybody may ask about
//! themselves and look at discovery.

use super::User;
use crate::object::problem::{Problem, qualified};

/// What somebody wants to do.
#[derive(Debug, Clone, Default)]
pub struct Wish<'a> {
    /// `get`, `list`, ...
    pub verb: &'a str,
    /// The group; empty for the core group.
    pub group: &'a str,
    /// The plural resource.
    pub resource: &'a str,
    /// The subresource, or empty.
    pub subresource: &'a str,
    /// The namespace; empty for all or none.
    pub namespace: &'a str,
    /// The object; empty for all.
    pub name: &'a str,
}

/// What anybody who is known may create.
pub const SELF_REVIEWS: [(&str, &str); 3] = [
    ("authorization.k8s.io", "selfsubjectaccessreviews"),
    ("authorization.k8s.io", "selfsubjectrulesreviews"),
    ("authentication.k8s.io", "selfsubjectreviews"),
];

/// Paths outside resources that anybody may read.
pub const OPEN_PATHS: [&str; 11] = [
    "/api",
    "/api/*",
    "/apis",
    "/apis/*",
    "/healthz",
    "/livez",
    "/openapi",
    "/openapi/*",
    "/readyz",
    "/version",
    "/version/",
];

/// Whether these groups make the user the administrator.
#[must_use]
pub fn is_admin(groups: &[String]) -> bool {
    groups.iter().any(|group| group == "system:masters")
}

/// Whether they may.
#[must_use]
pub fn allows(groups: &[String], wish: &Wish<'_>) -> bool {
    is_admin(groups)
        || (wish.verb == "create"
            && wish.subresource.is_empty()
            && SELF_REVIEWS.contains(&(wish.group, wish.resource)))
}

/// Whether they may read a path outside resources.
#[must_use]
pub fn allows_path(groups: &[String], verb: &str, path: &str) -> bool {
    let open = |pattern: &&str| match pattern.strip_suffix('*') {
        Some(start) => path.starts_with(start),
        None => path == *pattern,
    };
    is_admin(groups) || (verb == "get" && OPEN_PATHS.iter().any(open))
}

/// Checks a wish.
///
/// # Errors
/// 403 with the words of the real server.
pub fn check(user: &User, wish: &Wish<'_>) -> Result<(), Problem> {
    if allows(&user.groups, wish) {
        return Ok(());
    }
    let resource = match wish.subresource {
        "" => wish.resource.to_owned(),
        under => format!("{}/{under}", wish.resource),
    };
    let place = match wish.namespace {
        "" => "at the cluster scope".to_owned(),
        namespace => format!("in the namespace {namespace:?}"),
    };
    let why = format!(
        "User {:?} cannot {} resource {resource:?} in API group {:?} {place}",
        user.name, wish.verb, wish.group
    );
    let who = qualified(wish.group, wish.resource);
    let text = match wish.name {
        "" => format!("{who} is forbidden: {why}"),
        name => format!("{who} {name:?} is forbidden: {why}"),
    };
    let mut problem = Problem::forbidden(wish.group, wish.resource, wish.name, &why);
    problem.message = text;
    Err(problem)
}
