//! What `apply` needs of a Kubernetes door: objects are applied by the server, as `kubectl apply --server-side` does
//! it, and watched until they are what they say.

use crate::door::{Door, code_of, text};
use crate::failure::{Done, Exit, Failure};
use crate::output;
use crate::output::progress::Progress;
use crate::session::Session;
use crate::wait::WaitArgs;
use plenum_model::code;
use reqwest::{Method, StatusCode};
use serde::Serialize;
use serde_json::Value;
use std::process::ExitCode;
use std::time::Duration;

const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The manager of the fields that are applied.
const MANAGER: &str = "plenum";

/// Applies objects in their order, then waits until what runs of them does.
pub(crate) async fn apply(objects: &[Value], session: &Session<'_>, wait: &WaitArgs) -> Done {
    let door = Door::new("kubernetes", session.target.door("kubernetes")?)?;
    let mut applied = Vec::new();
    for object in objects {
        applied.push(Applied::apply(&door, object).await?);
    }
    output::names(session.global, "changes", &applied, |a| a.id.clone())?;
    if wait.detach {
        return Ok(ExitCode::SUCCESS);
    }
    let outcome = tokio::select! {
        outcome = until_ready(&door, &applied) => outcome,
        () = tokio::time::sleep(wait.timeout) => Err(late(&door, &applied).await),
        _ = tokio::signal::ctrl_c() => Err(going("stopped watching; the change goes on")),
    };
    outcome.map(|()| ExitCode::SUCCESS)
}

/// An object that the server has taken.
#[derive(Debug, Clone, Serialize)]
struct Applied {
    /// `kubernetes/NAMESPACE/NAME`, without a namespace for what is in none.
    id: String,
    kind: String,
    #[serde(skip)]
    path: Vec<String>,
}

impl Applied {
    async fn apply(door: &Door, object: &Value) -> Result<Self, Failure> {
        let field = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let (version, kind) = (field("/apiVersion").unwrap_or(""), field("/kind").unwrap_or(""));
        let Some(name) = field("/metadata/name") else {
            let message = format!("a {kind} without a name cannot be applied");
            return Err(Failure::new(code::INVALID, message).at("metadata.name"));
        };
        let mut path = root_of(version);
        let (plural, namespaced) = resource(door, &path, kind).await?;
        let namespace = field("/metadata/namespace").unwrap_or("default");
        let mut id = "kubernetes/".to_owned();
        if namespaced {
            path.extend(["namespaces".to_owned(), namespace.to_owned()]);
            id += &format!("{namespace}/");
        }
        path.extend([plural, name.to_owned()]);
        id += name;
        let request = door
            .request(Method::PATCH, path.iter().map(String::as_str))
            .query(&[("fieldManager", MANAGER), ("fieldValidation", "Strict")])
            .header("Content-Type", "application/apply-patch+yaml")
            .body(object.to_string());
        let (status, body) = door.send(request).await?;
        if !status.is_success() {
            return Err(refused(status, &body).at(id));
        }
        let kind = kind.to_owned();
        Ok(Self { id, kind, path })
    }

    async fn look(&self, door: &Door) -> Result<Look, Failure> {
        if !matches!(self.kind.as_str(), "Deployment" | "Pod") {
            return Ok(Look::Ready);
        }
        let request = door.request(Method::GET, self.path.iter().map(String::as_str));
        let (status, object) = door.send(request).await?;
        if !status.is_success() {
            return Err(refused(status, &object).at(self.id.clone()));
        }
        Ok(match self.kind.as_str() {
            "Deployment" => deployment(&object),
            _ => pod(&object),
        })
    }
}

/// How far an object is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Look {
    Ready,
    Going(String),
    Failed(String),
}

/// `v1` is under `/api`, `apps/v1` under `/apis`.
fn root_of(version: &str) -> Vec<String> {
    let root = if version.contains('/') { "apis" } else { "api" };
    std::iter::once(root)
        .chain(version.split('/'))
        .map(str::to_owned)
        .collect()
}

/// The plural of a kind, and whether its objects are in namespaces.
async fn resource(door: &Door, group: &[String], kind: &str) -> Result<(String, bool), Failure> {
    let request = door.request(Method::GET, group.iter().map(String::as_str));
    let (status, list) = door.send(request).await?;
    let resources = list.get("resources").and_then(Value::as_array);
    let found = resources.into_iter().flatten().find(|r| {
        let name = r.get("name").and_then(Value::as_str).unwrap_or("");
        r.get("kind").and_then(Value::as_str) == Some(kind) && !name.contains('/')
    });
    match found {
        Some(r) => Ok((
            text(r, "name").unwrap_or_default(),
            r.get("namespaced") == Some(&Value::Bool(true)),
        )),
        None if status.is_success() || status == StatusCode::NOT_FOUND => Err(Failure::new(
            code::NOT_SUPPORTED,
            format!("the kubernetes door has no {kind} in {}", group[1..].join("/")),
        )
        .hint("kubectl api-resources")),
        None => Err(refused(status, &list)),
    }
}

/// A `Status`, as the door gives it.
fn refused(status: StatusCode, body: &Value) -> Failure {
    let message = text(body, "message").unwrap_or_else(|| format!("the door answered {status}"));
    Failure::new(code_of(status), message)
}

async fn until_ready(door: &Door, applied: &[Applied]) -> Result<(), Failure> {
    let mut progress = Progress::default();
    loop {
        let mut going = Vec::new();
        for object in applied {
            match object.look(door).await? {
                Look::Ready => {}
                Look::Going(how) => going.push(format!("{}  {how}", object.id)),
                Look::Failed(why) => {
                    progress.end();
                    let message = format!("{} cannot become ready: {why}", object.id);
                    let failure = Failure::new(code::UNAVAILABLE, message).exit(Exit::Failed);
                    return Err(failure.at(object.id.clone()).hint(format!(
                        "plenum why {}\nkubectl describe {} {}",
                        object.id,
                        object.kind.to_lowercase(),
                        object.path.last().map_or("", String::as_str)
                    )));
                }
            }
        }
        if going.is_empty() {
            progress.show("ready".to_owned());
            progress.end();
            return Ok(());
        }
        progress.show(going.join("    "));
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn number(object: &Value, pointer: &str) -> u64 {
    object.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
}

/// As `kubectl rollout status` looks at it.
fn deployment(object: &Value) -> Look {
    let wanted = object
        .pointer("/spec/replicas")
        .and_then(Value::as_u64)
        .unwrap_or(1);
    let (updated, all) = (
        number(object, "/status/updatedReplicas"),
        number(object, "/status/replicas"),
    );
    let available = number(object, "/status/availableReplicas");
    let seen = number(object, "/status/observedGeneration") >= number(object, "/metadata/generation");
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    let mut conditions = conditions.into_iter().flatten();
    let late = conditions.find(|c| text(c, "reason").as_deref() == Some("ProgressDeadlineExceeded"));
    match late {
        Some(condition) if seen => Look::Failed(text(condition, "message").unwrap_or_default()),
        Some(_) | None if seen && updated == wanted && all == wanted && available == wanted => Look::Ready,
        Some(_) | None => Look::Going(format!("{available}/{wanted} ready")),
    }
}

fn pod(object: &Value) -> Look {
    let phase = object
        .pointer("/status/phase")
        .and_then(Value::as_str)
        .unwrap_or("Pending");
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    let ready = conditions
        .into_iter()
        .flatten()
        .any(|c| text(c, "type").as_deref() == Some("Ready") && text(c, "status").as_deref() == Some("True"));
    match phase {
        "Succeeded" => Look::Ready,
        "Failed" => Look::Failed(
            object
                .pointer("/status/message")
                .and_then(Value::as_str)
                .unwrap_or("the pod has failed")
                .to_owned(),
        ),
        _ if ready => Look::Ready,
        _ => Look::Going(phase.to_owned()),
    }
}

async fn late(door: &Door, applied: &[Applied]) -> Failure {
    let mut names = Vec::new();
    for object in applied {
        if !matches!(object.look(door).await, Ok(Look::Ready)) {
            names.push(object.id.clone());
        }
    }
    going(&format!("{} is not ready in time", names.join(", "))).hint(format!(
        "plenum ps\nplenum why {}",
        names.first().map_or("", String::as_str)
    ))
}

fn going(message: &str) -> Failure {
    Failure::new(code::UNAVAILABLE, message)
        .exit(Exit::StillGoing)
        .hint("plenum ps")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_deployment_is_ready_when_all_of_its_newest_are_available() {
        let object =
            |status: Value| json!({"metadata": {"generation": 2}, "spec": {"replicas": 2}, "status": status});
        let all =
            json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2});
        assert_eq!(deployment(&object(all.clone())), Look::Ready);
        let mut old = all.clone();
        old["observedGeneration"] = json!(1);
        assert_eq!(deployment(&object(old)), Look::Going("2/2 ready".into()));
        let mut stuck = all;
        stuck["availableReplicas"] = json!(1);
        stuck["conditions"] =
            json!([{"type": "Progressing", "reason": "ProgressDeadlineExceeded", "message": "late"}]);
        assert_eq!(deployment(&object(stuck)), Look::Failed("late".into()));
    }

    #[test]
    fn a_pod_is_ready_when_it_serves_or_has_done_its_work() {
        let object = |phase: &str, ready: &str| json!({"status": {"phase": phase, "conditions": [{"type": "Ready", "status": ready}]}});
        assert_eq!(pod(&object("Running", "True")), Look::Ready);
        assert_eq!(pod(&object("Running", "False")), Look::Going("Running".into()));
        assert_eq!(pod(&object("Succeeded", "False")), Look::Ready);
        assert!(matches!(pod(&object("Failed", "False")), Look::Failed(_)));
    }

    #[test]
    fn core_kinds_are_under_api_and_others_under_apis() {
        assert_eq!(root_of("v1"), ["api", "v1"]);
        assert_eq!(root_of("apps/v1"), ["apis", "apps", "v1"]);
    }
}
