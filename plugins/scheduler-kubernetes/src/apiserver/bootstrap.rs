//! What a cluster has from its first moment: four namespaces; and in each namespace, whenever it is made, an
//! account for its pods and the certificate of the server that they find beside their token.

use super::access::User;
use super::call::{Call, Server, store_problem};
use super::kinds::{self, Resource};
use super::request::accept::Accept;
use super::request::query::Query;
use super::storage::Key;
use super::verbs::create;
use crate::object::apply::Writer;
use crate::object::problem::{Problem, Reason};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// The namespaces that are always there.
const NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];
const ACCOUNT: &str = "default";
const ROOT_CERTIFICATE: &str = "kube-root-ca.crt";
/// What fails is tried again after so long.
const RETRY: Duration = Duration::from_secs(1);

/// Makes what is missing.
///
/// # Errors
/// What the store says.
pub async fn first(server: &Server) -> Result<(), Problem> {
    for name in NAMESPACES {
        let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
        ensure(server, "namespaces", "", name, namespace).await?;
        furnish(server, name).await?;
    }
    Ok(())
}

/// Furnishes each namespace, as long as the server runs; what somebody deletes comes back.
pub async fn keep(server: Arc<Server>) {
    let watched = ["namespaces", "serviceaccounts", "configmaps"];
    let mut changed: Vec<_> = watched
        .iter()
        .map(|name| server.storage.cache(name).subscribe())
        .collect();
    loop {
        let done = bare(&server).await;
        if let Err(problem) = &done {
            tracing::warn!(%problem, "a namespace could not be furnished");
        }
        let wait = if done.is_ok() {
            Duration::from_secs(3600)
        } else {
            RETRY
        };
        let any =
            futures::future::select_all(changed.iter_mut().map(|receiver| Box::pin(receiver.changed())));
        tokio::select! {
            () = server.stop.cancelled() => return,
            _ = any => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

async fn bare(server: &Server) -> Result<(), Problem> {
    let namespaces = server.storage.cache("namespaces").list("");
    for (key, namespace) in namespaces.objects {
        if namespace.selectable().field("status.phase") != "Terminating" {
            furnish(server, key.as_str()).await?;
        }
    }
    Ok(())
}

async fn furnish(server: &Server, namespace: &str) -> Result<(), Problem> {
    let account = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": ACCOUNT } });
    ensure(server, "serviceaccounts", namespace, ACCOUNT, account).await?;
    let certificate = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": ROOT_CERTIFICATE,
            "annotations": {
                "kubernetes.io/description": "The certificate of the API server; empty where it is served without TLS.",
            },
        },
        "data": { "ca.crt": "" },
    });
    ensure(server, "configmaps", namespace, ROOT_CERTIFICATE, certificate).await
}

async fn ensure(
    server: &Server,
    plural: &str,
    namespace: &str,
    name: &str,
    object: Value,
) -> Result<(), Problem> {
    let resource: &'static Resource = kinds::find("", "v1", plural).ok_or_else(Problem::no_such_resource)?;
    let key = Key::new(namespace, name);
    server.storage.settled().await.map_err(|e| store_problem(&e))?;
    if server.storage.cache(resource.qualified).get(&key).is_some() {
        return Ok(());
    }
    let call = Call {
        user: User::admin(),
        query: Query::default(),
        headers: http::HeaderMap::new(),
        body: bytes::Bytes::new(),
        accept: Accept::json(),
        now: Timestamp::now(),
    };
    let by = Writer {
        manager: "plenum",
        subresource: "",
        now: call.now,
    };
    match create::new(server, &call, resource, namespace, object, false, Some(by)).await {
        Ok(_) => Ok(()),
        // Somebody else made it, or the namespace went in between.
        Err(problem)
            if matches!(
                problem.reason,
                Reason::AlreadyExists | Reason::NotFound | Reason::Forbidden
            ) =>
        {
            Ok(())
        }
        Err(problem) => Err(problem),
    }
}
