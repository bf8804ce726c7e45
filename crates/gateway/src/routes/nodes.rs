//! Nodes.

use crate::extract::{Body, Name};
use crate::problem::Problem;
use crate::state::{ACTOR, App};
use crate::view;
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use plenum_client::v1::error::ErrorBody;
use plenum_client::v1::list::List;
use plenum_client::v1::node::{Node, TaintRequest};
use plenum_client::v1::why::NodeExplanation;
use plenum_model::code;
use plenum_model::ids::NodeId;
use plenum_model::node::Scheduling;
use plenum_model::taint::{BadTaint, Effect, TaintChange};

/// All nodes, by name.
#[utoipa::path(get, path = "/v1/nodes", tag = "nodes", responses((status = 200, body = List<Node>)))]
pub(super) async fn list(State(app): State<App>) -> Result<Json<List<Node>>, Problem> {
    let nodes = app.pool.nodes().await?;
    Ok(Json(List::whole(
        nodes.iter().map(|n| view::node::node(n)).collect(),
    )))
}

/// One node.
#[utoipa::path(
    get, path = "/v1/nodes/{node}", tag = "nodes", params(("node" = String, Path, description = "Its name")),
    responses((status = 200, body = Node), (status = 404, body = ErrorBody))
)]
pub(super) async fn show(State(app): State<App>, Name(node): Name) -> Result<Json<Node>, Problem> {
    find(&app, &id(&node)?).await
}

/// Removes a node that is gone for good; what was there is lost.
#[utoipa::path(
    delete, path = "/v1/nodes/{node}", tag = "nodes", params(("node" = String, Path, description = "Its name")),
    responses((status = 204), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody))
)]
pub(super) async fn remove(State(app): State<App>, Name(node): Name) -> Result<StatusCode, Problem> {
    app.pool.remove_node(&id(&node)?, ACTOR).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Closes a node for new tasks; what runs there stays.
#[utoipa::path(
    post, path = "/v1/nodes/{node}/cordon", tag = "nodes", params(("node" = String, Path, description = "Its name")),
    responses((status = 200, body = Node), (status = 404, body = ErrorBody))
)]
pub(super) async fn cordon(State(app): State<App>, Name(node): Name) -> Result<Json<Node>, Problem> {
    set(&app, &node, Scheduling::Cordoned).await
}

/// Closes a node for new tasks, and has every scheduler move away what it runs there.
#[utoipa::path(
    post, path = "/v1/nodes/{node}/drain", tag = "nodes", params(("node" = String, Path, description = "Its name")),
    responses((status = 200, body = Node), (status = 404, body = ErrorBody))
)]
pub(super) async fn drain(State(app): State<App>, Name(node): Name) -> Result<Json<Node>, Problem> {
    set(&app, &node, Scheduling::Draining).await
}

/// Opens a node for new tasks.
#[utoipa::path(
    post, path = "/v1/nodes/{node}/uncordon", tag = "nodes", params(("node" = String, Path, description = "Its name")),
    responses((status = 200, body = Node), (status = 404, body = ErrorBody))
)]
pub(super) async fn uncordon(State(app): State<App>, Name(node): Name) -> Result<Json<Node>, Problem> {
    set(&app, &node, Scheduling::Open).await
}

/// Gives a node taints, or takes away some that operators gave it.
#[utoipa::path(
    post, path = "/v1/nodes/{node}/taints", tag = "nodes", params(("node" = String, Path, description = "Its name")),
    request_body = TaintRequest,
    responses((status = 200, body = Node), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody))
)]
pub(super) async fn taint(
    State(app): State<App>,
    Name(node): Name,
    Body(request): Body<TaintRequest>,
) -> Result<Json<Node>, Problem> {
    let id = id(&node)?;
    app.pool.taint(&id, change(&request)?, ACTOR).await?;
    find(&app, &id).await
}

fn change(request: &TaintRequest) -> Result<TaintChange, Problem> {
    let bad = |field| move |e: BadTaint| Problem::new(code::INVALID, e.to_string()).at(field);
    let set = request.set.iter().map(|text| text.parse());
    let set = set.collect::<Result<_, _>>().map_err(bad("set"))?;
    let remove = request.remove.iter().map(|text| match text.rsplit_once(':') {
        None => Ok((text.clone(), None)),
        Some((key, effect)) => Ok((key.to_owned(), Some(effect.parse::<Effect>()?))),
    });
    let remove = remove.collect::<Result<_, _>>().map_err(bad("remove"))?;
    Ok(TaintChange { set, remove })
}

/// What a node refuses, what is kept there, and who waits for it.
#[utoipa::path(
    get, path = "/v1/why/nodes/{node}", tag = "nodes", params(("node" = String, Path, description = "Its name")),
    responses((status = 200, body = NodeExplanation), (status = 404, body = ErrorBody))
)]
pub(super) async fn why(State(app): State<App>, Name(node): Name) -> Result<Json<NodeExplanation>, Problem> {
    Ok(Json(view::why::of_node(&app.pool.why_node(&id(&node)?).await?)))
}

async fn set(app: &App, node: &str, to: Scheduling) -> Result<Json<Node>, Problem> {
    let id = id(node)?;
    app.pool.set_scheduling(&id, to, ACTOR).await?;
    find(app, &id).await
}

async fn find(app: &App, id: &NodeId) -> Result<Json<Node>, Problem> {
    let nodes = app.pool.nodes().await?;
    let node = nodes.iter().find(|n| n.facts.id == *id).ok_or_else(|| {
        Problem::new(code::NOT_FOUND, format!("there is no node `{id}`"))
            .at("node")
            .hint("`plenum node list` shows all")
    })?;
    Ok(Json(view::node::node(node)))
}

fn id(text: &str) -> Result<NodeId, Problem> {
    NodeId::new(text).map_err(|e| Problem::new(code::INVALID, e.to_string()).at("node"))
}
