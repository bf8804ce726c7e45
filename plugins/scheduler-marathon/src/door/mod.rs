//! The HTTP side of `/v2`: thin. Each file is one resource; it reads the request, asks the desk or looks at
//! what is wanted and observed, and answers. Paths arrive with doubled and trailing slashes made equal.

mod app_tasks;
mod apps;
mod deployments;
mod events;
mod group_path;
mod groups;
mod info;
mod kill;
mod queue;
pub(crate) mod reply;
pub(crate) mod request;
mod tasks;
mod unserved;
mod view;

use crate::config::MarathonConfig;
use crate::desk::Desk;
use crate::events::Hub;
use crate::leadership::Leadership;
use crate::planner::launches::Launches;
use crate::refusal::Refusal;
use crate::stamp::Stamp;
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, delete, get, post};
use http::header::{CACHE_CONTROL, EXPIRES, PRAGMA};
use http::{HeaderName, HeaderValue};
use plenum_contract::pool::Pool;
use plenum_model::ids::SchedulerId;
use plenum_sdk::driver::Waker;
use plenum_sdk::mirror::Mirror;
use plenum_sdk::time::Clock;
use reply::Refused;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What handlers work with.
pub(crate) struct Door {
    /// Changes, and what is wanted.
    pub(crate) desk: Desk,
    /// What is observed.
    pub(crate) mirror: Mirror,
    /// Delays, kills.
    pub(crate) launches: Arc<Launches>,
    /// Whether this instance leads.
    pub(crate) leadership: Leadership,
    /// Makes the planner look again.
    pub(crate) waker: Waker,
    /// Events.
    pub(crate) hub: Hub,
    /// Why tasks wait, node by node.
    pub(crate) pool: Arc<dyn Pool>,
    /// The plugin's configuration.
    pub(crate) config: MarathonConfig,
    /// The name of this scheduler.
    pub(crate) scheduler: SchedulerId,
    /// Host and port under which the door is reached.
    pub(crate) authority: String,
    /// The time.
    pub(crate) clock: Clock,
    /// Ends streams when the door ends.
    pub(crate) stopping: CancellationToken,
}

impl Door {
    fn now(&self) -> Stamp {
        crate::instance::stamp(self.clock.now().0)
    }
}

/// All routes.
pub(crate) fn router(door: Arc<Door>) -> Router {
    Router::new()
        .route("/ping", get(info::ping))
        .route("/v2/info", get(info::info))
        .route("/v2/leader", get(info::leader).delete(info::abdicate))
        .route("/v2/plugins", get(info::plugins))
        .route(
            "/v2/apps",
            get(apps::list)
                .post(apps::create)
                .put(apps::put_many)
                .patch(apps::patch_many),
        )
        .route(
            "/v2/apps/{*path}",
            get(apps::get)
                .put(apps::put)
                .patch(apps::patch)
                .delete(apps::delete)
                .post(apps::post),
        )
        .route("/v2/tasks", get(tasks::list))
        .route("/v2/tasks/delete", post(tasks::delete))
        .route("/v2/deployments", get(deployments::list))
        .route("/v2/deployments/{id}", delete(deployments::delete))
        .route("/v2/queue", get(queue::list))
        .route("/v2/queue/{*path}", delete(queue::reset_delay))
        .route("/v2/events", get(events::stream))
        .route(
            "/v2/groups",
            get(groups::root)
                .post(groups::create_in_root)
                .put(groups::put_root)
                .delete(groups::delete_root),
        )
        .route(
            "/v2/groups/{*path}",
            get(groups::get)
                .post(groups::create)
                .put(groups::put)
                .delete(groups::delete),
        )
        .route("/v2/pods", any(unserved::no_pods))
        .route("/v2/pods/{*path}", any(unserved::no_pods))
        .route("/v2/eventSubscriptions", any(unserved::no_subscriptions))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(from_fn_with_state(Arc::clone(&door), headers))
        .with_state(door)
}

async fn no_route() -> Response {
    Refused(Refusal::NoRoute).into_response()
}

async fn no_method() -> Response {
    Refused(Refusal::Method("Method Not Allowed".to_owned())).into_response()
}

/// The headers of every answer; nobody but the leader has any other answer than that it is not.
async fn headers(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    let mut response = if door.leadership.leads() {
        next.run(request).await
    } else {
        let why = "Could not determine the current leader".to_owned();
        Refused(Refusal::Unavailable(why)).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("no-cache, no-store, must-revalidate"),
    );
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(EXPIRES, HeaderValue::from_static("0"));
    if let Ok(leader) = HeaderValue::from_str(&format!("http://{}", door.authority)) {
        headers.insert(HeaderName::from_static("x-marathon-leader"), leader);
    }
    response
}
