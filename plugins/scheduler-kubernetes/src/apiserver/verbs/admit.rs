//! What a new object meets before it is kept: its namespace must take it, and a pod gets what every pod has.

use super::super::call::Server;
use super::super::kinds::{self, Resource};
use super::super::request::target::Name;
use super::create::suffix;
use crate::object::defaults;
use crate::object::problem::Problem;
use serde_json::{Value, json};

/// Where a pod finds its account's token.
const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Seconds that a pod's token is good for; the odd seven marks tokens that were not asked for.
const TOKEN_SECONDS: i64 = 3607;

/// The namespace must be there and not on its way out.
///
/// # Errors
/// 404, or 403 with the cause `NamespaceTerminating`.
pub async fn namespace(server: &Server, resource: &Resource, name: &Name) -> Result<(), Problem> {
    let namespaces = kinds::find("", "v1", "namespaces").ok_or_else(Problem::no_such_resource)?;
    let of = Name {
        namespace: String::new(),
        name: name.namespace.clone(),
    };
    let found = server.get(namespaces, &of).await?;
    if found.selectable().field("status.phase") != "Terminating" {
        return Ok(());
    }
    let namespace = &name.namespace;
    let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
    Err(
        Problem::forbidden(resource.group, resource.plural, &name.name, &why).cause(
            "NamespaceTerminating",
            format!("namespace {namespace} is being terminated"),
            "metadata.namespace",
        ),
    )
}

/// What is added to a new object.
///
/// # Errors
/// 403 for a pod whose service account is not there.
pub fn create(server: &Server, resource: &Resource, name: &Name, object: &mut Value) -> Result<(), Problem> {
    match resource.kind {
        "Pod" => pod(server, name, object),
        _ => Ok(()),
    }
}

fn pod(server: &Server, name: &Name, pod: &mut Value) -> Result<(), Problem> {
    defaults::node_tolerations(pod);
    if let Err(unknown) = defaults::priority(pod) {
        return Err(Problem::forbidden("", "pods", &name.name, &unknown.to_string()));
    }
    if pod["metadata"]["annotations"]["kubernetes.io/config.mirror"].is_string() {
        return Ok(());
    }
    let account = match pod["spec"]["serviceAccountName"].as_str().unwrap_or_default() {
        "" => "default".to_owned(),
        account => account.to_owned(),
    };
    let key = Name {
        namespace: name.namespace.clone(),
        name: account.clone(),
    };
    let Some(found) = server.storage.cache("serviceaccounts").get(&key.key()) else {
        let why = format!(
            "error looking up service account {}/{account}: serviceaccount {account:?} not found",
            name.namespace
        );
        return Err(Problem::forbidden("", "pods", &name.name, &why));
    };
    pod["spec"]["serviceAccountName"] = json!(account);
    pod["spec"]["serviceAccount"] = json!(account);
    let found = found.value();
    let secrets = &found["imagePullSecrets"];
    let none = pod["spec"]["imagePullSecrets"]
        .as_array()
        .is_none_or(Vec::is_empty);
    if none && secrets.as_array().is_some_and(|list| !list.is_empty()) {
        pod["spec"]["imagePullSecrets"] = secrets.clone();
    }
    let of_pod = pod["spec"]["automountServiceAccountToken"].as_bool();
    let of_account = found["automountServiceAccountToken"].as_bool();
    if of_pod.or(of_account).unwrap_or(true) {
        mount_token(&mut pod["spec"]);
    }
    Ok(())
}

fn list<'a>(of: &'a mut Value, field: &str) -> Option<&'a mut Vec<Value>> {
    if !of[field].is_array() {
        of[field] = json!([]);
    }
    of[field].as_array_mut()
}

/// Every container that has nothing at the place gets the token there.
fn mount_token(spec: &mut Value) {
    // A volume that a client copied from another pod serves as well.
    let copied = spec["volumes"]
        .as_array()
        .into_iter()
        .flatten()
        .find_map(|volume| {
            let name = volume["name"].as_str()?;
            let is_token = name.starts_with("kube-api-access-") && volume["projected"].is_object();
            is_token.then(|| name.to_owned())
        });
    let is_new = copied.is_none();
    let volume = copied.unwrap_or_else(|| format!("kube-api-access-{}", suffix()));
    let mut used = false;
    for field in ["initContainers", "containers"] {
        for container in spec
            .get_mut(field)
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            let Some(mounts) = list(container, "volumeMounts") else {
                continue;
            };
            if mounts.iter().any(|mount| mount["mountPath"] == TOKEN_PATH) {
                continue;
            }
            mounts.push(json!({ "name": volume, "readOnly": true, "mountPath": TOKEN_PATH }));
            used = true;
        }
    }
    if used
        && is_new
        && let Some(volumes) = list(spec, "volumes")
    {
        volumes.push(token_volume(&volume));
    }
}

fn token_volume(name: &str) -> Value {
    json!({
        "name": name,
        "projected": {
            "defaultMode": 420,
            "sources": [
                { "serviceAccountToken": { "expirationSeconds": TOKEN_SECONDS, "path": "token" } },
                { "configMap": { "name": "kube-root-ca.crt", "items": [{ "key": "ca.crt", "path": "ca.crt" }] } },
                { "downwardAPI": { "items": [{
                    "path": "namespace",
                    "fieldRef": { "apiVersion": "v1", "fieldPath": "metadata.namespace" },
                }] } },
            ],
        },
    })
}

/// Whether the name of the object in a body is that of the path.
///
/// # Errors
/// 400 where it is another, or its namespace is.
pub fn named_as(name: &Name, object: &Value) -> Result<(), Problem> {
    let given = object["metadata"]["name"].as_str().unwrap_or_default();
    if given.is_empty() {
        return Err(Problem::bad_request("the name of the object must be provided"));
    }
    if given != name.name {
        let why = format!(
            "the name of the object ({given}) does not match the name on the URL ({})",
            name.name
        );
        return Err(Problem::bad_request(why));
    }
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
    if !namespace.is_empty() && namespace != name.namespace && !name.namespace.is_empty() {
        let why = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(Problem::bad_request(why));
    }
    Ok(())
}
