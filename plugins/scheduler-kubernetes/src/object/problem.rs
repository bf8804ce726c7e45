//! What went wrong, as the API tells it: the `Status` object with its code, reason, message, details and causes.

use serde_json::{Map, Value, json};

use super::field_error::FieldError;

/// Why a request failed, in the API's own words; clients decide by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// None given: an internal error that the real server does not name.
    Unknown,
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    NotAcceptable,
    AlreadyExists,
    Conflict,
    Gone,
    Expired,
    RequestEntityTooLarge,
    UnsupportedMediaType,
    Invalid,
    TooManyRequests,
    InternalError,
    ServiceUnavailable,
    Timeout,
}

impl Reason {
    /// As in `Status.reason`; empty for [`Reason::Unknown`].
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "",
            Self::BadRequest => "BadRequest",
            Self::Unauthorized => "Unauthorized",
            Self::Forbidden => "Forbidden",
            Self::NotFound => "NotFound",
            Self::MethodNotAllowed => "MethodNotAllowed",
            Self::NotAcceptable => "NotAcceptable",
            Self::AlreadyExists => "AlreadyExists",
            Self::Conflict => "Conflict",
            Self::Gone => "Gone",
            Self::Expired => "Expired",
            Self::RequestEntityTooLarge => "RequestEntityTooLarge",
            Self::UnsupportedMediaType => "UnsupportedMediaType",
            Self::Invalid => "Invalid",
            Self::TooManyRequests => "TooManyRequests",
            Self::InternalError => "InternalError",
            Self::ServiceUnavailable => "ServiceUnavailable",
            Self::Timeout => "Timeout",
        }
    }

    /// The HTTP status that goes with it.
    pub fn code(self) -> u16 {
        match self {
            Self::Unknown | Self::InternalError => 500,
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::NotAcceptable => 406,
            Self::AlreadyExists | Self::Conflict => 409,
            Self::Gone | Self::Expired => 410,
            Self::RequestEntityTooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::Invalid => 422,
            Self::TooManyRequests => 429,
            Self::ServiceUnavailable => 503,
            Self::Timeout => 504,
        }
    }
}

/// One cause among several, mostly one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    pub reason: String,
    pub message: String,
    /// The field's path, such as `spec.containers[0].name`; empty if none is to blame.
    pub field: String,
}

/// Whom it is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Details {
    pub name: String,
    pub group: String,
    /// The plural resource for 404 and 409, the kind for 422 and preconditions, as the real server has it.
    pub kind: String,
    pub uid: String,
    pub causes: Vec<Cause>,
    pub retry_after_seconds: u32,
}

/// A refusal or failure in the API's form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    pub code: u16,
    pub reason: Reason,
    pub message: String,
    pub details: Option<Box<Details>>,
    /// What a client goes on with after an expired list.
    pub continue_token: Option<String>,
}

impl Problem {
    /// A problem with these words and no details.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            code: reason.code(),
            reason,
            message: message.into(),
            details: None,
            continue_token: None,
        }
    }

    /// The same problem, said to be about this.
    #[must_use]
    pub fn with(mut self, details: Details) -> Self {
        self.details = Some(Box::new(details));
        self
    }

    /// The same problem with one more cause.
    #[must_use]
    pub fn cause(mut self, reason: &str, message: impl Into<String>, field: &str) -> Self {
        let cause = Cause {
            reason: reason.to_owned(),
            message: message.into(),
            field: field.to_owned(),
        };
        self.details.get_or_insert_default().causes.push(cause);
        self
    }

    /// The same problem, to be tried again after so many seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.details.get_or_insert_default().retry_after_seconds = seconds;
        self
    }

    /// `deployments.apps "x" not found`.
    pub fn not_found(group: &str, resource: &str, name: &str) -> Self {
        Self::new(
            Reason::NotFound,
            format!("{} \"{name}\" not found", qualified(group, resource)),
        )
        .with(about(group, resource, name))
    }

    /// The version is known, the resource is not.
    pub fn no_such_resource() -> Self {
        Self::new(
            Reason::NotFound,
            "the server could not find the requested resource",
        )
        .with(Details::default())
    }

    /// `configmaps "a" already exists`.
    pub fn already_exists(group: &str, resource: &str, name: &str) -> Self {
        Self::new(
            Reason::AlreadyExists,
            format!("{} \"{name}\" already exists", qualified(group, resource)),
        )
        .with(about(group, resource, name))
    }

    /// The same while the object of that name is on its way out.
    pub fn being_deleted(group: &str, resource: &str, name: &str) -> Self {
        let resource_name = qualified(group, resource);
        let text = format!("object is being deleted: {resource_name} \"{name}\" already exists");
        Self::new(Reason::AlreadyExists, text).with(about(group, resource, name))
    }

    /// `Operation cannot be fulfilled on configmaps "a": why`.
    pub fn conflict(group: &str, resource: &str, name: &str, why: &str) -> Self {
        let text = format!(
            "Operation cannot be fulfilled on {} \"{name}\": {why}",
            qualified(group, resource)
        );
        Self::new(Reason::Conflict, text).with(about(group, resource, name))
    }

    /// The conflict of a stale resource version.
    pub fn stale(group: &str, resource: &str, name: &str) -> Self {
        let why =
            "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(group, resource, name, why)
    }

    /// `Kind "x" is invalid: ...` with one cause a field error.
    pub fn invalid(group: &str, kind: &str, name: &str, errors: &[FieldError]) -> Self {
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        let mut unique: Vec<&str> = Vec::new();
        for text in &texts {
            if !unique.contains(&text.as_str()) {
                unique.push(text);
            }
        }
        let list = match unique.as_slice() {
            [] => String::new(),
            [one] => (*one).to_owned(),
            many => format!("[{}]", many.join(", ")),
        };
        let mut details = about(group, kind, name);
        details.causes = errors.iter().map(Cause::of).collect();
        let text = format!("{} \"{name}\" is invalid: {list}", qualified(group, kind));
        Self::new(Reason::Invalid, text).with(details)
    }

    /// A request that could not be understood.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(Reason::BadRequest, message)
    }

    /// No or wrong credentials.
    pub fn unauthorized() -> Self {
        Self::new(Reason::Unauthorized, "Unauthorized")
    }

    /// `pods "x" is forbidden: why`; without a name `pods is forbidden: why`.
    pub fn forbidden(group: &str, resource: &str, name: &str, why: &str) -> Self {
        let who = qualified(group, resource);
        let text = match name {
            "" => format!("{who} is forbidden: {why}"),
            name => format!("{who} \"{name}\" is forbidden: {why}"),
        };
        Self::new(Reason::Forbidden, text).with(about(group, resource, name))
    }

    /// A verb that the resource does not have.
    pub fn method_not_allowed() -> Self {
        let text = "the server does not allow this method on the requested resource";
        Self::new(Reason::MethodNotAllowed, text).with(Details::default())
    }

    /// A form of answer that the server does not give.
    pub fn not_acceptable(offered: &[&str]) -> Self {
        let text = format!(
            "only the following media types are accepted: {}",
            offered.join(", ")
        );
        Self::new(Reason::NotAcceptable, text)
    }

    /// A form of body that the server does not read.
    pub fn unsupported_media_type(accepted: &[&str]) -> Self {
        let text = format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            accepted.join(", ")
        );
        Self::new(Reason::UnsupportedMediaType, text)
    }

    /// A body over the limit, in bytes.
    pub fn too_large(limit_bytes: usize) -> Self {
        let text = format!("Request entity too large: limit is {limit_bytes}");
        Self::new(Reason::RequestEntityTooLarge, text)
    }

    /// A revision that is no longer kept.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(Reason::Expired, message)
    }

    /// Not now.
    pub fn too_many_requests(message: impl Into<String>) -> Self {
        Self::new(Reason::TooManyRequests, message).with(Details::default())
    }

    /// The server's own fault.
    pub fn internal(why: impl std::fmt::Display) -> Self {
        let why = why.to_string();
        Self::new(Reason::InternalError, format!("Internal error occurred: {why}"))
            .with(Details::default())
            .cause("", why, "")
    }

    /// What it asks for did not come in time.
    pub fn timeout(message: impl Into<String>, retry_after_seconds: u32) -> Self {
        Self::new(Reason::Timeout, message).retry_after(retry_after_seconds)
    }

    /// A list or watch from a revision that the store has not reached.
    pub fn future_revision(asked: u64, current: u64) -> Self {
        let text = format!("Too large resource version: {asked}, current: {current}");
        Self::new(Reason::Timeout, text).retry_after(1).cause(
            "ResourceVersionTooLarge",
            "Too large resource version",
            "",
        )
    }

    /// The server is there, what it needs is not.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Reason::ServiceUnavailable, message).with(Details::default())
    }

    /// The `Status` object.
    pub fn to_json(&self) -> Value {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "code": self.code,
        });
        if self.reason != Reason::Unknown {
            status["reason"] = json!(self.reason.as_str());
        }
        if let Some(token) = &self.continue_token {
            status["metadata"]["continue"] = json!(token);
        }
        if let Some(details) = &self.details {
            status["details"] = details.to_json();
        }
        status
    }
}

impl Details {
    /// As in `Status.details`; what is empty is left out.
    pub fn to_json(&self) -> Value {
        let mut details = Map::new();
        for (name, text) in [
            ("name", &self.name),
            ("group", &self.group),
            ("kind", &self.kind),
            ("uid", &self.uid),
        ] {
            if !text.is_empty() {
                details.insert(name.to_owned(), json!(text));
            }
        }
        if !self.causes.is_empty() {
            details.insert(
                "causes".to_owned(),
                self.causes.iter().map(Cause::to_json).collect(),
            );
        }
        if self.retry_after_seconds > 0 {
            details.insert("retryAfterSeconds".to_owned(), json!(self.retry_after_seconds));
        }
        Value::Object(details)
    }
}

impl Cause {
    fn of(error: &FieldError) -> Self {
        Self {
            reason: error.reason().to_owned(),
            message: error.message(),
            field: error.field.clone(),
        }
    }

    fn to_json(&self) -> Value {
        let mut cause = Map::new();
        for (name, text) in [
            ("reason", &self.reason),
            ("message", &self.message),
            ("field", &self.field),
        ] {
            if !text.is_empty() {
                cause.insert(name.to_owned(), json!(text));
            }
        }
        Value::Object(cause)
    }
}

fn about(group: &str, kind: &str, name: &str) -> Details {
    Details {
        name: name.to_owned(),
        group: group.to_owned(),
        kind: kind.to_owned(),
        ..Details::default()
    }
}

/// `deployments.apps`, or `pods` in the core group.
pub fn qualified(group: &str, resource: &str) -> String {
    if group.is_empty() {
        resource.to_owned()
    } else {
        format!("{resource}.{group}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_are_those_of_the_real_server() {
        let cases = [
            (
                Problem::not_found("apps", "deployments", "nope"),
                404,
                "deployments.apps \"nope\" not found",
            ),
            (
                Problem::already_exists("", "configmaps", "a"),
                409,
                "configmaps \"a\" already exists",
            ),
            (
                Problem::being_deleted("", "configmaps", "f"),
                409,
                "object is being deleted: configmaps \"f\" already exists",
            ),
            (
                Problem::stale("", "configmaps", "a"),
                409,
                "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your \
                 changes to the latest version and try again",
            ),
            (
                Problem::method_not_allowed(),
                405,
                "the server does not allow this method on the requested resource",
            ),
            (
                Problem::too_large(3_145_728),
                413,
                "Request entity too large: limit is 3145728",
            ),
        ];
        for (problem, code, text) in cases {
            assert_eq!(problem.code, code, "{text}");
            assert_eq!(problem.message, text);
            assert_eq!(problem.to_json()["code"], code);
        }
    }

    #[test]
    fn details_hold_only_what_is_known() {
        let status = Problem::not_found("", "pods", "p").to_json();
        assert_eq!(status["details"], json!({"name": "p", "kind": "pods"}));
        let status = Problem::bad_request("no").to_json();
        assert!(status.get("details").is_none());
        assert_eq!(status["reason"], "BadRequest");
    }
}
