//! Single containers on any node of the pool.

pub mod planner;
pub mod stored;

use crate::state::Shared;
use axum::Router;

/// The routes of single containers, without a version in their paths.
pub fn routes(state: Shared) -> Router {
    Router::new().with_state(state)
}
