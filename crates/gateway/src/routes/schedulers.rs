//! Schedulers.

use crate::problem::Problem;
use crate::state::App;
use crate::view;
use axum::Json;
use axum::extract::State;
use plenum_client::v1::list::List;
use plenum_client::v1::scheduler::Scheduler;

/// Every scheduler that ever opened a session, by name.
#[utoipa::path(get, path = "/v1/schedulers", tag = "schedulers", responses((status = 200, body = List<Scheduler>)))]
pub(super) async fn list(State(app): State<App>) -> Result<Json<List<Scheduler>>, Problem> {
    let size = view::scheduler::pool_size(&app.pool.nodes().await?);
    let all = app.pool.schedulers().await?;
    Ok(Json(List::whole(
        all.iter().map(|s| view::scheduler::scheduler(s, &size)).collect(),
    )))
}
