//! Workloads.

use crate::problem::Problem;
use crate::state::App;
use crate::view;
use axum::Json;
use axum::extract::State;
use plenum_client::v1::list::List;
use plenum_client::v1::workload::Workload;
use plenum_contract::pool::TaskFilter;

/// All workloads, by scheduler and name.
#[utoipa::path(get, path = "/v1/workloads", tag = "workloads", responses((status = 200, body = List<Workload>)))]
pub(super) async fn list(State(app): State<App>) -> Result<Json<List<Workload>>, Problem> {
    let page = app
        .pool
        .tasks(TaskFilter {
            ended: true,
            ..TaskFilter::default()
        })
        .await?;
    Ok(Json(List::whole(view::workload::workloads(&page.tasks))))
}
