//! Images that one node has and another needs. Nobody keeps a list: whoever is asked for says at once whether it
//! has it, and the archive goes through here piece by piece.

use super::BrokerHandle;
use futures::StreamExt;
use futures::stream;
use plenum_contract::dispatcher::DispatchError;
use plenum_contract::images::carried::NodeImages;
use plenum_contract::images::reference::ImageRef;
use plenum_contract::images::{FoundImage, Images};
use plenum_contract::streams::Streams;
use plenum_model::ids::{NodeId, TaskId};
use plenum_model::node::{Liveness, capability};
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

/// A node whose runtime has not said by then whether it has an image counts as one that has not.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// Nodes that are asked at once: a large pool is through in a few round trips, and one missing image does not
/// take all streams of a mailbox.
const ASKED_AT_ONCE: usize = 32;

/// The image that the assignment of `task` to `node` names, from whichever other node first says that it has it.
pub(super) async fn find(
    broker: &BrokerHandle,
    node: &NodeId,
    task: TaskId,
    image: &str,
) -> Result<FoundImage, DispatchError> {
    let runtime = runtime_of(broker, node, task, image)?;
    let nowhere = || DispatchError::NotFound {
        what: format!("image {image} on another node than {node}"),
    };
    let reference = ImageRef::parse(image).map_err(|_| nowhere())?;
    let streams: Arc<dyn Streams> = Arc::new(broker.clone());
    let asked = others(broker, node, &runtime).into_iter().map(|other| {
        let images = NodeImages::new(Arc::clone(&streams), other, runtime.as_str());
        let reference = &reference;
        async move {
            let said = tokio::time::timeout(ANSWER_WITHIN, images.inspect(reference)).await;
            said.ok()?.ok().map(|detail| (images, detail.summary.id))
        }
    });
    let asked: Vec<_> = asked.collect();
    let mut having = stream::iter(asked)
        .buffer_unordered(ASKED_AT_ONCE)
        .filter_map(ready);
    while let Some((images, id)) = having.next().await {
        match images.save(std::slice::from_ref(&reference)).await {
            Ok(archive) => return Ok(FoundImage { id, archive }),
            Err(why) => tracing::debug!(%node, image, %why, "a node does not give what it has"),
        }
    }
    Err(nowhere())
}

/// The runtime in which the assignment of a task wants this image.
fn runtime_of(
    broker: &BrokerHandle,
    node: &NodeId,
    task: TaskId,
    image: &str,
) -> Result<String, DispatchError> {
    let view = broker.0.shared.view.read();
    let not_found = |what: String| DispatchError::NotFound { what };
    let (_, spec) = view
        .assignment(node, task)
        .ok_or_else(|| not_found(format!("task {task} on node {node}")))?;
    let wanting = spec
        .containers
        .iter()
        .find(|c| c.image.as_ref().is_some_and(|i| i.reference == image));
    wanting
        .map(|container| container.runtime.clone())
        .ok_or_else(|| not_found(format!("image {image} in the assignment of task {task}")))
}

/// The other nodes that have images of this runtime and can be asked.
fn others(broker: &BrokerHandle, node: &NodeId, runtime: &str) -> Vec<NodeId> {
    let view = broker.0.shared.view.read();
    let has_images = |node: &plenum_model::node::Node| {
        let facts = node.facts.runtimes.get(runtime);
        facts.is_some_and(|facts| facts.capabilities.contains(capability::IMAGES))
    };
    let nodes = view.nodes().into_iter();
    let others = nodes.filter(|n| n.facts.id != *node && n.liveness == Liveness::Ready && has_images(n));
    others.map(|n| n.facts.id.clone()).collect()
}
