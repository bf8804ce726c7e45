//! A watch of the pods, as clients have it.

use super::pods::{Maker, PODS};
use crate::eventually::PATIENCE;
use crate::http::{Api, chain};
use crate::report::Failed;
use crate::times::Times;
use bytes::BytesMut;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::time::Duration;

/// What the watch tells.
#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    object: Pod,
}

/// What of a pod is looked at.
#[derive(Deserialize)]
struct Pod {
    metadata: Metadata,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    name: String,
}

#[derive(Default, Deserialize)]
struct Status {
    #[serde(default)]
    phase: String,
}

/// What became of pods, from the request for each.
pub(super) struct Seen {
    /// Until it was seen for the first time.
    pub(super) added: Times,
    /// Until it was seen running.
    pub(super) running: Times,
}

/// Follows the pods.
pub(super) struct Follower<'a> {
    maker: &'a Maker<'a>,
    stream: reqwest::Response,
    unread: BytesMut,
}

impl<'a> Follower<'a> {
    /// From now on.
    pub(super) async fn begin(api: &Api, maker: &'a Maker<'a>) -> Result<Self, Failed> {
        let list = api.get(PODS).await?;
        let version = list["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        let path = format!("{PODS}?watch=true&resourceVersion={version}");
        Ok(Self {
            maker,
            stream: api.stream(&path).await?,
            unread: BytesMut::new(),
        })
    }

    /// Waits until so many pods named after `set` are seen running.
    pub(super) async fn all_running(&mut self, set: &str, count: u32) -> Result<Seen, Failed> {
        let (mut added, mut running) = (Vec::new(), Vec::new());
        let mut waiting: BTreeSet<String> = (0..count).map(|number| format!("{set}-{number}")).collect();
        let all = async {
            while !waiting.is_empty() {
                let event = self.next().await?;
                let pod = event.object;
                let since = || self.since(&pod.metadata.name);
                match (event.kind.as_str(), pod.status.phase.as_str()) {
                    ("ADDED", "Pending") => added.push(since()?),
                    ("MODIFIED", "Pending") => {}
                    ("MODIFIED", "Running") => {
                        if waiting.remove(&pod.metadata.name) {
                            running.push(since()?);
                        }
                    }
                    (kind, phase) => {
                        let why = format!("{kind} {} {phase:?}", pod.metadata.name);
                        return Err(Failed::in_("the watch of the pods")(why));
                    }
                }
            }
            Ok(())
        };
        match tokio::time::timeout(PATIENCE, all).await {
            Ok(done) => done?,
            Err(_) => {
                let why = format!("{} of {count} were never seen", waiting.len());
                return Err(Failed::in_("running pods")(why));
            }
        }
        Ok(Seen {
            added: Times::new(added),
            running: Times::new(running),
        })
    }

    fn since(&self, name: &str) -> Result<Duration, Failed> {
        let sent = self.maker.sent(name).map(|at| at.elapsed());
        sent.ok_or_else(|| Failed::in_("the watch of the pods")(format!("{name} was never asked for")))
    }

    async fn next(&mut self) -> Result<Event, Failed> {
        let what = "the watch of the pods";
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line = self.unread.split_to(end + 1);
                return serde_json::from_slice(&line).map_err(Failed::in_(what));
            }
            let chunk = self
                .stream
                .chunk()
                .await
                .map_err(|e| Failed::in_(what)(chain(&e)))?;
            self.unread
                .extend(chunk.ok_or_else(|| Failed::in_(what)("it ended"))?);
        }
    }
}
