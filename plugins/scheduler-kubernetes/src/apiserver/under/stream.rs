//! What goes on to the node that runs a pod: its logs, and the connections of exec, attach and port-forward, which
//! are piped through as the client speaks them.

use super::super::answer;
use super::super::call::{Call, Server};
use super::super::kinds::{self, Resource, Subresource, cells};
use super::super::request::query::{Query, sets};
use super::super::request::target::Name;
use super::node_port::{NodePort, NodePortError};
use crate::object::problem::{Details, Problem, Reason};
use axum::body::Body;
use axum::response::Response;
use http::header::{AUTHORIZATION, CONNECTION, HOST, UPGRADE};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::fmt::Write as _;

/// Most bytes of a node's words that a client is told.
const MAX_WORDS: usize = 16 << 10;

/// What a client asked for, as far as it goes on to the node.
#[derive(Debug)]
pub struct Asked {
    /// Its method.
    pub method: Method,
    /// Its connection, once the answer is given.
    pub upgrade: Option<OnUpgrade>,
}

/// A container's log.
///
/// # Errors
/// 404; 400 for a container that the pod does not have; what the node says.
pub async fn log(
    server: &Server,
    call: &Call,
    asked: Asked,
    resource: &'static Resource,
    name: &Name,
) -> Result<Response, Problem> {
    let pod = server.get(resource, name).await?.value();
    let container = container(&pod, call.query.get("container"), &name.name)?;
    check_log(&call.query, &name.name)?;
    if cells::text(&pod, "/spec/nodeName").is_empty() {
        return Ok(answer::text(StatusCode::OK, ""));
    }
    let node = node_of(server, &pod).await?;
    let path = format!(
        "/containerLogs/{}/{}/{}{}",
        name.namespace,
        name.name,
        container,
        log_query(&call.query)
    );
    let request = http::Request::builder()
        .method(asked.method)
        .uri(path)
        .header(HOST, node.host());
    let request = request.body(Body::empty()).map_err(Problem::internal)?;
    let answered = node
        .ask(&server.tasks, request)
        .await
        .map_err(|e| unreachable(&e))?;
    if !answered.status().is_success() {
        return Err(words(answered).await);
    }
    let (_, body) = answered.into_parts();
    let mut response = Response::new(Body::new(body));
    let text = http::HeaderValue::from_static("text/plain");
    response.headers_mut().insert(http::header::CONTENT_TYPE, text);
    Ok(response)
}

/// What of a query the node is asked for; flags in the words that every node reads.
fn log_query(query: &Query) -> String {
    let pairs = query.pairs().filter_map(|(key, value)| match key {
        "follow" | "previous" | "timestamps" => sets(value).then_some((key, "true")),
        "tailLines" | "sinceSeconds" | "sinceTime" | "limitBytes" | "stream" => Some((key, value)),
        _ => None,
    });
    query_of(pairs)
}

fn check_log(query: &Query, name: &str) -> Result<(), Problem> {
    use crate::object::validate::FieldError;
    let mut errors = Vec::new();
    for field in ["tailLines", "limitBytes", "sinceSeconds"] {
        let least = i64::from(field != "tailLines");
        if let Some(number) = query.number(field)?.filter(|number| *number < least) {
            let why = if least == 0 {
                "must be greater than or equal to 0"
            } else {
                "must be greater than 0"
            };
            errors.push(FieldError::invalid(field, number, why));
        }
    }
    if !query.get("sinceSeconds").is_empty() && !query.get("sinceTime").is_empty() {
        errors.push(FieldError::forbidden(
            "sinceSeconds",
            "at most one of `sinceTime` or `sinceSeconds` may be specified",
        ));
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Problem::invalid("", "PodLogOptions", name, &errors))
    }
}

/// Opens a connection to a container or a pod and pipes it through.
///
/// # Errors
/// 404; 400 for a container that the pod does not have, a pod that is nowhere, a request that is no upgrade; what
/// the node says.
pub async fn open(
    server: &Server,
    call: &Call,
    asked: Asked,
    resource: &'static Resource,
    name: &Name,
    subresource: Subresource,
) -> Result<Response, Problem> {
    let pod = server.get(resource, name).await?.value();
    let place = match subresource {
        Subresource::PortForward => format!("/portForward/{}/{}", name.namespace, name.name),
        _ => {
            let container = container(&pod, call.query.get("container"), &name.name)?;
            format!(
                "/{}/{}/{}/{container}",
                subresource.name(),
                name.namespace,
                name.name
            )
        }
    };
    if cells::text(&pod, "/spec/nodeName").is_empty() {
        return Err(Problem::bad_request(format!(
            "pod {} does not have a host assigned",
            name.name
        )));
    }
    let client = asked.upgrade.filter(|_| call.headers.contains_key(UPGRADE));
    let client = client.ok_or_else(|| Problem::bad_request("Upgrade request required"))?;
    let node = node_of(server, &pod).await?;
    let pairs = call.query.pairs().filter_map(|(key, value)| {
        let value = || value.to_owned();
        Some(match key {
            "stdin" | "stdout" | "stderr" | "tty" => {
                let on = sets(&value());
                let key = match key {
                    "stdin" => "input",
                    "stdout" => "output",
                    "stderr" => "error",
                    other => other,
                };
                return on.then(|| (key, "1".to_owned()));
            }
            "command" => ("command", value()),
            "ports" => ("port", value()),
            _ => return None,
        })
    });
    let path = format!("{place}{}", query_of(pairs));
    let mut request = http::Request::builder().method(asked.method).uri(path);
    if let Some(headers) = request.headers_mut() {
        *headers = passed_on(&call.headers);
    }
    let request = request
        .header(HOST, node.host())
        .body(Body::empty())
        .map_err(Problem::internal)?;
    let mut answered = node
        .ask(&server.tasks, request)
        .await
        .map_err(|e| unreachable(&e))?;
    if answered.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(words(answered).await);
    }
    let to_node = hyper::upgrade::on(&mut answered);
    let stop = server.stop.clone();
    server.tasks.spawn(async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = pipe(client, to_node) => {}
        }
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *response.headers_mut() = answered.headers().clone();
    Ok(response)
}

async fn pipe(client: OnUpgrade, node: OnUpgrade) {
    let both = tokio::try_join!(client, node);
    let Ok((client, node)) = both else {
        return;
    };
    let (mut client, mut node) = (TokioIo::new(client), TokioIo::new(node));
    if let Err(error) = tokio::io::copy_bidirectional(&mut client, &mut node).await {
        tracing::debug!(%error, "a stream to a node broke");
    }
}

/// Everything that belongs to the client's upgrade, and nothing that says who it is.
fn passed_on(headers: &HeaderMap) -> HeaderMap {
    let passes = |name: &str| {
        name == UPGRADE.as_str() || name.starts_with("sec-websocket-") || name == "x-stream-protocol-version"
    };
    let mut out = HeaderMap::new();
    for (name, value) in headers {
        if passes(name.as_str()) && name != AUTHORIZATION {
            out.append(name.clone(), value.clone());
        }
    }
    // A token may come as a sub-protocol; it is not the node's business.
    let own: Vec<_> = out
        .get_all("sec-websocket-protocol")
        .iter()
        .filter_map(|v| v.to_str().ok())
        .collect();
    let kept: Vec<&str> = own
        .iter()
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .filter(|protocol| !protocol.starts_with("base64url.bearer.authorization.k8s.io."))
        .collect();
    let kept = kept.join(", ");
    if let Ok(value) = http::HeaderValue::from_str(&kept)
        && !kept.is_empty()
    {
        out.insert("sec-websocket-protocol", value);
    }
    out.insert(CONNECTION, http::HeaderValue::from_static("Upgrade"));
    out
}

fn query_of<'a, V: AsRef<str>>(pairs: impl Iterator<Item = (&'a str, V)>) -> String {
    let mut query = String::new();
    for (key, value) in pairs {
        query.push(if query.is_empty() { '?' } else { '&' });
        query.push_str(key);
        query.push('=');
        for byte in value.as_ref().bytes() {
            if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
                query.push(char::from(byte));
            } else {
                // Writing to a text does not fail.
                let _ = write!(query, "%{byte:02X}");
            }
        }
    }
    query
}

/// The container that is meant: the one named, else the one the pod says, else its only one.
fn container(pod: &Value, asked: &str, name: &str) -> Result<String, Problem> {
    let of = |pointer: &str| -> Vec<String> {
        cells::items(pod, pointer)
            .map(|c| cells::text(c, "/name").to_owned())
            .collect()
    };
    let containers = of("/spec/containers");
    let (init, debug) = (of("/spec/initContainers"), of("/spec/ephemeralContainers"));
    if asked.is_empty() {
        let default = pod["metadata"]["annotations"]["kubectl.kubernetes.io/default-container"].as_str();
        return match (default, containers.as_slice()) {
            (Some(named), _) if containers.iter().any(|c| c == named) => Ok(named.to_owned()),
            (_, [only]) => Ok(only.clone()),
            _ => {
                let mut why = format!(
                    "a container name must be specified for pod {name}, choose one of: [{}]",
                    containers.join(" ")
                );
                if !init.is_empty() {
                    // Writing to a text does not fail.
                    let _ = write!(why, " or one of the init containers: [{}]", init.join(" "));
                }
                Err(Problem::bad_request(why))
            }
        };
    }
    let known = containers.iter().chain(&init).chain(&debug).any(|c| c == asked);
    if known {
        return Ok(asked.to_owned());
    }
    Err(Problem::bad_request(format!(
        "container {asked} is not valid for pod {name}"
    )))
}

async fn node_of(server: &Server, pod: &Value) -> Result<NodePort, Problem> {
    let nodes = kinds::find("", "v1", "nodes").ok_or_else(Problem::no_such_resource)?;
    let name = Name {
        namespace: String::new(),
        name: cells::text(pod, "/spec/nodeName").to_owned(),
    };
    let node = server.get(nodes, &name).await?.value();
    let key = server
        .node_key
        .as_ref()
        .ok_or_else(|| Problem::internal("the nodes' port has no key"))?;
    NodePort::of(&node, key).map_err(|e| unreachable(&e))
}

/// A node that does not answer is the server's trouble, not the client's.
fn unreachable(error: &NodePortError) -> Problem {
    let mut problem = Problem::internal(error.words());
    problem.message = error.words();
    problem
}

/// What a node says against it.
async fn words(answered: http::Response<hyper::body::Incoming>) -> Problem {
    let status = answered.status();
    let body = Limited::new(answered.into_body(), MAX_WORDS).collect().await;
    let said = body
        .map(|body| String::from_utf8_lossy(&body.to_bytes()).trim().to_owned())
        .unwrap_or_default();
    let reason = match status.as_u16() {
        400 => Reason::BadRequest,
        401 => Reason::Unauthorized,
        403 => Reason::Forbidden,
        404 => Reason::NotFound,
        405 => Reason::MethodNotAllowed,
        503 => Reason::ServiceUnavailable,
        504 => Reason::Timeout,
        _ => Reason::InternalError,
    };
    let said = if said.is_empty() { status.to_string() } else { said };
    let mut problem = Problem::new(reason, said).with(Details::default());
    problem.code = status.as_u16().max(400);
    problem
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_container_is_the_one_that_is_meant() {
        let pod = json!({"spec": {"containers": [{"name": "a"}, {"name": "b"}], "initContainers": [{"name": "i"}]}});
        assert_eq!(container(&pod, "i", "p").unwrap(), "i");
        assert_eq!(
            container(&pod, "x", "p").unwrap_err().message,
            "container x is not valid for pod p"
        );
        let unsaid = container(&pod, "", "p").unwrap_err().message;
        assert_eq!(
            unsaid,
            "a container name must be specified for pod p, choose one of: [a b] or one of the init containers: [i]"
        );
        assert_eq!(
            container(&json!({"spec": {"containers": [{"name": "a"}]}}), "", "p").unwrap(),
            "a"
        );
    }

    #[test]
    fn a_token_does_not_go_on_to_the_node() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Bearer x"),
            ("upgrade", "websocket"),
            (
                "sec-websocket-protocol",
                "base64url.bearer.authorization.k8s.io.eA, v4.channel.k8s.io",
            ),
            ("cookie", "a=b"),
        ] {
            headers.insert(name, http::HeaderValue::from_static(value));
        }
        let passed = passed_on(&headers);
        assert_eq!(passed["sec-websocket-protocol"], "v4.channel.k8s.io");
        assert!(!passed.contains_key("authorization") && !passed.contains_key("cookie"));
    }
}
