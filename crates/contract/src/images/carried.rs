//! `Images` over a stream to a node: [`NodeImages`] at the caller's end, [`serve`] at the node's. The archive of
//! a load is the stream's input and complete with `Eof`, that of a save its standard output and complete with
//! `Done`: what is cut off on the way is never taken for whole.

use super::reference::ImageRef;
use super::{
    Archive, ImageDetail, ImageError, ImageEvent, ImageEvents, ImageOutput, ImageRequest, ImageSummary,
    Images, PullRequest, Removal, Removed,
};
use crate::streams::{NodeRequest, Output, StreamEnds, StreamError, StreamInput, StreamOutput, Streams};
use async_trait::async_trait;
use bytes::Bytes;
use futures::future::ready;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use plenum_model::ids::NodeId;
use std::sync::Arc;
use tokio::sync::mpsc;

/// The images of a runtime of another node.
pub struct NodeImages {
    streams: Arc<dyn Streams>,
    node: NodeId,
    runtime: String,
}

impl NodeImages {
    /// Those of `runtime` on `node`.
    pub fn new(streams: Arc<dyn Streams>, node: NodeId, runtime: impl Into<String>) -> Self {
        Self {
            streams,
            node,
            runtime: runtime.into(),
        }
    }

    async fn open(&self, request: ImageRequest) -> Result<StreamEnds, ImageError> {
        let request = NodeRequest::Images {
            runtime: self.runtime.clone(),
            request,
        };
        let opened = self.streams.open_node(&self.node, request).await;
        opened.map_err(of_stream)
    }

    /// Everything that is answered to a short verb, if it is what was asked for.
    async fn answers<T>(
        &self,
        request: ImageRequest,
        wanted: fn(ImageOutput) -> Option<T>,
    ) -> Result<Vec<T>, ImageError> {
        let all = pieces(self.open(request).await?).map(|piece| match piece? {
            Piece::Image(piece) => wanted(piece).ok_or_else(unexpected),
            Piece::Bytes(_) => Err(unexpected()),
        });
        all.try_collect().await
    }
}

#[async_trait]
impl Images for NodeImages {
    async fn list(&self) -> Result<Vec<ImageSummary>, ImageError> {
        self.answers(ImageRequest::List, |piece| {
            let ImageOutput::Listed(summary) = piece else {
                return None;
            };
            Some(summary)
        })
        .await
    }

    async fn inspect(&self, image: &ImageRef) -> Result<ImageDetail, ImageError> {
        let request = ImageRequest::Inspect(image.clone());
        let all = self.answers(request, |piece| {
            let ImageOutput::Detail(detail) = piece else {
                return None;
            };
            Some(*detail)
        });
        all.await?.into_iter().next().ok_or_else(unexpected)
    }

    async fn pull(&self, pull: PullRequest) -> Result<ImageEvents, ImageError> {
        Ok(events(self.open(ImageRequest::Pull(pull)).await?))
    }

    async fn load(&self, archive: Archive) -> Result<ImageEvents, ImageError> {
        let ends = self.open(ImageRequest::Load).await?;
        let feeding = stream::once(feed(archive, ends.input.clone())).map(|fed| match fed {
            Ok(()) => Turn::Fed,
            Err(error) => Turn::News(Err(error)),
        });
        let news = events(ends).map(Turn::News).chain(stream::iter([Turn::Over]));
        // Over when the node says so, or when the archive itself has failed.
        let until = stream::select(feeding, news).scan((), |(), turn| {
            ready(match turn {
                Turn::Over => None,
                Turn::Fed => Some(None),
                Turn::News(news) => Some(Some(news)),
            })
        });
        // Whoever broke off needs nobody's answer to be over.
        let items = stream::unfold(Some(until.filter_map(ready).boxed()), |items| async {
            let mut items = items?;
            let item = items.next().await?;
            let rest = item.is_ok().then_some(items);
            Some((item, rest))
        });
        Ok(items.boxed())
    }

    async fn save(&self, images: &[ImageRef]) -> Result<Archive, ImageError> {
        let mut archive = pieces(self.open(ImageRequest::Save(images.to_vec())).await?)
            .map(|piece| match piece? {
                Piece::Bytes(bytes) => Ok(bytes),
                Piece::Image(_) => Err(unexpected()),
            })
            .boxed();
        // What cannot be had is said at once, not in the middle of an archive.
        match archive.next().await {
            Some(Err(error)) => Err(error),
            first => Ok(stream::iter(first).chain(archive).boxed()),
        }
    }

    async fn tag(&self, image: &ImageRef, name: &ImageRef) -> Result<(), ImageError> {
        let request = ImageRequest::Tag {
            image: image.clone(),
            name: name.clone(),
        };
        self.answers(request, |_| None::<()>).await.map(|_| ())
    }

    async fn remove(&self, image: &ImageRef, removal: Removal) -> Result<Vec<Removed>, ImageError> {
        let request = ImageRequest::Remove {
            image: image.clone(),
            removal,
        };
        self.answers(request, |piece| {
            let ImageOutput::Removed(removed) = piece else {
                return None;
            };
            Some(removed)
        })
        .await
    }
}

/// What happens while an archive is loaded.
enum Turn {
    /// All of it is on its way.
    Fed,
    /// The node says something, or the archive failed.
    News(Result<ImageEvent, ImageError>),
    /// The node has ended.
    Over,
}

/// Sends an archive. The node is told the end only of a whole one.
async fn feed(mut archive: Archive, to: mpsc::Sender<StreamInput>) -> Result<(), ImageError> {
    while let Some(bytes) = archive.next().await {
        if to.send(StreamInput::Data(bytes?)).await.is_err() {
            // The node takes no more; it says why.
            return Ok(());
        }
    }
    let _ = to.send(StreamInput::Eof).await;
    Ok(())
}

/// What comes from a node.
enum Piece {
    Image(ImageOutput),
    Bytes(Bytes),
}

/// What comes from a node until it is done; the first error is the last item. The input is held that long: a
/// stream whose caller has closed its side may be over before all of its output is through.
fn pieces(ends: StreamEnds) -> BoxStream<'static, Result<Piece, ImageError>> {
    stream::unfold(Some(ends), |ends| async {
        let mut ends = ends?;
        let piece = match ends.output.next().await {
            Some(Ok(Output::Image(image))) => match *image {
                ImageOutput::Done => return None,
                ImageOutput::Failed(error) => Err(error),
                image @ (ImageOutput::Listed(_)
                | ImageOutput::Detail(_)
                | ImageOutput::Event(_)
                | ImageOutput::Removed(_)) => Ok(Piece::Image(image)),
            },
            Some(Ok(Output::Stdout(bytes))) => Ok(Piece::Bytes(bytes)),
            Some(Ok(
                Output::Log(_)
                | Output::Stderr(_)
                | Output::Exit { .. }
                | Output::Stats(_)
                | Output::Processes(_)
                | Output::Health(_),
            )) => Err(unexpected()),
            Some(Err(error)) => Err(of_stream(error)),
            None => Err(ImageError::Unavailable {
                why: "the stream broke off".to_owned(),
            }),
        };
        let rest = piece.is_ok().then_some(ends);
        Some((piece, rest))
    })
    .boxed()
}

fn events(ends: StreamEnds) -> ImageEvents {
    let events = pieces(ends).map(|piece| match piece? {
        Piece::Image(ImageOutput::Event(event)) => Ok(event),
        Piece::Image(_) | Piece::Bytes(_) => Err(unexpected()),
    });
    events.boxed()
}

fn unexpected() -> ImageError {
    ImageError::Failed {
        why: "the node answered something else than was asked".to_owned(),
    }
}

fn of_stream(error: StreamError) -> ImageError {
    match error {
        StreamError::NotSupported { what, runtime } => ImageError::NotSupported { what, runtime },
        StreamError::Unavailable { why } => ImageError::Unavailable { why },
        StreamError::NotFound { .. } | StreamError::State { .. } | StreamError::Failed { .. } => {
            ImageError::Unavailable {
                why: error.to_string(),
            }
        }
    }
}

/// Serves one request from `images`, at the node. `input` is read for a load only. Cancel-safe: dropping it, or
/// what it returns, gives the verb up.
pub async fn serve(
    images: &dyn Images,
    request: ImageRequest,
    input: BoxStream<'static, StreamInput>,
) -> StreamOutput {
    match answered(images, request, input).await {
        Ok(output) => output,
        Err(error) => stream::iter([last(error)]).boxed(),
    }
}

async fn answered(
    images: &dyn Images,
    request: ImageRequest,
    input: BoxStream<'static, StreamInput>,
) -> Result<StreamOutput, ImageError> {
    let all = match request {
        ImageRequest::List => {
            let listed = images.list().await?;
            listed.into_iter().map(ImageOutput::Listed).collect()
        }
        ImageRequest::Inspect(image) => {
            vec![ImageOutput::Detail(Box::new(images.inspect(&image).await?))]
        }
        ImageRequest::Pull(pull) => return Ok(told(images.pull(pull).await?)),
        ImageRequest::Load => return Ok(told(images.load(given(input)).await?)),
        ImageRequest::Save(all) => {
            let archive = images.save(&all).await?;
            let bytes = archive.map(|piece| piece.map(Output::Stdout));
            return Ok(ended(bytes.boxed()));
        }
        ImageRequest::Tag { image, name } => {
            images.tag(&image, &name).await?;
            Vec::new()
        }
        ImageRequest::Remove { image, removal } => {
            let removed = images.remove(&image, removal).await?;
            removed.into_iter().map(ImageOutput::Removed).collect()
        }
    };
    let all: Vec<_> = all.into_iter().map(|piece| Ok(image(piece))).collect();
    Ok(ended(stream::iter(all).boxed()))
}

fn image(piece: ImageOutput) -> Output {
    Output::Image(Box::new(piece))
}

fn last(error: ImageError) -> Result<Output, StreamError> {
    Ok(image(ImageOutput::Failed(error)))
}

fn told(events: ImageEvents) -> StreamOutput {
    let pieces = events.map(|event| event.map(|e| image(ImageOutput::Event(e))));
    ended(pieces.boxed())
}

/// These pieces up to the first error, and that it is done or has failed.
fn ended(pieces: BoxStream<'static, Result<Output, ImageError>>) -> StreamOutput {
    stream::unfold(Some(pieces), |pieces| async {
        let mut pieces = pieces?;
        Some(match pieces.next().await {
            Some(Ok(piece)) => (Ok(piece), Some(pieces)),
            Some(Err(error)) => (last(error), None),
            None => (Ok(image(ImageOutput::Done)), None),
        })
    })
    .boxed()
}

/// The archive that a load's input brings.
fn given(input: BoxStream<'static, StreamInput>) -> Archive {
    stream::unfold(Some(input), |input| async {
        let mut input = input?;
        loop {
            return match input.next().await {
                Some(StreamInput::Data(bytes)) => Some((Ok(bytes), Some(input))),
                Some(StreamInput::Resize(_)) => continue,
                Some(StreamInput::Eof) => None,
                None => {
                    let why = "the archive was cut off on its way".to_owned();
                    Some((Err(ImageError::Unavailable { why }), None))
                }
            };
        }
    })
    .boxed()
}
