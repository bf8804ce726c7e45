//! `serviceaccounts/token`: a token for an account.

use super::super::answer;
use super::super::call::{Call, Server};
use super::super::kinds;
use super::super::request::target::Name;
use super::Subjects;
use super::tokens::{Grant, ISSUER};
use crate::object::decode;
use crate::object::problem::Problem;
use crate::object::schema;
use crate::object::validate;
use axum::response::Response;
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};

/// Seconds that a token is good for where the client does not say.
const DEFAULT_SECONDS: i64 = 3600;

/// Makes a token.
///
/// # Errors
/// 404 for an account or object that is not there, 409 for one of another uid, 422 for a time that is too short.
pub async fn create(server: &Server, call: &Call, account: &Name) -> Result<Response, Problem> {
    let kind = schema::lookup("authentication.k8s.io", "v1", "TokenRequest")
        .ok_or_else(Problem::no_such_resource)?;
    let mode = call.field_validation("CreateOptions")?;
    call.dry_run("CreateOptions")?;
    let decoded = decode::body(call.content_type(), &call.body, kind, mode)?;
    let mut request = decoded.object;
    let accounts = kinds::find("", "v1", "serviceaccounts").ok_or_else(Problem::no_such_resource)?;
    let found = server.get(accounts, account).await?.value();
    let errors = validate::create(kind, &request);
    if !errors.is_empty() {
        return Err(Problem::invalid(
            "authentication.k8s.io",
            "TokenRequest",
            &account.name,
            &errors,
        ));
    }
    let seconds = request["spec"]["expirationSeconds"]
        .as_i64()
        .unwrap_or(DEFAULT_SECONDS);
    let bound = bound(server, account, &request["spec"]["boundObjectRef"])?;
    let mut audiences: Vec<String> = Vec::new();
    for audience in request["spec"]["audiences"].as_array().into_iter().flatten() {
        audiences.extend(audience.as_str().map(str::to_owned));
    }
    if audiences.is_empty() {
        audiences.push(ISSUER.to_owned());
    }
    let issued = call.now.as_second();
    let token = server.tokens.make(&Grant {
        namespace: &account.namespace,
        account: &account.name,
        uid: found["metadata"]["uid"].as_str().unwrap_or_default(),
        audiences: &audiences,
        issued,
        expires: issued + seconds,
        bound,
    });
    let until = Timestamp::from_second(issued + seconds).map_err(Problem::internal)?;
    request["metadata"] = json!({
        "name": account.name,
        "namespace": account.namespace,
        "creationTimestamp": super::super::verbs::time(call.now),
    });
    request["spec"]["audiences"] = json!(audiences);
    request["spec"]["expirationSeconds"] = json!(seconds);
    if request["spec"].get("boundObjectRef").is_none() {
        request["spec"]["boundObjectRef"] = Value::Null;
    }
    request["status"] = json!({ "token": token, "expirationTimestamp": super::super::verbs::time(until) });
    let response = answer::value(call, StatusCode::CREATED, &request)?;
    Ok(answer::warned(response, &decoded.warnings))
}

fn bound(
    server: &Server,
    account: &Name,
    reference: &Value,
) -> Result<Option<(String, String, String)>, Problem> {
    if !reference.is_object() {
        return Ok(None);
    }
    let text = |field: &str| reference[field].as_str().unwrap_or_default();
    let (kind, name, uid) = (text("kind"), text("name"), text("uid"));
    let plural = match (kind, text("apiVersion")) {
        ("Pod", "v1") => "pods",
        ("Secret", "v1") => "secrets",
        ("Node", "v1") => "nodes",
        (kind, version) => {
            return Err(Problem::bad_request(format!(
                "cannot bind token to object of type {version}, Kind={kind}"
            )));
        }
    };
    let found = server.bound_uid(kind, &account.namespace, name);
    let found = found.ok_or_else(|| Problem::not_found("", plural, name))?;
    if !uid.is_empty() && uid != found {
        let why = format!(
            "the UID in the bound object reference ({uid}) does not match the UID in record. The object might have been deleted and then recreated"
        );
        return Err(Problem::conflict("", plural, name, &why));
    }
    Ok(Some((kind.to_owned(), name.to_owned(), found)))
}

impl Subjects for Server {
    fn account_uid(&self, namespace: &str, name: &str) -> Option<String> {
        self.uid_of("serviceaccounts", namespace, name)
    }

    fn bound_uid(&self, kind: &str, namespace: &str, name: &str) -> Option<String> {
        match kind {
            "Pod" => self.uid_of("pods", namespace, name),
            "Secret" => self.uid_of("secrets", namespace, name),
            "Node" => self.uid_of("nodes", "", name),
            _ => None,
        }
    }
}

impl Server {
    fn uid_of(&self, resource: &str, namespace: &str, name: &str) -> Option<String> {
        let name = Name {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        let found = self.storage.cache(resource).get(&name.key())?;
        Some(found.selectable().uid().to_owned())
    }
}
