//! Events.

use super::time::millis;
use plenum_client::v1::event::Event as Shown;
use plenum_model::event::Event;

pub(crate) fn event(e: Event) -> Shown {
    Shown {
        cursor: e.cursor.0,
        at: millis(e.at),
        kind: e.kind,
        object: e.object,
        task: e.task.map(|t| t.to_string()),
        node: e.node.map(|n| n.to_string()),
        actor: e.actor,
        message: e.message,
    }
}
