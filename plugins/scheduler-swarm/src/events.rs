//! Docker's events: what happened lately, and to whoever listens what happens next.

use parking_lot::Mutex;
use plenum_sdk::door::hub::{Hub, Subscription};
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Events that are kept to look back on: four times what a daemon keeps.
const KEPT: usize = 1024;
/// How many events behind a reader may be.
const DEPTH: usize = 1024;

/// An event as clients read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DockerEvent {
    /// The older spelling of `Action`; containers only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// The older spelling of the actor's id; containers only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The image; containers only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What kind of thing (`service`, `node`, `container`).
    #[serde(rename = "Type")]
    pub kind: &'static str,
    /// What happened to it.
    #[serde(rename = "Action")]
    pub action: String,
    /// To which one.
    #[serde(rename = "Actor")]
    pub actor: Actor,
    /// `swarm` or `local`.
    pub scope: &'static str,
    /// Unix seconds.
    pub time: u64,
    /// Unix nanoseconds.
    #[serde(rename = "timeNano")]
    pub time_nano: u64,
}

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Actor {
    /// Its id.
    #[serde(rename = "ID")]
    pub id: String,
    /// Its name and what changed.
    #[serde(rename = "Attributes")]
    pub attributes: BTreeMap<String, String>,
}

/// Keeps events and gives them to readers.
#[derive(Clone)]
pub struct Events {
    kept: Arc<Mutex<VecDeque<DockerEvent>>>,
    hub: Hub<DockerEvent>,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            kept: Arc::default(),
            hub: Hub::new(DEPTH),
        }
    }
}

impl Events {
    /// Something happened to an object of the swarm.
    pub fn swarm(
        &self,
        now_ms: u64,
        kind: &'static str,
        action: &str,
        id: &str,
        attributes: impl IntoIterator<Item = (String, String)>,
    ) {
        self.publish(DockerEvent {
            status: None,
            id: None,
            from: None,
            kind,
            action: action.to_owned(),
            actor: Actor {
                id: id.to_owned(),
                attributes: attributes.into_iter().collect(),
            },
            scope: "swarm",
            time: now_ms / 1000,
            time_nano: now_ms.saturating_mul(1_000_000),
        });
    }

    /// Something happened to a container.
    pub fn container(
        &self,
        now_ms: u64,
        action: &str,
        id: &str,
        image: &str,
        attributes: impl IntoIterator<Item = (String, String)>,
    ) {
        self.publish(DockerEvent {
            status: Some(action.to_owned()),
            id: Some(id.to_owned()),
            from: Some(image.to_owned()),
            kind: "container",
            action: action.to_owned(),
            actor: Actor {
                id: id.to_owned(),
                attributes: attributes.into_iter().collect(),
            },
            scope: "local",
            time: now_ms / 1000,
            time_nano: now_ms.saturating_mul(1_000_000),
        });
    }

    /// Keeps and tells one.
    pub fn publish(&self, event: DockerEvent) {
        let mut kept = self.kept.lock();
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(event.clone());
        self.hub.publish(event);
    }

    /// Those kept from `since` (Unix milliseconds; none: none of them), then what happens.
    #[must_use]
    pub fn read(&self, since: Option<u64>) -> (Vec<DockerEvent>, Subscription<DockerEvent>) {
        // under the lock, so that nothing falls between what is kept and what comes
        let kept = self.kept.lock();
        let past = kept
            .iter()
            .filter(|e| since.is_some_and(|ms| e.time_nano >= ms.saturating_mul(1_000_000)))
            .cloned()
            .collect();
        (past, self.hub.subscribe())
    }

    /// Ends every reader.
    pub fn close(&self) {
        self.hub.close();
    }
}
