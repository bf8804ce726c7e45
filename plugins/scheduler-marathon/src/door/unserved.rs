//! What this version knows of Marathon and does not serve: said by name.

use super::reply::Answer;
use crate::refusal::Refusal;

fn not_supported(what: &str) -> Answer {
    Err(Refusal::NotFound(format!("{what} not supported by this version of Plenum")).into())
}

/// `/v2/pods`
pub(super) async fn no_pods() -> Answer {
    not_supported("Pods are")
}

/// `/v2/eventSubscriptions`, which Marathon itself has given up.
pub(super) async fn no_subscriptions() -> Answer {
    not_supported("HTTP callbacks are not served by Marathon 1.8 either: use /v2/events. They are")
}
