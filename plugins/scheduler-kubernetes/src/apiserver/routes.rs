//! From a request to its answer: who asks, what for, whether they may, and then the verb.

use super::access::rules::{self, Wish};
use super::access::{authenticate, questions, token_request};
use super::answer;
use super::call::{Call, Server};
use super::discovery;
use super::kinds::{Resource, Subresource};
use super::request::accept::{Accept, aggregated_discovery};
use super::request::query::{ListOptions, Query};
use super::request::target::{self, Name, NoTarget, Target};
use super::under::{self, stream};
use super::verbs::change::Part;
use super::verbs::{create, delete, list, patch, read, update, watch};
use crate::object::problem::Problem;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::request::Parts;
use http::{Method, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::upgrade::OnUpgrade;
use jiff::Timestamp;
use serde_json::json;
use std::sync::Arc;

/// The longest body of a request, in bytes.
pub const BODY_LIMIT: usize = 3 << 20;

/// Answers one request.
pub async fn serve(State(server): State<Arc<Server>>, request: Request) -> Response {
    match handle(&server, request).await {
        Ok(response) => response,
        Err(problem) => answer::problem(&problem),
    }
}

/// Requests that may go on for as long as they like.
#[must_use]
pub fn is_long(parts: &Parts) -> bool {
    let path = parts.uri.path();
    let streams = ["/log", "/exec", "/attach", "/portforward"];
    streams.iter().any(|end| path.ends_with(end)) || Query::parse(parts.uri.query()).flag("watch")
}

async fn handle(server: &Arc<Server>, request: Request) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    let now = Timestamp::now();
    let user = authenticate(&parts.headers, &server.tokens, &**server, now.as_second())?;
    let path = parts.uri.path().to_owned();
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let found = match segments.as_slice() {
        ["api", "v1", rest @ ..] if !rest.is_empty() => target::parse("", "v1", rest),
        ["apis", group, version, rest @ ..] if !rest.is_empty() => target::parse(group, version, rest),
        _ => {
            rules_of_path(&user.groups, &user.name, &parts.method, &path)?;
            return Ok(outside(&parts, &segments));
        }
    };
    let target = match found {
        Ok(target) => target,
        Err(NoTarget::Page) => return Ok(not_found()),
        Err(NoTarget::Resource(problem)) => return Err(problem),
    };
    let query = Query::parse(parts.uri.query());
    rules::check(&user, &wish(&target, &parts.method, &query))?;
    let upgrade = parts.extensions.remove::<OnUpgrade>();
    let body = read_body(body).await?;
    let call = Call {
        user,
        query,
        accept: Accept::of(&parts.headers).or_else(|problem| {
            // A stream's own bytes are what they are.
            if is_long(&parts) {
                Ok(Accept::json())
            } else {
                Err(problem)
            }
        })?,
        headers: parts.headers,
        body,
        now,
    };
    match target {
        Target::Collection(resource, namespace) => {
            collection(server, &call, &parts.method, resource, &namespace).await
        }
        Target::Object(resource, name) => object(server, &call, &parts.method, resource, &name).await,
        Target::Under(resource, name, subresource) => {
            let asked = stream::Asked {
                method: parts.method.clone(),
                upgrade,
            };
            below(server, &call, asked, resource, &name, subresource).await
        }
        Target::Question(question) => match parts.method {
            Method::POST => questions::answer(server, &call, question),
            _ => Err(Problem::method_not_allowed()),
        },
    }
}

async fn read_body(body: Body) -> Result<Bytes, Problem> {
    match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Problem::too_large(BODY_LIMIT)),
        Err(error) => Err(Problem::bad_request(format!(
            "the body of the request cannot be read: {error}"
        ))),
    }
}

fn verb(target: &Target, method: &Method, query: &Query) -> &'static str {
    match (target, method.as_str()) {
        (Target::Collection(..), "GET") if query.flag("watch") => "watch",
        (Target::Collection(..), "GET") => "list",
        (Target::Collection(..), "DELETE") => "deletecollection",
        (_, "GET" | "HEAD") => "get",
        (_, "POST") => "create",
        (_, "PUT") => "update",
        (_, "PATCH") => "patch",
        (_, "DELETE") => "delete",
        _ => "unknown",
    }
}

fn wish<'a>(target: &'a Target, method: &Method, query: &Query) -> Wish<'a> {
    let verb = verb(target, method, query);
    match target {
        Target::Collection(resource, namespace) => Wish {
            verb,
            group: resource.group,
            resource: resource.plural,
            namespace,
            ..Wish::default()
        },
        Target::Object(resource, name) => of_object(verb, resource, name),
        Target::Under(resource, name, subresource) => Wish {
            subresource: subresource.name(),
            ..of_object(verb, resource, name)
        },
        Target::Question(question) => Wish {
            verb,
            group: question.group(),
            resource: question.plural(),
            ..Wish::default()
        },
    }
}

fn of_object<'a>(verb: &'a str, resource: &'a Resource, name: &'a Name) -> Wish<'a> {
    Wish {
        verb,
        group: resource.group,
        resource: resource.plural,
        subresource: "",
        namespace: &name.namespace,
        name: &name.name,
    }
}

async fn collection(
    server: &Arc<Server>,
    call: &Call,
    method: &Method,
    resource: &'static Resource,
    namespace: &str,
) -> Result<Response, Problem> {
    let placed = !resource.is_namespaced() || !namespace.is_empty();
    match method.as_str() {
        "GET" => {
            let options = ListOptions::parse(&call.query, resource.schema())?;
            if options.watch {
                return watch::watch(server, call, resource, namespace, options).await;
            }
            list::list(server, call, resource, namespace, &options).await
        }
        "POST" if placed => create::create(server, call, resource, namespace).await,
        "DELETE" if placed && resource.delete_collection => {
            delete::delete_collection(server, call, resource, namespace).await
        }
        _ => Err(Problem::method_not_allowed()),
    }
}

async fn object(
    server: &Arc<Server>,
    call: &Call,
    method: &Method,
    resource: &'static Resource,
    name: &Name,
) -> Result<Response, Problem> {
    match method.as_str() {
        "GET" | "HEAD" => read::get(server, call, resource, name).await,
        "PUT" => update::update(server, call, resource, name, Part::Main).await,
        "PATCH" => patch::patch(server, call, resource, name, Part::Main).await,
        "DELETE" => delete::delete(server, call, resource, name).await,
        _ => Err(Problem::method_not_allowed()),
    }
}

async fn below(
    server: &Arc<Server>,
    call: &Call,
    asked: stream::Asked,
    resource: &'static Resource,
    name: &Name,
    subresource: Subresource,
) -> Result<Response, Problem> {
    let method = asked.method.clone();
    match (subresource, method.as_str()) {
        (Subresource::Status, "GET") => read::get(server, call, resource, name).await,
        (Subresource::Status, "PUT") => update::update(server, call, resource, name, Part::Status).await,
        (Subresource::Status, "PATCH") => patch::patch(server, call, resource, name, Part::Status).await,
        (Subresource::Scale, "GET") => under::scale::get(server, call, resource, name).await,
        (Subresource::Scale, "PUT") => under::scale::update(server, call, resource, name).await,
        (Subresource::Scale, "PATCH") => under::scale::patch(server, call, resource, name).await,
        (Subresource::Finalize, "PUT") => under::finalize::update(server, call, resource, name).await,
        (Subresource::Binding, "POST") => under::binding::create(server, call, resource, name).await,
        (Subresource::Eviction, "POST") => under::eviction::create(server, call, resource, name).await,
        (Subresource::Token, "POST") => token_request::create(server, call, name).await,
        (Subresource::Log, "GET") => stream::log(server, call, asked, resource, name).await,
        (Subresource::Exec | Subresource::Attach | Subresource::PortForward, "GET" | "POST") => {
            stream::open(server, call, asked, resource, name, subresource).await
        }
        _ => Err(Problem::method_not_allowed()),
    }
}

fn rules_of_path(groups: &[String], user: &str, method: &Method, path: &str) -> Result<(), Problem> {
    let verb = if matches!(*method, Method::GET | Method::HEAD) {
        "get"
    } else {
        "post"
    };
    if rules::allows_path(groups, verb, path) {
        return Ok(());
    }
    let mut problem = Problem::forbidden("", "", "", "");
    problem.message = format!("forbidden: User {user:?} cannot {verb} path {path:?}");
    Err(problem)
}

fn not_found() -> Response {
    answer::text(StatusCode::NOT_FOUND, "404 page not found\n")
}

/// Everything that is no resource: discovery, documents, health.
fn outside(parts: &Parts, segments: &[&str]) -> Response {
    if !matches!(parts.method, Method::GET | Method::HEAD) {
        return answer::problem(&Problem::method_not_allowed());
    }
    let ok = |value| answer::json_value(StatusCode::OK, &value);
    let document = |group: &str, version: &str| {
        let found = discovery::document(group, version);
        found.map_or_else(not_found, |bytes| answer::json_bytes(StatusCode::OK, bytes))
    };
    let or_none = |value: Option<serde_json::Value>| value.map_or_else(not_found, ok);
    match segments {
        ["api"] | ["apis"] if aggregated_discovery(&parts.headers).is_some() => {
            let version = aggregated_discovery(&parts.headers).unwrap_or("v2");
            discovery::aggregated(&parts.headers, segments == ["api"], version)
        }
        ["api"] => {
            let host = parts
                .headers
                .get(http::header::HOST)
                .and_then(|h| h.to_str().ok());
            ok(discovery::versions(host.unwrap_or_default()))
        }
        ["apis"] => or_none(discovery::groups(None)),
        ["apis", group] => or_none(discovery::groups(Some(group))),
        ["api", version] => or_none(discovery::resources("", version)),
        ["apis", group, version] => or_none(discovery::resources(group, version)),
        ["openapi", "v3"] => {
            let mut response = ok(discovery::index());
            let text = http::HeaderValue::from_static("text/plain; charset=utf-8");
            response.headers_mut().insert(http::header::CONTENT_TYPE, text);
            response
        }
        ["openapi", "v2"] => discovery::second(&parts.headers).unwrap_or_else(not_found),
        ["openapi", "v3", "api", version] => document("", version),
        ["openapi", "v3", "apis", group, version] => document(group, version),
        ["version"] => {
            let (major, minor, git) = discovery::VERSION;
            ok(json!({
                "major": major, "minor": minor, "gitVersion": git, "gitCommit": "", "gitTreeState": "clean",
                "buildDate": "1970-01-01T00:00:00Z", "goVersion": "", "compiler": "rustc",
                "platform": format!("{}/{}", std::env::consts::OS, platform()),
            }))
        }
        ["readyz" | "livez" | "healthz", ..] => answer::text(StatusCode::OK, "ok"),
        [] => {
            let paths = json!({ "paths": ["/api", "/apis", "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"] });
            (StatusCode::OK, axum::Json(paths)).into_response()
        }
        _ => not_found(),
    }
}

fn platform() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
