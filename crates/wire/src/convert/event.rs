//! Lines of the timeline.

use crate::malformed::{Malformed, id_bytes, maybe_name, task_id};
use crate::proto::model::v1 as wire;
use plenum_model::event::Event;
use plenum_model::ids::Cursor;

impl From<&Event> for wire::Event {
    fn from(event: &Event) -> Self {
        Self {
            cursor: event.cursor.0,
            at: event.at,
            kind: event.kind.clone(),
            object: event.object.clone(),
            task: event.task.as_ref().map(id_bytes),
            node: event.node.as_ref().map(|node| node.as_str().to_owned()),
            actor: event.actor.clone(),
            message: event.message.clone(),
        }
    }
}

impl TryFrom<wire::Event> for Event {
    type Error = Malformed;
    fn try_from(event: wire::Event) -> Result<Self, Malformed> {
        Ok(Self {
            cursor: Cursor(event.cursor),
            at: event.at,
            kind: event.kind,
            object: event.object,
            task: event.task.map(|id| task_id(&id, "event.task")).transpose()?,
            node: maybe_name(event.node.as_deref(), "event.node")?,
            actor: event.actor,
            message: event.message,
        })
    }
}
