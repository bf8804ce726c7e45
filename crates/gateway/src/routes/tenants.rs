//! Tenants.

use crate::extract::{Body, Name};
use crate::problem::Problem;
use crate::state::{ACTOR, App};
use crate::view;
use axum::Json;
use axum::extract::State;
use plenum_client::v1::error::ErrorBody;
use plenum_client::v1::list::List;
use plenum_client::v1::tenant::{Tenant, TenantSettings};
use plenum_client::v1::why::TenantExplanation;
use plenum_model::code;
use plenum_model::ids::TenantPath;

/// All tenants, by path.
#[utoipa::path(get, path = "/v1/tenants", tag = "tenants", responses((status = 200, body = List<Tenant>)))]
pub(super) async fn list(State(app): State<App>) -> Result<Json<List<Tenant>>, Problem> {
    let all = app.pool.tenants().await?;
    Ok(Json(List::whole(all.iter().map(view::tenant::tenant).collect())))
}

/// One tenant.
#[utoipa::path(
    get, path = "/v1/tenants/{*path}", tag = "tenants", params(("path" = String, Path, description = "Its path, `/` included")),
    responses((status = 200, body = Tenant), (status = 404, body = ErrorBody))
)]
pub(super) async fn show(State(app): State<App>, Name(path): Name) -> Result<Json<Tenant>, Problem> {
    find(&app, &id(&path)?).await
}

/// Creates or replaces a tenant.
#[utoipa::path(
    put, path = "/v1/tenants/{*path}", tag = "tenants", params(("path" = String, Path, description = "Its path, `/` included")),
    request_body = TenantSettings,
    responses((status = 200, body = Tenant), (status = 400, body = ErrorBody))
)]
pub(super) async fn set(
    State(app): State<App>,
    Name(path): Name,
    Body(settings): Body<TenantSettings>,
) -> Result<Json<Tenant>, Problem> {
    let id = id(&path)?;
    if settings.weight == 0 {
        return Err(Problem::new(code::INVALID, "a weight is at least 1").at("weight"));
    }
    app.pool
        .set_tenant(view::tenant::settings(id.clone(), settings), ACTOR)
        .await?;
    find(&app, &id).await
}

/// Where a tenant stands, and what waits under it for what.
#[utoipa::path(
    get, path = "/v1/why/tenants/{*path}", tag = "tenants", params(("path" = String, Path, description = "Its path, `/` included")),
    responses((status = 200, body = TenantExplanation), (status = 404, body = ErrorBody))
)]
pub(super) async fn why(
    State(app): State<App>,
    Name(path): Name,
) -> Result<Json<TenantExplanation>, Problem> {
    Ok(Json(view::why::of_tenant(
        &app.pool.why_tenant(&id(&path)?).await?,
    )))
}

async fn find(app: &App, id: &TenantPath) -> Result<Json<Tenant>, Problem> {
    let all = app.pool.tenants().await?;
    let tenant = all.iter().find(|t| t.tenant.path == *id).ok_or_else(|| {
        Problem::new(code::NOT_FOUND, format!("there is no tenant `{id}`"))
            .at("path")
            .hint("`plenum tenant list` shows all")
    })?;
    Ok(Json(view::tenant::tenant(tenant)))
}

fn id(path: &str) -> Result<TenantPath, Problem> {
    TenantPath::new(path).map_err(|e| Problem::new(code::INVALID, e.to_string()).at("path"))
}
