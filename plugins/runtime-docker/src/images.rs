//! The daemon's images. It keeps them and it fetches them; here its answers are put into plain words.

use crate::failure::{status, text};
use crate::{DockerRuntime, NAME};
use async_trait::async_trait;
use bollard::Docker;
use bollard::auth::DockerCredentials;
use bollard::errors::Error;
use bollard::models::{
    BuildInfo, CreateImageInfo, HealthConfig, ImageConfig as DockerConfig, ImageDeleteResponseItem,
    ImageInspect, ImageSummary as DockerSummary, ProgressDetail,
};
use bollard::query_parameters::{
    CreateImageOptions, ImportImageOptions, ListImagesOptions, RemoveImageOptions, TagImageOptions,
};
use futures::future::ready;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use plenum_contract::images::reference::ImageRef;
use plenum_contract::images::{
    Archive, ImageConfig, ImageDetail, ImageError, ImageEvent, ImageEvents, ImageHealth, ImageSummary,
    Images, PullRequest, RegistryAuth, Removal, Removed,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The daemon answers a load only when it has read and unpacked the archive, however large.
const LOAD_WITHIN: Duration = Duration::from_secs(24 * 60 * 60);

/// A name of an image that has none, as old daemons list it.
const NONE: &str = "<none>";

impl DockerRuntime {
    async fn for_images(&self) -> Result<&Docker, ImageError> {
        self.docker()
            .await
            .map_err(|e| ImageError::Unavailable { why: e.to_string() })
    }
}

#[async_trait]
impl Images for DockerRuntime {
    async fn list(&self) -> Result<Vec<ImageSummary>, ImageError> {
        let docker = self.for_images().await?;
        let listed = docker.list_images(None::<ListImagesOptions>).await;
        let listed = listed.map_err(|e| failed(&e))?;
        Ok(listed.into_iter().map(summary).collect())
    }

    async fn inspect(&self, image: &ImageRef) -> Result<ImageDetail, ImageError> {
        let docker = self.for_images().await?;
        let inspected = docker.inspect_image(image.as_str()).await;
        inspected.map(detail).map_err(|e| of_image(image, &e))
    }

    async fn pull(&self, pull: PullRequest) -> Result<ImageEvents, ImageError> {
        if pull.image.is_id() {
            return Err(ImageError::NotInRegistry {
                why: format!("{} is an id: no registry knows it", pull.image),
            });
        }
        let docker = self.for_images().await?;
        let events = docker.create_image(Some(options(&pull)), None, pull.auth.map(credentials));
        let events = events.map(|item| item.map(step).map_err(|e| of_registry(&e)));
        Ok(until_error(events.boxed()))
    }

    async fn load(&self, archive: Archive) -> Result<ImageEvents, ImageError> {
        let docker = self.for_images().await?.clone().with_timeout(LOAD_WITHIN);
        let options = ImportImageOptions {
            quiet: false,
            platform: None,
        };
        // To the daemon a broken archive is a broken connection; why it broke is remembered here.
        let broken = Arc::new(Mutex::new(None));
        let seen = Arc::clone(&broken);
        let archive = archive.inspect_err(move |error| {
            *seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
        });
        let events = docker.import_image_stream(options, archive, None);
        let events = events.map(move |item| match item {
            Ok(info) => Ok(loaded(info)),
            Err(e) => {
                let own = broken.lock().unwrap_or_else(PoisonError::into_inner).take();
                Err(own.unwrap_or_else(|| of_archive(&e)))
            }
        });
        Ok(until_error(events.boxed()))
    }

    async fn save(&self, images: &[ImageRef]) -> Result<Archive, ImageError> {
        for image in images {
            Images::inspect(self, image).await?;
        }
        let docker = self.for_images().await?;
        let names: Vec<_> = images.iter().map(ImageRef::as_str).collect();
        let archive = docker.export_images(&names);
        Ok(until_error(
            archive.map(|item| item.map_err(|e| failed(&e))).boxed(),
        ))
    }

    async fn tag(&self, image: &ImageRef, name: &ImageRef) -> Result<(), ImageError> {
        let name = name.tagged();
        let Some((repo, tag)) = name.name_and_tag() else {
            return Err(ImageError::Refused {
                why: "refusing to create a tag with a digest reference".to_owned(),
            });
        };
        let options = TagImageOptions {
            repo: Some(repo.to_owned()),
            tag: Some(tag.to_owned()),
        };
        let docker = self.for_images().await?;
        let tagged = docker.tag_image(image.as_str(), Some(options)).await;
        tagged.map_err(|e| of_image(image, &e))
    }

    async fn remove(&self, image: &ImageRef, removal: Removal) -> Result<Vec<Removed>, ImageError> {
        let options = RemoveImageOptions {
            force: removal.force,
            noprune: removal.keep_parents,
            ..RemoveImageOptions::default()
        };
        let docker = self.for_images().await?;
        let removed = docker.remove_image(image.as_str(), Some(options), None).await;
        let removed = removed.map_err(|e| of_image(image, &e))?;
        Ok(removed.into_iter().flat_map(said).collect())
    }
}

fn said(item: ImageDeleteResponseItem) -> impl Iterator<Item = Removed> {
    let untagged = item.untagged.map(Removed::Untagged);
    untagged.into_iter().chain(item.deleted.map(Removed::Deleted))
}

/// What the daemon is asked for a pull.
fn options(pull: &PullRequest) -> CreateImageOptions {
    // Without a tag the daemon would pull every tag there is.
    let image = pull.image.tagged();
    CreateImageOptions {
        from_image: Some(image.as_str().to_owned()),
        platform: pull.platform.clone().unwrap_or_default(),
        ..CreateImageOptions::default()
    }
}

fn credentials(auth: RegistryAuth) -> DockerCredentials {
    DockerCredentials {
        username: auth.username,
        password: auth.password,
        serveraddress: auth.server,
        identitytoken: auth.identity_token,
        registrytoken: auth.registry_token,
        ..DockerCredentials::default()
    }
}

/// Items up to the first error.
fn until_error<T: Send + 'static>(
    items: stream::BoxStream<'static, Result<T, ImageError>>,
) -> stream::BoxStream<'static, Result<T, ImageError>> {
    let items = items.scan(false, |over, item| {
        let gone = std::mem::replace(over, item.is_err());
        ready((!gone).then_some(item))
    });
    items.boxed()
}

fn step(info: CreateImageInfo) -> ImageEvent {
    progress(info.id, info.status, info.progress_detail)
}

fn progress(id: Option<String>, status: Option<String>, detail: Option<ProgressDetail>) -> ImageEvent {
    let detail = detail.unwrap_or_default();
    let bytes = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok());
    ImageEvent::Step {
        id,
        status: status.unwrap_or_default(),
        current: bytes(detail.current),
        total: bytes(detail.total),
    }
}

fn loaded(info: BuildInfo) -> ImageEvent {
    let line = info.stream.as_deref().unwrap_or_default().trim();
    let name = line
        .strip_prefix("Loaded image: ")
        .or_else(|| line.strip_prefix("Loaded image ID: "));
    match (name, line) {
        (Some(name), _) => ImageEvent::Loaded(name.to_owned()),
        (None, "") => progress(info.id, info.status, info.progress_detail),
        (None, line) => progress(info.id, Some(line.to_owned()), info.progress_detail),
    }
}

fn names(all: Vec<String>) -> Vec<String> {
    all.into_iter().filter(|name| !name.starts_with(NONE)).collect()
}

fn summary(listed: DockerSummary) -> ImageSummary {
    ImageSummary {
        id: listed.id,
        tags: names(listed.repo_tags),
        digests: names(listed.repo_digests),
        created_nanos: unsigned(listed.created).saturating_mul(1_000_000_000),
        size_bytes: unsigned(listed.size),
        labels: listed.labels.into_iter().collect(),
    }
}

fn detail(image: ImageInspect) -> ImageDetail {
    let mut config = image.config.unwrap_or_default();
    let created = image.created.and_then(|at| at.parse::<Timestamp>().ok());
    ImageDetail {
        summary: ImageSummary {
            id: image.id.unwrap_or_default(),
            tags: names(image.repo_tags.unwrap_or_default()),
            digests: names(image.repo_digests.unwrap_or_default()),
            created_nanos: created.map_or(0, |at| u64::try_from(at.as_nanosecond()).unwrap_or(0)),
            size_bytes: unsigned(image.size.unwrap_or(0)),
            labels: config
                .labels
                .take()
                .unwrap_or_default()
                .into_iter()
                .collect::<BTreeMap<_, _>>(),
        },
        architecture: image.architecture.unwrap_or_default(),
        variant: image.variant.filter(|v| !v.is_empty()),
        os: image.os.unwrap_or_default(),
        author: image.author.unwrap_or_default(),
        comment: image.comment.unwrap_or_default(),
        config: config_of(config),
        layers: image.root_fs.and_then(|root| root.layers).unwrap_or_default(),
    }
}

fn config_of(config: DockerConfig) -> ImageConfig {
    let sorted = |all: Option<Vec<String>>| {
        let mut all = all.unwrap_or_default();
        all.sort();
        all
    };
    ImageConfig {
        user: config.user.unwrap_or_default(),
        env: config.env.unwrap_or_default(),
        entrypoint: config.entrypoint,
        cmd: config.cmd,
        workdir: config.working_dir.unwrap_or_default(),
        exposed_ports: sorted(config.exposed_ports),
        volumes: sorted(config.volumes),
        stop_signal: config.stop_signal.filter(|s| !s.is_empty()),
        health: config.healthcheck.map(health),
    }
}

fn health(check: HealthConfig) -> ImageHealth {
    let nanos = |n: Option<i64>| unsigned(n.unwrap_or(0));
    ImageHealth {
        test: check.test.unwrap_or_default(),
        interval_nanos: nanos(check.interval),
        timeout_nanos: nanos(check.timeout),
        start_period_nanos: nanos(check.start_period),
        retries: u32::try_from(check.retries.unwrap_or(0)).unwrap_or(0),
    }
}

fn unsigned(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

/// A refusal of a verb on one image.
fn of_image(image: &ImageRef, e: &Error) -> ImageError {
    match status(e) {
        Some(404) => ImageError::NotFound {
            image: image.tagged().to_string(),
        },
        Some(409) => ImageError::InUse { why: text(e) },
        Some(400) => ImageError::Refused { why: text(e) },
        Some(_) | None => failed(e),
    }
}

/// A pull that failed. The daemon's words are the registry's, whatever status it gives them.
fn of_registry(e: &Error) -> ImageError {
    let why = text(e);
    let absent = [
        "not found",
        "manifest unknown",
        "pull access denied",
        "does not exist",
    ];
    match (status(e), absent.iter().any(|words| why.contains(words))) {
        (Some(404), _) => ImageError::NotInRegistry { why },
        (Some(400), _) => ImageError::Refused { why },
        (Some(_), _) | (None, false) => failed(e),
        (None, true) => match e {
            Error::DockerStreamError { .. } => ImageError::NotInRegistry { why },
            _ => failed(e),
        },
    }
}

/// A load that failed: mostly because the archive is none.
fn of_archive(e: &Error) -> ImageError {
    let why = text(e);
    let no_archive = [
        "tar",
        "unexpected EOF",
        "docker-import-",
        "manifest",
        "invalid",
        "archive",
    ];
    let answered = status(e).is_some() || matches!(e, Error::DockerStreamError { .. });
    let room = !why.contains("no space left");
    if answered && room && no_archive.iter().any(|words| why.contains(words)) {
        return ImageError::Refused { why };
    }
    failed(e)
}

fn failed(e: &Error) -> ImageError {
    let why = text(e);
    let answered = status(e).is_some() || matches!(e, Error::DockerStreamError { .. });
    if answered {
        return ImageError::Failed { why };
    }
    ImageError::Unavailable {
        why: format!("runtime {NAME}: {why}"),
    }
}
