//! The front door of DC/OS, as far as its `dcos` command asks it: one file per surface. It stands on the same
//! port as Marathon's own `/v2`, which it shows under `/service/marathon` a second time.
//!
//! Reads of the pool are of the whole of it: every scheduler is a framework of the Mesos state, every node an
//! agent. `front` holds what the surfaces share, `view` what they read, `mesos` and `shown_…` the words they say it in. What is
//! not served is refused by name.

mod agent;
mod auth;
mod capabilities;
pub(crate) mod cluster;
mod dns;
mod exec;
mod files;
mod front;
mod health;
mod listing;
mod logs;
mod master;
mod mesos;
mod metadata;
mod operator;
mod recordio;
mod refused;
mod sandbox;
mod sessions;
mod shown_agent;
mod shown_framework;
mod shown_task;
mod summary;
mod tail;
mod view;

pub(crate) use front::Front;

use axum::Router;
use axum::routing::{any, get, head, post};
use http::request::Parts;
use std::sync::Arc;

/// Marathon's tree with the front door's round it.
pub(crate) fn router(marathon: Router, front: Arc<Front>) -> Router {
    let own = Router::new()
        .route("/", get(metadata::root))
        .route("/metadata", get(metadata::metadata))
        .route("/dcos-metadata/dcos-version.json", get(metadata::version))
        .route("/dcos-metadata/ui-config.json", get(metadata::ui_config))
        .route("/pkgpanda/active.buildinfo.full.json", head(auth::challenge))
        .route("/acs/api/v1/auth/login", post(auth::login))
        .route("/capabilities", get(capabilities::capabilities))
        .route("/mesos_dns/v1/hosts/{name}", get(dns::hosts))
        .route("/mesos/master/state.json", get(master::state))
        .route("/mesos/master/state", get(master::state))
        .route("/mesos/state.json", get(master::state))
        .route("/mesos/state", get(master::state))
        .route("/mesos/master/state-summary", get(summary::summary))
        .route("/mesos/state-summary", get(summary::summary))
        .route("/mesos/api/v1", post(operator::call))
        .route("/mesos/master/teardown", post(operator::teardown))
        .route("/system/health/v1/nodes/{address}/units", get(health::units))
        .route("/system/v1/logs/v2/task/{*rest}", get(logs::log));
    let own = NOT_SERVED.into_iter().fold(own, |router, at| {
        router.route(&format!("{at}/{{*rest}}"), any(refused::unserved))
    });
    let agent = agent_routes();
    own.nest("/slave/{id}", agent.clone())
        .nest("/agent/{id}", agent)
        .with_state(front)
        .nest("/service/marathon", marathon.clone())
        .merge(marathon)
}

/// What is asked of one agent.
fn agent_routes() -> Router<Arc<Front>> {
    Router::new()
        .route("/state.json", get(agent::state))
        .route("/state", get(agent::state))
        .route("/files/read.json", get(files::read))
        .route("/files/read", get(files::read))
        .route("/files/browse.json", get(files::browse))
        .route("/files/browse", get(files::browse))
        .route("/api/v1", post(exec::call))
        .fallback(refused::unserved)
}

/// Where the rest of DC/OS lives: what is not served there is refused by name, and with 404, which its clients
/// understand.
const NOT_SERVED: [&str; 11] = [
    "/acs",
    "/ca",
    "/cluster",
    "/cosmos",
    "/dcos-metadata",
    "/exhibitor",
    "/mesos",
    "/mesos_dns",
    "/package",
    "/service",
    "/system",
];

/// Whether a request of the front door may take as long as it likes.
pub(crate) fn is_long(request: &Parts) -> bool {
    let path = request.uri.path();
    path.ends_with("/api/v1") || path.starts_with("/system/v1/logs/")
}

/// Whether the body of a request of the front door is a stream of any length.
pub(crate) fn is_big(request: &Parts) -> bool {
    request.uri.path().ends_with("/api/v1")
}
