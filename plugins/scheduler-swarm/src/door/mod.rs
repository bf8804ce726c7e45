//! The HTTP side: thin. Each file is one resource; it reads the request, asks the desk or looks at what is
//! wanted and observed, and answers.

mod blobs;
mod logs;
mod look;
mod nodes;
mod reply;
mod services;
pub(crate) mod swarm;
mod system;
mod tasks;
mod version;

pub(crate) use version::versioned;

use crate::container;
use crate::error::ApiError;
use crate::image;
use crate::service::blob::{ConfigRecord, SecretRecord};
use crate::state::Shared;
use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use http::StatusCode;

/// All routes, without a version in their paths.
pub(crate) fn router(state: Shared) -> Router {
    let own = Router::new()
        .route("/_ping", get(system::ping))
        .route("/version", get(system::version))
        .route("/info", get(system::info))
        .route("/events", get(system::events))
        .route("/swarm", get(swarm::inspect))
        .route("/swarm/init", post(swarm::init))
        .route("/swarm/join", post(swarm::join))
        .route("/swarm/leave", post(swarm::leave))
        .route("/swarm/update", post(swarm::update))
        .route("/swarm/unlockkey", get(swarm::unlock_key))
        .route("/swarm/unlock", post(swarm::no_lock))
        .route("/nodes", get(nodes::list))
        .route("/nodes/{id}", get(nodes::inspect).delete(nodes::remove))
        .route("/nodes/{id}/update", post(nodes::update))
        .route("/services", get(services::list))
        .route("/services/create", post(services::create))
        .route("/services/{id}", get(services::inspect).delete(services::remove))
        .route("/services/{id}/update", post(services::update))
        .route("/services/{id}/logs", get(logs::service))
        .route("/tasks", get(tasks::list))
        .route("/tasks/{id}", get(tasks::inspect))
        .route("/tasks/{id}/logs", get(logs::task))
        .route("/networks", get(system::networks))
        .route("/networks/create", post(system::no_network_kind))
        .route("/networks/{id}", any(system::no_network))
        .route("/volumes", get(system::volumes))
        .route("/volumes/create", post(system::no_volume_kind))
        .route("/volumes/{name}", any(system::no_volume))
        .route("/plugins", get(system::plugins))
        .route("/plugins/{name}/json", get(system::no_plugin))
        .route("/distribution/{*name}", get(system::no_distribution))
        .route("/build", post(system::no_build))
        .route("/system/df", get(system::no_disk_usage))
        .merge(blobs::routes::<SecretRecord>())
        .merge(blobs::routes::<ConfigRecord>())
        .with_state(state.clone());
    own.merge(container::routes(state.clone()))
        .merge(image::routes(state))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
}

async fn no_route() -> Response {
    ApiError::missing("page not found").into_response()
}

async fn no_method() -> Response {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method not allowed").into_response()
}
