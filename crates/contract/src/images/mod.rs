//! `Images`: the images that a runtime keeps on its node. Which node has which is a fact of the node and stands
//! in no ledger; whoever wants to know asks. Archives are streams: no image is ever held in memory.
//!
//! `reference` is how an image is named, `carried` this contract over a stream to a node, both ends.

pub mod carried;
pub mod reference;

use crate::error::{Class, Classified};
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use reference::ImageRef;
use std::collections::BTreeMap;
use std::fmt;

/// The images of one runtime on one node.
#[async_trait]
pub trait Images: Send + Sync {
    /// Every image that is there, in no order.
    ///
    /// # Errors
    /// See [`ImageError`], here and below.
    async fn list(&self) -> Result<Vec<ImageSummary>, ImageError>;

    /// All about one image; `NotFound` when it is not there.
    async fn inspect(&self, image: &ImageRef) -> Result<ImageDetail, ImageError>;

    /// Has a registry's image here. It is once the events end without an error; dropping them gives it up.
    async fn pull(&self, pull: PullRequest) -> Result<ImageEvents, ImageError>;

    /// Has the images of an archive here. They are once the events end without an error. An archive that ends
    /// with an error leaves nothing that can be run. `Refused` when it is none.
    async fn load(&self, archive: Archive) -> Result<ImageEvents, ImageError>;

    /// An archive of these images with the names they were asked by, as `load` takes it.
    async fn save(&self, images: &[ImageRef]) -> Result<Archive, ImageError>;

    /// Gives an image another name, taking that from whichever had it.
    async fn tag(&self, image: &ImageRef, name: &ImageRef) -> Result<(), ImageError>;

    /// Takes a name from an image, and removes it with its last one; by id, with all its names.
    async fn remove(&self, image: &ImageRef, removal: Removal) -> Result<Vec<Removed>, ImageError>;
}

/// An archive as it comes: complete when it ends without an error.
pub type Archive = BoxStream<'static, Result<Bytes, ImageError>>;

/// What a long verb tells as it goes on; the first error is the last item.
pub type ImageEvents = BoxStream<'static, Result<ImageEvent, ImageError>>;

/// An image in a listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageSummary {
    /// Its id (`sha256:...`), the same wherever this image is.
    pub id: String,
    /// Its names (`app:1`); an image may have none.
    pub tags: Vec<String>,
    /// What registries know it by (`app@sha256:...`).
    pub digests: Vec<String>,
    /// When it was made, in Unix nanoseconds.
    pub created_nanos: u64,
    /// What it takes of the node's disk, in bytes, shared layers included.
    pub size_bytes: u64,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// All about one image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageDetail {
    /// What a listing shows of it.
    pub summary: ImageSummary,
    /// For which processors (`amd64`).
    pub architecture: String,
    /// Which of them (`v7`).
    pub variant: Option<String>,
    /// For which system (`linux`).
    pub os: String,
    /// Who made it.
    pub author: String,
    /// What its maker wrote.
    pub comment: String,
    /// How its containers run when nothing else is asked.
    pub config: ImageConfig,
    /// The digests of its layers, the lowest first.
    pub layers: Vec<String>,
}

/// How the containers of an image run when nothing else is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageConfig {
    /// As which user; empty: root.
    pub user: String,
    /// Environment (`NAME=value`), in order.
    pub env: Vec<String>,
    /// The start of the command line.
    pub entrypoint: Option<Vec<String>>,
    /// The rest of it.
    pub cmd: Option<Vec<String>>,
    /// Working directory; empty: `/`.
    pub workdir: String,
    /// Ports it serves (`80/tcp`).
    pub exposed_ports: Vec<String>,
    /// Paths that are volumes.
    pub volumes: Vec<String>,
    /// The signal that asks it to stop.
    pub stop_signal: Option<String>,
    /// How its health is checked.
    pub health: Option<ImageHealth>,
}

/// How an image checks its own health.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageHealth {
    /// `CMD` or `CMD-SHELL` and what follows; `NONE`: not at all.
    pub test: Vec<String>,
    /// Nanoseconds between two checks; 0: the runtime's default, here and below.
    pub interval_nanos: u64,
    /// Nanoseconds one may take.
    pub timeout_nanos: u64,
    /// Nanoseconds in which failures do not count.
    pub start_period_nanos: u64,
    /// Failures in a row that make it unhealthy.
    pub retries: u32,
}

/// Which image to pull, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// Its name.
    pub image: ImageRef,
    /// For which platform (`linux/arm64`); none: the node's.
    pub platform: Option<String>,
    /// What its registry asks for.
    pub auth: Option<RegistryAuth>,
}

/// What a registry asks for. Its `Debug` shows nothing of it; it is kept nowhere.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RegistryAuth {
    /// The user.
    pub username: Option<String>,
    /// The user's password.
    pub password: Option<String>,
    /// Which registry it is meant for.
    pub server: Option<String>,
    /// A token in place of the password.
    pub identity_token: Option<String>,
    /// A token for the registry itself.
    pub registry_token: Option<String>,
}

impl fmt::Debug for RegistryAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RegistryAuth(..)")
    }
}

/// One piece of news of a long verb.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageEvent {
    /// Something goes on.
    Step {
        /// With which layer; none: with the whole.
        id: Option<String>,
        /// What (`Downloading`).
        status: String,
        /// How much of it is done, in bytes.
        current: Option<u64>,
        /// Of how much, in bytes.
        total: Option<u64>,
    },
    /// An image of the archive is here under this name, or this id where it has none.
    Loaded(String),
}

/// How an image is removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removal {
    /// Even if it has several names or an ended container refers to it.
    pub force: bool,
    /// Keep its nameless parents.
    pub keep_parents: bool,
}

/// What a removal did.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Removed {
    /// This name is gone.
    Untagged(String),
    /// The image or layer with this id is gone.
    Deleted(String),
}

/// One verb of [`Images`], as it travels to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageRequest {
    /// `list`.
    List,
    /// `inspect`.
    Inspect(ImageRef),
    /// `pull`.
    Pull(PullRequest),
    /// `load`; the archive is the input, complete when `Eof` has come.
    Load,
    /// `save`.
    Save(Vec<ImageRef>),
    /// `tag`.
    Tag {
        /// Which image.
        image: ImageRef,
        /// Its new name.
        name: ImageRef,
    },
    /// `remove`.
    Remove {
        /// Which image.
        image: ImageRef,
        /// How.
        removal: Removal,
    },
}

/// What a node answers. The bytes of an archive come as standard output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageOutput {
    /// One image of a listing.
    Listed(ImageSummary),
    /// All about the image.
    Detail(Box<ImageDetail>),
    /// News.
    Event(ImageEvent),
    /// What was removed.
    Removed(Removed),
    /// It is done. The last thing that comes.
    Done,
    /// It failed. The last thing that comes.
    Failed(ImageError),
}

/// An image that another node has.
pub struct FoundImage {
    /// Its id: the name it was asked by may not travel with it (a registry's digest does not).
    pub id: String,
    /// The image.
    pub archive: Archive,
}

/// Why images failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// It is not there.
    #[error("No such image: {image}")]
    NotFound {
        /// As it was asked.
        image: String,
    },
    /// Its registry has no such image, or does not show it.
    #[error("{why}")]
    NotInRegistry {
        /// What the registry said.
        why: String,
    },
    /// A container, or another name, stands in the way.
    #[error("{why}")]
    InUse {
        /// What does.
        why: String,
    },
    /// The request can never be served: a name that is none, an archive that is none.
    #[error("{why}")]
    Refused {
        /// What is wrong.
        why: String,
    },
    /// The node has no such runtime, or that has no images.
    #[error("{what} is not supported by runtime {runtime}")]
    NotSupported {
        /// What was asked.
        what: String,
        /// Which runtime.
        runtime: String,
    },
    /// The node cannot be reached, or the stream broke.
    #[error("node unavailable: {why}")]
    Unavailable {
        /// What was observed.
        why: String,
    },
    /// The runtime or the registry failed.
    #[error("{why}")]
    Failed {
        /// What it said.
        why: String,
    },
}

impl Classified for ImageError {
    fn class(&self) -> Class {
        match self {
            Self::Unavailable { .. } | Self::Failed { .. } => Class::Retry,
            Self::InUse { .. } => Class::Conflict,
            Self::NotFound { .. }
            | Self::NotInRegistry { .. }
            | Self::Refused { .. }
            | Self::NotSupported { .. } => Class::Fatal,
        }
    }
}
