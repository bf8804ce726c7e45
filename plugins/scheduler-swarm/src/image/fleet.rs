//! The nodes that keep images, asked together.

use super::RUNTIME;
use crate::error::{ApiError, ApiResult};
use futures::stream::{self, StreamExt};
use plenum_contract::images::carried::NodeImages;
use plenum_contract::images::reference::ImageRef;
use plenum_contract::images::{ImageDetail, ImageError, ImageSummary, Images};
use plenum_contract::pool::Pool;
use plenum_contract::streams::Streams;
use plenum_model::ids::NodeId;
use plenum_model::node::{Liveness, Node, capability};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A node that has not answered a short question by then is left out, as one that is not connected.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Nodes that are asked at once.
const ASKED_AT_ONCE: usize = 32;

/// The images of all nodes.
pub(super) struct Fleet {
    pub(super) pool: Arc<dyn Pool>,
    pub(super) streams: Arc<dyn Streams>,
}

/// A node that has an image.
pub(super) struct Holder {
    pub(super) node: NodeId,
    pub(super) images: NodeImages,
    pub(super) detail: ImageDetail,
}

impl Fleet {
    /// The nodes that keep images and can be asked, by name.
    async fn nodes(&self) -> ApiResult<Vec<Arc<Node>>> {
        let mut nodes = self.pool.nodes().await?;
        nodes.retain(|node| {
            let facts = node.facts.runtimes.get(RUNTIME);
            let keeps = facts.is_some_and(|f| f.capabilities.contains(capability::IMAGES));
            keeps && node.liveness == Liveness::Ready
        });
        Ok(nodes)
    }

    pub(super) fn on(&self, node: NodeId) -> NodeImages {
        NodeImages::new(Arc::clone(&self.streams), node, RUNTIME)
    }

    /// A node for what any node may do. Not always the same one: what is loaded shall not all be in one place.
    pub(super) async fn any(&self) -> ApiResult<NodeImages> {
        let all = self.nodes().await?;
        let open: Vec<_> = all.iter().filter(|n| n.scheduling.is_open()).collect();
        let from = if open.is_empty() {
            all.iter().collect()
        } else {
            open
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let chosen = from.get(now.subsec_micros() as usize % from.len().max(1));
        let none = || ApiError::unavailable("no node of the pool keeps Docker images now");
        Ok(self.on(chosen.ok_or_else(none)?.facts.id.clone()))
    }

    /// What every node lists, with its name; those that do not answer are left out, and the log says which.
    pub(super) async fn lists(&self) -> ApiResult<Vec<(NodeId, Vec<ImageSummary>)>> {
        let asked = self.nodes().await?.into_iter().map(|node| {
            let node = node.facts.id.clone();
            let images = self.on(node.clone());
            async move {
                let listed = tokio::time::timeout(ANSWER_WITHIN, images.list()).await;
                match listed.unwrap_or_else(|_| Err(silent(&node))) {
                    Ok(listed) => Some((node, listed)),
                    Err(error) => {
                        tracing::info!(%node, %error, "its images are not listed");
                        None
                    }
                }
            }
        });
        let asked: Vec<_> = asked.collect();
        let answers = stream::iter(asked).buffered(ASKED_AT_ONCE);
        Ok(answers.filter_map(std::future::ready).collect().await)
    }

    /// The nodes that have this image.
    ///
    /// # Errors
    /// 404 when none has; 503 when none has that could be asked, and some could not.
    pub(super) async fn holders(&self, image: &ImageRef) -> ApiResult<Vec<Holder>> {
        let asked = self.nodes().await?.into_iter().map(|node| {
            let node = node.facts.id.clone();
            let images = self.on(node.clone());
            async move {
                let said = tokio::time::timeout(ANSWER_WITHIN, images.inspect(image)).await;
                let said = said.unwrap_or_else(|_| Err(silent(&node)));
                said.map(|detail| Holder { node, images, detail })
            }
        });
        let asked: Vec<_> = asked.collect();
        let answers: Vec<_> = stream::iter(asked).buffered(ASKED_AT_ONCE).collect().await;
        let mut holders = Vec::new();
        let mut unsure = None;
        for answer in answers {
            match answer {
                Ok(holder) => holders.push(holder),
                Err(ImageError::NotFound { .. }) => {}
                Err(error) => unsure = Some(error),
            }
        }
        match (holders.is_empty(), unsure) {
            (false, _) => Ok(holders),
            (true, Some(error)) => Err(error.into()),
            (true, None) => Err(missing(image)),
        }
    }
}

/// No node has this image.
pub(super) fn missing(image: &ImageRef) -> ApiError {
    ApiError::from(ImageError::NotFound {
        image: image.tagged().to_string(),
    })
}

fn silent(node: &NodeId) -> ImageError {
    ImageError::Unavailable {
        why: format!("node {node} did not answer in {} s", ANSWER_WITHIN.as_secs()),
    }
}
