//! What the server says of itself.

use super::Door;
use super::reply::{Answer, json, ok};
use super::request::Query;
use crate::refusal::Refusal;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use std::sync::Arc;

/// The Marathon that this door behaves like: the last whose answers the typed client understands.
const MARATHON: &str = "1.8.244";

#[derive(Serialize)]
struct Info<'a> {
    name: &'static str,
    version: &'static str,
    buildref: &'static str,
    elected: bool,
    leader: &'a str,
    #[serde(rename = "frameworkId")]
    framework_id: &'a str,
    marathon_config: Config<'a>,
    zookeeper_config: Empty,
    http_config: Http,
}

/// Only what means something here.
#[derive(Serialize)]
struct Config<'a> {
    features: [(); 0],
    framework_name: &'a str,
    ha: bool,
    local_port_min: u16,
    local_port_max: u16,
}

#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
struct Http {
    http_port: u16,
}

#[derive(Serialize)]
struct Leader<'a> {
    leader: &'a str,
}

#[derive(Serialize)]
struct Plugins {
    plugins: [(); 0],
}

/// `GET /v2/info`
pub(super) async fn info(State(door): State<Arc<Door>>) -> Response {
    let port = door
        .authority
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse().ok())
        .unwrap_or(0);
    let info = Info {
        name: "marathon",
        version: MARATHON,
        buildref: concat!("plenum-", env!("CARGO_PKG_VERSION")),
        elected: true,
        leader: &door.authority,
        framework_id: door.scheduler.as_str(),
        marathon_config: Config {
            features: [],
            framework_name: door.scheduler.as_str(),
            ha: false,
            local_port_min: door.config.local_port_min,
            local_port_max: door.config.local_port_max,
        },
        zookeeper_config: Empty {},
        http_config: Http { http_port: port },
    };
    json(StatusCode::OK, &info)
}

/// `GET /v2/leader`
pub(super) async fn leader(State(door): State<Arc<Door>>) -> Response {
    json(
        StatusCode::OK,
        &Leader {
            leader: &door.authority,
        },
    )
}

#[derive(Serialize)]
struct Message {
    message: &'static str,
}

/// `DELETE /v2/leader`
pub(super) async fn abdicate(State(door): State<Arc<Door>>, query: Query) -> Answer {
    for unserved in ["backup", "restore"] {
        if query.0.get(unserved).is_some() {
            let why = format!("`{unserved}` is not supported by this version of Plenum");
            return Err(Refusal::BadRequest(why).into());
        }
    }
    door.leadership.abdicate();
    ok(&Message {
        message: "Leadership abdicated",
    })
}

/// `GET /v2/plugins`
pub(super) async fn plugins() -> Response {
    json(StatusCode::OK, &Plugins { plugins: [] })
}

/// `GET /ping`: quoted for those who ask for JSON.
pub(super) async fn ping(headers: HeaderMap) -> Response {
    let asks_json = headers
        .get(ACCEPT)
        .and_then(|v| v.to_str().ok())
        .is_some_and(|v| v.contains("application/json"));
    if asks_json {
        json(StatusCode::OK, &"pong")
    } else {
        ([(CONTENT_TYPE, "text/plain")], "pong").into_response()
    }
}
