//! Every way in which the door says no, with the status and the body that Marathon's clients compare.

use crate::path::AppId;
use crate::stamp::Stamp;
use serde::Serialize;

/// What is wrong at one place of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Detail {
    /// `/portDefinitions(0)/port`; `/` for a rule on the whole object.
    pub path: String,
    /// Play's error names while parsing, whole sentences for rules.
    pub errors: Vec<String>,
}

impl Detail {
    /// One error at one place.
    #[must_use]
    pub fn new(path: impl Into<String>, error: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            errors: vec![error.into()],
        }
    }
}

/// Adds an error, to the entry of its path where there is one already.
pub fn add_detail(details: &mut Vec<Detail>, path: &str, error: impl Into<String>) {
    let error = error.into();
    match details.iter_mut().find(|d| d.path == path) {
        Some(there) if there.errors.contains(&error) => {}
        Some(there) => there.errors.push(error),
        None => details.push(Detail::new(path, error)),
    }
}

/// A refused request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The body is no JSON.
    #[error("the body is not JSON: {0}")]
    Malformed(String),
    /// There is no body.
    #[error("the request has no body")]
    EmptyBody,
    /// Wrong types, ranges, names: found while reading the fields.
    #[error("fields are not valid: {0:?}")]
    Fields(Vec<Detail>),
    /// A rule between fields does not hold, or a field is not served.
    #[error("the object is not valid: {0:?}")]
    Rules(Vec<Detail>),
    /// An argument makes no sense; the sentence says why.
    #[error("{0}")]
    Argument(String),
    /// The request is wrong as such (400).
    #[error("{0}")]
    BadRequest(String),
    /// The path of the request holds what a URI cannot.
    #[error("the request path is not a URI")]
    BadUri,
    /// No such app (in that version).
    #[error("App '{0}' does not exist")]
    NoApp(AppId, Option<Stamp>),
    /// No such task.
    #[error("Task '{0}' does not exist")]
    NoTask(String),
    /// No such group.
    #[error("Group '{0}' does not exist")]
    NoGroup(AppId),
    /// No such deployment.
    #[error("DeploymentPlan {0} does not exist")]
    NoDeployment(String),
    /// No instance of the app waits to be launched.
    #[error("Application {0} not found in tasks queue.")]
    NotQueued(AppId),
    /// Anything else that is not there; the sentence says what.
    #[error("{0}")]
    NotFound(String),
    /// The app exists already.
    #[error("An app with id [{0}] already exists.")]
    Exists(AppId),
    /// The group exists already.
    #[error("Group {0} is already created. Use PUT to change this group.")]
    GroupExists(AppId),
    /// An app is where a group shall be.
    #[error("An app with the path {0} already exists.")]
    AppAt(AppId),
    /// Deployments under way hold what this one would change.
    #[error("App is locked by one or more deployments: {0:?}")]
    Locked(Vec<String>),
    /// As many deployments run as may.
    #[error(
        "Max number ({0}) of running deployments is achieved. Wait for existing deployments to complete or cancel one using force=true parameter. You can increase max deployment number by using --max_running_deployments parameter "
    )]
    TooManyDeployments(usize),
    /// The pool or its state store cannot answer now.
    #[error("{0}")]
    Unavailable(String),
    /// Old and new forms of a field contradict each other in the way that Marathon answers with 500.
    #[error("{0}")]
    Contradiction(String),
    /// No route.
    #[error("URI not found")]
    NoRoute,
    /// The path is there, the method is not.
    #[error("{0}")]
    Method(String),
}

#[derive(Serialize)]
struct Message<'a> {
    message: &'a str,
}

#[derive(Serialize)]
struct Detailed<'a, D: Serialize> {
    message: &'a str,
    details: D,
}

#[derive(Serialize)]
struct LockedBody<'a> {
    message: &'a str,
    deployments: Vec<DeploymentId<'a>>,
}

#[derive(Serialize)]
struct DeploymentId<'a> {
    id: &'a str,
}

impl Refusal {
    /// What stands where a version should is none.
    #[must_use]
    pub fn no_version(given: &str) -> Self {
        let why = format!("Invalid timestamp provided '{given}'. Expecting ISO-8601 datetime string.");
        Self::Argument(why)
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Malformed(_) | Self::EmptyBody | Self::BadRequest(_) | Self::BadUri => 400,
            Self::Fields(_) | Self::Rules(_) | Self::Argument(_) => 422,
            Self::NoApp(..)
            | Self::NoTask(_)
            | Self::NoGroup(_)
            | Self::NoDeployment(_)
            | Self::NotQueued(_)
            | Self::NotFound(_) => 404,
            Self::Exists(_) | Self::GroupExists(_) | Self::AppAt(_) | Self::Locked(_) => 409,
            Self::TooManyDeployments(_) => 403,
            Self::Unavailable(_) => 503,
            Self::Contradiction(_) | Self::NoRoute => 500,
            Self::Method(_) => 405,
        }
    }

    /// Whether the body is JSON; only a broken URI is answered in plain text.
    #[must_use]
    pub fn is_json(&self) -> bool {
        !matches!(self, Self::BadUri)
    }

    /// The body, compact, keys in Marathon's order.
    #[must_use]
    pub fn body(&self) -> String {
        match self {
            Self::BadUri => {
                "Bad Request: the request path holds a character that is illegal in a URI\n".to_owned()
            }
            Self::Malformed(why) => json(&Detailed {
                message: "Invalid JSON",
                details: why,
            }),
            Self::EmptyBody => json(&Detailed {
                message: "Please specify data in JSON format",
                details: "No content to map due to end-of-input",
            }),
            Self::Fields(details) => json(&Detailed {
                message: "Invalid JSON",
                details,
            }),
            Self::Rules(details) => json(&Detailed {
                message: "Object is not valid",
                details,
            }),
            Self::Locked(ids) => json(&LockedBody {
                message: LOCKED,
                deployments: ids.iter().map(|id| DeploymentId { id }).collect(),
            }),
            Self::NoApp(id, Some(version)) => json(&Message {
                message: &format!("App '{id}' does not exist in version {version}"),
            }),
            Self::NoApp(_, None)
            | Self::NoTask(_)
            | Self::NoGroup(_)
            | Self::NoDeployment(_)
            | Self::NotQueued(_)
            | Self::NotFound(_)
            | Self::Argument(_)
            | Self::BadRequest(_)
            | Self::Exists(_)
            | Self::GroupExists(_)
            | Self::AppAt(_)
            | Self::TooManyDeployments(_)
            | Self::Unavailable(_)
            | Self::Contradiction(_)
            | Self::NoRoute
            | Self::Method(_) => json(&Message {
                message: &self.to_string(),
            }),
        }
    }
}

/// The `<DEPLOYMENT_ID>` is literal: the ids stand beside the message.
const LOCKED: &str = "App is locked by one or more deployments. Override with the option '?force=true'. \
                      View details at '/v2/deployments/<DEPLOYMENT_ID>'.";

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain data with text keys always serialises")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_compact_and_in_the_order_that_clients_compare() {
        let id = AppId::from_root("x");
        for (refusal, status, body) in [
            (
                Refusal::Fields(vec![Detail::new(
                    "/container/docker/network",
                    "error.unknown.enum.literal",
                )]),
                422,
                r#"{"message":"Invalid JSON","details":[{"path":"/container/docker/network","errors":["error.unknown.enum.literal"]}]}"#,
            ),
            (
                Refusal::Malformed("oops".into()),
                400,
                r#"{"message":"Invalid JSON","details":"oops"}"#,
            ),
            (
                Refusal::NoApp(id.clone(), None),
                404,
                r#"{"message":"App '/x' does not exist"}"#,
            ),
            (
                Refusal::NoApp(id.clone(), Some(Stamp::from_ms(0))),
                404,
                r#"{"message":"App '/x' does not exist in version 1970-01-01T00:00:00.000Z"}"#,
            ),
            (
                Refusal::Exists(id),
                409,
                r#"{"message":"An app with id [/x] already exists."}"#,
            ),
            (
                Refusal::Locked(vec!["d1".into()]),
                409,
                r#"{"message":"App is locked by one or more deployments. Override with the option '?force=true'. View details at '/v2/deployments/<DEPLOYMENT_ID>'.","deployments":[{"id":"d1"}]}"#,
            ),
            (Refusal::NoRoute, 500, r#"{"message":"URI not found"}"#),
        ] {
            assert_eq!((refusal.status(), refusal.body().as_str()), (status, body));
        }
    }

    #[test]
    fn errors_of_one_path_stand_together_and_once() {
        let mut details = Vec::new();
        for error in ["a", "b", "a"] {
            add_detail(&mut details, "/x", error);
        }
        assert_eq!(
            details,
            [Detail {
                path: "/x".into(),
                errors: vec!["a".into(), "b".into()]
            }]
        );
    }
}
