//! What the cluster says of itself.

use super::front::Front;
use crate::door::reply::{Answer, ok};
use axum::extract::State;
use http::header::CONTENT_TYPE;
use serde::Serialize;
use std::sync::Arc;

/// The DC/OS that this door behaves like; its Marathon is the one that `/v2/info` names.
const DCOS: &str = "1.13.9";

/// `GET /` and `HEAD /`, by which clients look whether anybody is there.
pub(super) async fn root() -> impl axum::response::IntoResponse {
    let text =
        "Plenum: the door of Marathon (/v2) and of the dcos command. Begin with `dcos cluster setup`.\n";
    ([(CONTENT_TYPE, "text/plain; charset=utf-8")], text)
}

#[derive(Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
struct Metadata {
    public_ipv4: String,
    cluster_id: String,
}

/// `GET /metadata`
pub(super) async fn metadata(State(front): State<Arc<Front>>) -> Answer {
    ok(&Metadata {
        public_ipv4: front.ip(),
        cluster_id: front.cluster.to_string(),
    })
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Version {
    #[serde(rename = "version")]
    version: &'static str,
    dcos_variant: &'static str,
    dcos_image_commit: &'static str,
    bootstrap_id: &'static str,
}

/// `GET /dcos-metadata/dcos-version.json`
pub(super) async fn version() -> Answer {
    ok(&Version {
        version: DCOS,
        dcos_variant: "open",
        dcos_image_commit: concat!("plenum-", env!("CARGO_PKG_VERSION")),
        bootstrap_id: concat!("plenum-", env!("CARGO_PKG_VERSION")),
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UiConfig {
    ui_configuration: Ui,
}

#[derive(Serialize)]
struct Ui {
    plugins: Plugins,
}

#[derive(Serialize)]
struct Plugins {
    mesos: Mesos,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Mesos {
    logging_strategy: &'static str,
}

/// `GET /dcos-metadata/ui-config.json`: logs are files of sandboxes.
pub(super) async fn ui_config() -> Answer {
    let mesos = Mesos {
        logging_strategy: "logrotate",
    };
    let plugins = Plugins { mesos };
    ok(&UiConfig {
        ui_configuration: Ui { plugins },
    })
}
