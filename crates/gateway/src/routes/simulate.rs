//! What would happen if.

use crate::extract::Body;
use crate::problem::Problem;
use crate::state::App;
use crate::view;
use axum::Json;
use axum::extract::State;
use plenum_client::v1::error::ErrorBody;
use plenum_client::v1::simulate::{SimulateRequest, Simulation};

/// What would be different if all of this were so: on a copy of the ledger, by the core that places. Nothing is touched.
#[utoipa::path(
    post, path = "/v1/simulate", tag = "simulate", request_body = SimulateRequest,
    responses((status = 200, body = Simulation), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody))
)]
pub(super) async fn simulate(
    State(app): State<App>,
    Body(request): Body<SimulateRequest>,
) -> Result<Json<Simulation>, Problem> {
    let tenants = app.pool.tenants().await?;
    let suppose = view::simulate::suppose(request, &tenants)?;
    let simulation = app.pool.simulate(suppose).await?;
    Ok(Json(view::simulate::simulation(&simulation)))
}
