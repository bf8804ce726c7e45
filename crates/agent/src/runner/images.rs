//! Images that a container needs and its node lacks: they are brought from another node that has them, piece by
//! piece, before the container counts as one that cannot be. One image is brought once, whoever waits for it.

use crate::supervisor::WorkError;
use futures::future::{BoxFuture, FutureExt, Shared, WeakShared};
use futures::stream::{self, StreamExt, TryStreamExt};
use parking_lot::Mutex;
use plenum_contract::dispatcher::{DispatchError, Dispatcher};
use plenum_contract::error::{Class, Classified};
use plenum_contract::images::reference::ImageRef;
use plenum_contract::images::{Archive, ImageError};
use plenum_contract::runtime::{ContainerPlan, Runtime, RuntimeError};
use plenum_model::ids::{NodeId, TaskId};
use plenum_model::spec::{Image, Pull};
use plenum_model::task::ExitReason;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A node that sends nothing for so long does not send: its daemon reads from its own disk.
const SILENCE: Duration = Duration::from_secs(60);

/// For an answer whether any node has it; the broker's own bound for a silent node is far below.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// The name under which the image is here now; none: no node has it.
type Brought = Result<Option<String>, NotBrought>;

/// An image on its way, by runtime and reference. Whoever waits for it keeps it going.
type Coming = BTreeMap<(String, String), WeakShared<BoxFuture<'static, Brought>>>;

/// Brings images from other nodes.
#[derive(Clone)]
pub(super) struct Bringer {
    node: NodeId,
    dispatcher: Arc<dyn Dispatcher>,
    coming: Arc<Mutex<Coming>>,
}

/// Why an image was not brought although it may be somewhere.
#[derive(Debug, Clone)]
enum NotBrought {
    /// The broker cannot be asked.
    Away(String),
    /// It was cut off on its way, or could not be taken in.
    Broke(ImageError),
}

impl Bringer {
    pub(super) fn new(node: NodeId, dispatcher: Arc<dyn Dispatcher>) -> Self {
        Self {
            node,
            dispatcher,
            coming: Arc::default(),
        }
    }

    /// Prepares a container, with an image from another node if it must be. Cancel-safe.
    pub(super) async fn prepare(
        &self,
        runtime: &Arc<dyn Runtime>,
        plan: &ContainerPlan,
    ) -> Result<(), WorkError> {
        let refused = match runtime.prepare(plan).await {
            Err(
                refused @ RuntimeError::Refused {
                    reason: ExitReason::Image,
                    ..
                },
            ) => refused,
            other => return Ok(other?),
        };
        let Some(image) = wanted(runtime, plan) else {
            return Err(refused.into());
        };
        let name = match self.bring(runtime, plan.key.task, image).await {
            Ok(Some(name)) => name,
            Ok(None) => return Err(refused.into()),
            Err(NotBrought::Away(why)) => return Err(WorkError::Away(why)),
            Err(NotBrought::Broke(error)) => return Err(of_image(&error, refused).into()),
        };
        let mut plan = plan.clone();
        plan.image = Some(Image {
            reference: name,
            pull: Pull::Never,
        });
        Ok(runtime.prepare(&plan).await?)
    }

    async fn bring(&self, runtime: &Arc<dyn Runtime>, task: TaskId, image: ImageRef) -> Brought {
        let key = (runtime.name().to_owned(), image.to_string());
        let coming = {
            let mut all = self.coming.lock();
            all.retain(|_, coming| coming.upgrade().is_some_and(|c| c.peek().is_none()));
            match all.get(&key).and_then(WeakShared::upgrade) {
                Some(coming) => coming,
                None => self.begin(&mut all, key, runtime, task, image),
            }
        };
        coming.await
    }

    fn begin(
        &self,
        all: &mut Coming,
        key: (String, String),
        runtime: &Arc<dyn Runtime>,
        task: TaskId,
        image: ImageRef,
    ) -> Shared<BoxFuture<'static, Brought>> {
        let (node, dispatcher) = (self.node.clone(), Arc::clone(&self.dispatcher));
        let runtime = Arc::clone(runtime);
        let coming = fetch(node, dispatcher, runtime, task, image).boxed().shared();
        all.extend(coming.downgrade().map(|weak| (key, weak)));
        coming
    }
}

/// The image that another node may have in place of what this one could not get.
fn wanted(runtime: &Arc<dyn Runtime>, plan: &ContainerPlan) -> Option<ImageRef> {
    let image = plan.image.as_ref()?;
    runtime.images()?;
    match image.pull {
        Pull::IfMissing | Pull::Never => ImageRef::parse(&image.reference).ok(),
        // It asks what its registry has now.
        Pull::Always => None,
    }
}

/// An image that could not be taken in, as the task's end or as something to try again.
fn of_image(error: &ImageError, refused: RuntimeError) -> RuntimeError {
    match error.class() {
        Class::Fatal => refused,
        Class::Retry | Class::Conflict => RuntimeError::Failed {
            runtime: "agent",
            op: "bring the image from another node",
            why: error.to_string(),
        },
    }
}

async fn fetch(
    node: NodeId,
    dispatcher: Arc<dyn Dispatcher>,
    runtime: Arc<dyn Runtime>,
    task: TaskId,
    image: ImageRef,
) -> Brought {
    let asked = dispatcher.fetch_image(node, task, image.to_string());
    let found = match tokio::time::timeout(ANSWER_WITHIN, asked).await {
        Ok(Ok(found)) => found,
        Ok(Err(DispatchError::NotFound { .. } | DispatchError::Refused { .. })) => return Ok(None),
        Ok(Err(away @ (DispatchError::Unavailable { .. } | DispatchError::Replaced { .. }))) => {
            return Err(NotBrought::Away(away.to_string()));
        }
        Err(_) => return Err(NotBrought::Away(format!("no answer in {ANSWER_WITHIN:?}"))),
    };
    let Some(images) = runtime.images() else {
        return Ok(None);
    };
    tracing::info!(%image, id = found.id, "brought from another node");
    let events = images.load(unless_silent(found.archive)).await;
    let events = events.map_err(NotBrought::Broke)?;
    events
        .try_for_each(|_| std::future::ready(Ok(())))
        .await
        .map_err(NotBrought::Broke)?;
    // What only a registry calls it does not travel with it; its id does.
    Ok(Some(match images.inspect(&image).await {
        Ok(_) => image.to_string(),
        Err(_) => found.id,
    }))
}

/// The same archive, which breaks when its sender falls silent. The reader's own time does not count.
fn unless_silent(archive: Archive) -> Archive {
    stream::unfold(Some(archive), |archive| async {
        let mut archive = archive?;
        match tokio::time::timeout(SILENCE, archive.next()).await {
            Ok(piece) => piece.map(|piece| (piece, Some(archive))),
            Err(_) => {
                let why = format!("the node that has the image sent nothing for {SILENCE:?}");
                Some((Err(ImageError::Unavailable { why }), None))
            }
        }
    })
    .boxed()
}
