//! The resources of the API, one file each. What is registered here is in `/openapi.json` by the same line.

mod events;
mod exec;
mod health;
mod logs;
mod nodes;
mod schedulers;
mod simulate;
mod tasks;
mod tenants;
mod workloads;

pub(crate) use health::Document;

use crate::problem::Problem;
use crate::state::App;
use axum::Router;
use http::{Method, StatusCode, Uri};
use plenum_client::v1::error::ErrorBody;
use plenum_model::code;
use std::sync::Arc;
use utoipa::OpenApi;
use utoipa::openapi::RefOr;
use utoipa::openapi::path::PathItem;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What stands above the paths.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Plenum",
        description = "One machine pool for every orchestrator: nodes, tasks, tenants, events, streams.\n\n\
            Times are RFC 3339 in UTC; cpu is in thousandths of a core; memory and disk in bytes. Errors have one \
            shape with a stable code.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(ErrorBody))
)]
struct Head;

/// All routes and the document that describes them.
pub(crate) fn all(version: &str) -> (Router<App>, Arc<str>) {
    let (router, mut document) = OpenApiRouter::with_openapi(Head::openapi())
        .routes(routes!(health::info))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(health::metrics))
        .routes(routes!(nodes::list))
        .routes(routes!(nodes::show, nodes::remove))
        .routes(routes!(nodes::cordon))
        .routes(routes!(nodes::drain))
        .routes(routes!(nodes::uncordon))
        .routes(routes!(nodes::taint))
        .routes(routes!(tasks::list))
        .routes(routes!(tasks::show))
        .routes(routes!(tasks::stop))
        .routes(routes!(tasks::why))
        .routes(routes!(nodes::why))
        .routes(routes!(tenants::why))
        .routes(routes!(tasks::stats))
        .routes(routes!(logs::logs))
        .routes(routes!(exec::exec))
        .routes(routes!(workloads::list))
        .routes(routes!(schedulers::list))
        .routes(routes!(tenants::list))
        .routes(routes!(tenants::show, tenants::set))
        .routes(routes!(simulate::simulate))
        .routes(routes!(events::events))
        .routes(routes!(health::openapi))
        .split_for_parts();
    version.clone_into(&mut document.info.version);
    let document: Arc<str> = text(document).into();
    (
        router
            .fallback(nothing_there)
            .method_not_allowed_fallback(not_this_way),
        document,
    )
}

/// The document as JSON. A parameter that takes several segments has a mark in the router that OpenAPI does not know.
fn text(mut document: utoipa::openapi::OpenApi) -> String {
    let paths = std::mem::take(&mut document.paths.paths);
    document.paths.paths = paths
        .into_iter()
        .map(|(path, mut item)| {
            describe(&mut item);
            (path.replace("{*", "{"), item)
        })
        .collect();
    serde_json::to_string(&document).expect("plain data with text keys always serialises")
}

/// OpenAPI wants a description of every answer, where a route gives none it is what HTTP calls the status, and
/// names of operations that differ, which are the tag's and the function's together.
fn describe(item: &mut PathItem) {
    let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete];
    for operation in operations.into_iter().flatten() {
        if let (Some(tag), Some(id)) = (operation.tags.iter().flatten().next(), &operation.operation_id) {
            operation.operation_id = Some(format!("{tag}_{id}"));
        }
        for (status, answer) in &mut operation.responses.responses {
            if let RefOr::T(answer) = answer
                && answer.description.is_empty()
            {
                let status = status.parse::<StatusCode>().ok();
                let reason = status.and_then(|s| s.canonical_reason()).unwrap_or("An answer");
                reason.clone_into(&mut answer.description);
            }
        }
    }
}

async fn nothing_there(method: Method, uri: Uri) -> Problem {
    Problem::new(code::NOT_FOUND, format!("there is no {method} {}", uri.path()))
        .at("path")
        .hint("/openapi.json lists what there is")
}

async fn not_this_way(method: Method, uri: Uri) -> Problem {
    Problem::new(code::INVALID, format!("{} does not take {method}", uri.path()))
        .with_status(http::StatusCode::METHOD_NOT_ALLOWED)
        .at("method")
        .hint("/openapi.json lists what there is")
}
