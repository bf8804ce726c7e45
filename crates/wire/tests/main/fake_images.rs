//! A node's images: one archive can be loaded, and what is asked is remembered.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{StreamExt, TryStreamExt, iter};
use plenum_contract::images::reference::ImageRef;
use plenum_contract::images::{
    Archive, ImageConfig, ImageDetail, ImageError, ImageEvent, ImageEvents, ImageHealth, ImageSummary,
    Images, PullRequest, Removal, Removed,
};
use std::sync::Mutex;

#[derive(Default)]
pub(crate) struct FakeImages {
    pub(crate) pulls: Mutex<Vec<PullRequest>>,
    pub(crate) loaded: Mutex<Vec<Bytes>>,
}

/// Every error that images have.
pub(crate) fn every_error() -> Vec<ImageError> {
    let why = || "because".to_owned();
    vec![
        ImageError::NotFound { image: "a:1".into() },
        ImageError::NotInRegistry { why: why() },
        ImageError::InUse { why: why() },
        ImageError::Refused { why: why() },
        ImageError::NotSupported {
            what: "save".into(),
            runtime: "process".into(),
        },
        ImageError::Unavailable { why: why() },
        ImageError::Failed { why: why() },
    ]
}

pub(crate) fn summary() -> ImageSummary {
    ImageSummary {
        id: "sha256:aa".into(),
        tags: vec!["a:1".into(), "b:2".into()],
        digests: vec!["a@sha256:bb".into()],
        created_nanos: 5,
        size_bytes: 6,
        labels: [("k".to_owned(), "v".to_owned())].into(),
    }
}

pub(crate) fn detail() -> ImageDetail {
    ImageDetail {
        summary: summary(),
        architecture: "arm".into(),
        variant: Some("v7".into()),
        os: "linux".into(),
        author: "me".into(),
        comment: "none".into(),
        config: ImageConfig {
            user: "1:2".into(),
            env: vec!["A=b".into()],
            entrypoint: Some(vec![]),
            cmd: Some(vec!["sh".into()]),
            workdir: "/w".into(),
            exposed_ports: vec!["80/tcp".into()],
            volumes: vec!["/v".into()],
            stop_signal: Some("SIGHUP".into()),
            health: Some(ImageHealth {
                test: vec!["NONE".into()],
                interval_nanos: 1,
                timeout_nanos: 2,
                start_period_nanos: 3,
                retries: 4,
            }),
        },
        layers: vec!["sha256:cc".into()],
    }
}

pub(crate) fn events() -> Vec<ImageEvent> {
    vec![
        ImageEvent::Step {
            id: Some("layer".into()),
            status: "Downloading".into(),
            current: Some(1),
            total: None,
        },
        ImageEvent::Loaded("a:1".into()),
    ]
}

/// The archive of what is saved, in pieces.
pub(crate) fn pieces() -> Vec<Bytes> {
    (0..200_u8).map(|n| Bytes::from(vec![n; 30_000])).collect()
}

#[async_trait]
impl Images for FakeImages {
    async fn list(&self) -> Result<Vec<ImageSummary>, ImageError> {
        Ok(vec![summary(), ImageSummary::default()])
    }

    async fn inspect(&self, image: &ImageRef) -> Result<ImageDetail, ImageError> {
        match image.as_str().strip_prefix("error:").and_then(|n| n.parse().ok()) {
            Some(n) => Err(every_error().remove(n)),
            None => Ok(detail()),
        }
    }

    async fn pull(&self, pull: PullRequest) -> Result<ImageEvents, ImageError> {
        self.pulls.lock().unwrap().push(pull);
        let broken = Err(every_error().remove(6));
        Ok(iter(events().into_iter().map(Ok).chain([broken])).boxed())
    }

    async fn load(&self, archive: Archive) -> Result<ImageEvents, ImageError> {
        let all: Vec<_> = archive.try_collect().await?;
        *self.loaded.lock().unwrap() = all;
        Ok(iter(events().into_iter().map(Ok)).boxed())
    }

    async fn save(&self, images: &[ImageRef]) -> Result<Archive, ImageError> {
        if let [one] = images {
            return Err(ImageError::NotFound {
                image: one.to_string(),
            });
        }
        Ok(iter(pieces().into_iter().map(Ok)).boxed())
    }

    async fn tag(&self, _: &ImageRef, _: &ImageRef) -> Result<(), ImageError> {
        Ok(())
    }

    async fn remove(&self, image: &ImageRef, removal: Removal) -> Result<Vec<Removed>, ImageError> {
        let untagged = Removed::Untagged(format!("{image} {removal:?}"));
        Ok(vec![untagged, Removed::Deleted("sha256:aa".into())])
    }
}
