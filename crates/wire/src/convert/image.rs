//! Images: what is asked of a node's, and what it answers.

use crate::malformed::{Fault, Malformed, need, required};
use crate::proto::model::v1 as wire;
use plenum_contract::images::reference::ImageRef;
use plenum_contract::images::{
    ImageConfig, ImageDetail, ImageError, ImageEvent, ImageHealth, ImageOutput, ImageRequest, ImageSummary,
    PullRequest, RegistryAuth, Removal, Removed,
};
use plenum_contract::streams::NodeRequest;

impl From<&NodeRequest> for wire::NodeRequest {
    fn from(request: &NodeRequest) -> Self {
        use wire::node_request::Request as R;
        let NodeRequest::Images { runtime, request } = request;
        let images = wire::ImagesRequest {
            runtime: runtime.clone(),
            request: Some(request.into()),
        };
        Self {
            request: Some(R::Images(images)),
        }
    }
}

impl TryFrom<wire::NodeRequest> for NodeRequest {
    type Error = Malformed;
    fn try_from(request: wire::NodeRequest) -> Result<Self, Malformed> {
        use wire::node_request::Request as R;
        let R::Images(images) = need(request.request, "request")?;
        Ok(Self::Images {
            runtime: images.runtime,
            request: required(images.request, "images.request")?,
        })
    }
}

fn reference(text: &str, field: &'static str) -> Result<ImageRef, Malformed> {
    ImageRef::parse(text).map_err(|_| Malformed {
        field,
        fault: Fault::Image,
    })
}

impl From<&ImageRequest> for wire::images_request::Request {
    fn from(request: &ImageRequest) -> Self {
        let text = ToString::to_string;
        match request {
            ImageRequest::List => Self::List(()),
            ImageRequest::Inspect(image) => Self::Inspect(image.to_string()),
            ImageRequest::Pull(pull) => Self::Pull(pull.into()),
            ImageRequest::Load => Self::Load(()),
            ImageRequest::Save(images) => Self::Save(wire::SaveImages {
                images: images.iter().map(text).collect(),
            }),
            ImageRequest::Tag { image, name } => Self::Tag(wire::TagImage {
                image: image.to_string(),
                name: name.to_string(),
            }),
            ImageRequest::Remove { image, removal } => Self::Remove(wire::RemoveImage {
                image: image.to_string(),
                force: removal.force,
                keep_parents: removal.keep_parents,
            }),
        }
    }
}

impl TryFrom<wire::images_request::Request> for ImageRequest {
    type Error = Malformed;
    fn try_from(request: wire::images_request::Request) -> Result<Self, Malformed> {
        use wire::images_request::Request as R;
        Ok(match request {
            R::List(()) => Self::List,
            R::Inspect(image) => Self::Inspect(reference(&image, "inspect")?),
            R::Pull(pull) => Self::Pull(pull.try_into()?),
            R::Load(()) => Self::Load,
            R::Save(save) => {
                let images = save.images.iter().map(|image| reference(image, "save.images"));
                Self::Save(images.collect::<Result<_, _>>()?)
            }
            R::Tag(tag) => Self::Tag {
                image: reference(&tag.image, "tag.image")?,
                name: reference(&tag.name, "tag.name")?,
            },
            R::Remove(remove) => Self::Remove {
                image: reference(&remove.image, "remove.image")?,
                removal: Removal {
                    force: remove.force,
                    keep_parents: remove.keep_parents,
                },
            },
        })
    }
}

impl From<&PullRequest> for wire::PullImage {
    fn from(pull: &PullRequest) -> Self {
        Self {
            image: pull.image.to_string(),
            platform: pull.platform.clone(),
            auth: pull.auth.as_ref().map(|auth| wire::RegistryAuth {
                username: auth.username.clone(),
                password: auth.password.clone(),
                server: auth.server.clone(),
                identity_token: auth.identity_token.clone(),
                registry_token: auth.registry_token.clone(),
            }),
        }
    }
}

impl TryFrom<wire::PullImage> for PullRequest {
    type Error = Malformed;
    fn try_from(pull: wire::PullImage) -> Result<Self, Malformed> {
        Ok(Self {
            image: reference(&pull.image, "pull.image")?,
            platform: pull.platform,
            auth: pull.auth.map(|auth| RegistryAuth {
                username: auth.username,
                password: auth.password,
                server: auth.server,
                identity_token: auth.identity_token,
                registry_token: auth.registry_token,
            }),
        })
    }
}

impl From<ImageOutput> for wire::ImageOutput {
    fn from(output: ImageOutput) -> Self {
        use wire::image_output::Output as O;
        let output = match output {
            ImageOutput::Listed(summary) => O::Listed(summary.into()),
            ImageOutput::Detail(detail) => O::Detail((*detail).into()),
            ImageOutput::Event(event) => O::Event(event.into()),
            ImageOutput::Removed(Removed::Untagged(name)) => O::Untagged(name),
            ImageOutput::Removed(Removed::Deleted(id)) => O::Deleted(id),
            ImageOutput::Done => O::Done(()),
            ImageOutput::Failed(error) => O::Failed(error.into()),
        };
        Self { output: Some(output) }
    }
}

impl TryFrom<wire::ImageOutput> for ImageOutput {
    type Error = Malformed;
    fn try_from(output: wire::ImageOutput) -> Result<Self, Malformed> {
        use wire::image_output::Output as O;
        Ok(match need(output.output, "image")? {
            O::Listed(summary) => Self::Listed(summary.into()),
            O::Detail(detail) => Self::Detail(Box::new(detail.try_into()?)),
            O::Event(event) => Self::Event(event.try_into()?),
            O::Untagged(name) => Self::Removed(Removed::Untagged(name)),
            O::Deleted(id) => Self::Removed(Removed::Deleted(id)),
            O::Done(()) => Self::Done,
            O::Failed(error) => Self::Failed(error.try_into()?),
        })
    }
}

impl From<ImageSummary> for wire::ImageSummary {
    fn from(summary: ImageSummary) -> Self {
        Self {
            id: summary.id,
            tags: summary.tags,
            digests: summary.digests,
            created_nanos: summary.created_nanos,
            size_bytes: summary.size_bytes,
            labels: summary.labels,
        }
    }
}

impl From<wire::ImageSummary> for ImageSummary {
    fn from(summary: wire::ImageSummary) -> Self {
        Self {
            id: summary.id,
            tags: summary.tags,
            digests: summary.digests,
            created_nanos: summary.created_nanos,
            size_bytes: summary.size_bytes,
            labels: summary.labels,
        }
    }
}

impl From<ImageDetail> for wire::ImageDetail {
    fn from(detail: ImageDetail) -> Self {
        Self {
            summary: Some(detail.summary.into()),
            architecture: detail.architecture,
            variant: detail.variant,
            os: detail.os,
            author: detail.author,
            comment: detail.comment,
            config: Some(detail.config.into()),
            layers: detail.layers,
        }
    }
}

impl TryFrom<wire::ImageDetail> for ImageDetail {
    type Error = Malformed;
    fn try_from(detail: wire::ImageDetail) -> Result<Self, Malformed> {
        Ok(Self {
            summary: need(detail.summary, "detail.summary")?.into(),
            architecture: detail.architecture,
            variant: detail.variant,
            os: detail.os,
            author: detail.author,
            comment: detail.comment,
            config: need(detail.config, "detail.config")?.into(),
            layers: detail.layers,
        })
    }
}

impl From<ImageConfig> for wire::ImageConfig {
    fn from(config: ImageConfig) -> Self {
        let words = |words| wire::ImageWords { words };
        Self {
            user: config.user,
            env: config.env,
            entrypoint: config.entrypoint.map(words),
            cmd: config.cmd.map(words),
            workdir: config.workdir,
            exposed_ports: config.exposed_ports,
            volumes: config.volumes,
            stop_signal: config.stop_signal,
            health: config.health.map(|health| wire::ImageHealth {
                test: health.test,
                interval_nanos: health.interval_nanos,
                timeout_nanos: health.timeout_nanos,
                start_period_nanos: health.start_period_nanos,
                retries: health.retries,
            }),
        }
    }
}

impl From<wire::ImageConfig> for ImageConfig {
    fn from(config: wire::ImageConfig) -> Self {
        Self {
            user: config.user,
            env: config.env,
            entrypoint: config.entrypoint.map(|w| w.words),
            cmd: config.cmd.map(|w| w.words),
            workdir: config.workdir,
            exposed_ports: config.exposed_ports,
            volumes: config.volumes,
            stop_signal: config.stop_signal,
            health: config.health.map(|health| ImageHealth {
                test: health.test,
                interval_nanos: health.interval_nanos,
                timeout_nanos: health.timeout_nanos,
                start_period_nanos: health.start_period_nanos,
                retries: health.retries,
            }),
        }
    }
}

impl From<ImageEvent> for wire::ImageEvent {
    fn from(event: ImageEvent) -> Self {
        use wire::image_event::Event as E;
        let event = match event {
            ImageEvent::Step {
                id,
                status,
                current,
                total,
            } => E::Step(wire::ImageStep {
                id,
                status,
                current,
                total,
            }),
            ImageEvent::Loaded(name) => E::Loaded(name),
        };
        Self { event: Some(event) }
    }
}

impl TryFrom<wire::ImageEvent> for ImageEvent {
    type Error = Malformed;
    fn try_from(event: wire::ImageEvent) -> Result<Self, Malformed> {
        use wire::image_event::Event as E;
        Ok(match need(event.event, "event")? {
            E::Step(step) => Self::Step {
                id: step.id,
                status: step.status,
                current: step.current,
                total: step.total,
            },
            E::Loaded(name) => Self::Loaded(name),
        })
    }
}

impl From<ImageError> for wire::ImageError {
    fn from(error: ImageError) -> Self {
        use wire::image_error::Error as E;
        let error = match error {
            ImageError::NotFound { image } => E::NotFound(image),
            ImageError::NotInRegistry { why } => E::NotInRegistry(why),
            ImageError::InUse { why } => E::InUse(why),
            ImageError::Refused { why } => E::Refused(why),
            ImageError::NotSupported { what, runtime } => {
                E::NotSupported(wire::ImagesNotSupported { what, runtime })
            }
            ImageError::Unavailable { why } => E::Unavailable(why),
            ImageError::Failed { why } => E::Failed(why),
        };
        Self { error: Some(error) }
    }
}

impl TryFrom<wire::ImageError> for ImageError {
    type Error = Malformed;
    fn try_from(error: wire::ImageError) -> Result<Self, Malformed> {
        use wire::image_error::Error as E;
        Ok(match need(error.error, "error")? {
            E::NotFound(image) => Self::NotFound { image },
            E::NotInRegistry(why) => Self::NotInRegistry { why },
            E::InUse(why) => Self::InUse { why },
            E::Refused(why) => Self::Refused { why },
            E::NotSupported(not) => Self::NotSupported {
                what: not.what,
                runtime: not.runtime,
            },
            E::Unavailable(why) => Self::Unavailable { why },
            E::Failed(why) => Self::Failed { why },
        })
    }
}
