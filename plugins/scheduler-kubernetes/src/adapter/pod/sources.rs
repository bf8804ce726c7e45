//! What a pod refers to beside itself: config maps, secrets, tokens of its service account. Found out from its
//! spec, read by somebody else, and handed to the lowering.

use super::all_containers;
use k8s_openapi::api::core::v1::{PodSpec, VolumeProjection};
use std::collections::{BTreeMap, BTreeSet};

/// A token that a volume asks for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenAsk {
    /// For whom; empty: the API server.
    pub audience: String,
    /// How long it shall last.
    pub expiration_seconds: i64,
}

/// The names of what a pod refers to, in its own namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refs {
    /// Config maps.
    pub config_maps: BTreeSet<String>,
    /// Secrets.
    pub secrets: BTreeSet<String>,
    /// Tokens.
    pub tokens: BTreeSet<TokenAsk>,
}

/// The entries of a config map or a secret.
pub type Entries = BTreeMap<String, Vec<u8>>;

/// What it refers to, as read. What is not in here was not there.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// Config maps.
    pub config_maps: BTreeMap<String, Entries>,
    /// Secrets.
    pub secrets: BTreeMap<String, Entries>,
    /// Tokens.
    pub tokens: BTreeMap<TokenAsk, String>,
}

impl std::fmt::Debug for Sources {
    /// Names only: the rest is secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sources")
            .field("config_maps", &self.config_maps.keys())
            .field("secrets", &self.secrets.keys())
            .finish_non_exhaustive()
    }
}

/// What a pod refers to.
#[must_use]
pub fn refs(spec: &PodSpec) -> Refs {
    let mut refs = Refs::default();
    for (_, container) in all_containers(spec) {
        for from in container.env_from.iter().flatten() {
            refs.config_maps
                .extend(from.config_map_ref.as_ref().map(|r| r.name.clone()));
            refs.secrets
                .extend(from.secret_ref.as_ref().map(|r| r.name.clone()));
        }
        for source in container
            .env
            .iter()
            .flatten()
            .filter_map(|e| e.value_from.as_ref())
        {
            refs.config_maps
                .extend(source.config_map_key_ref.as_ref().map(|r| r.name.clone()));
            refs.secrets
                .extend(source.secret_key_ref.as_ref().map(|r| r.name.clone()));
        }
    }
    for volume in spec.volumes.iter().flatten() {
        refs.config_maps
            .extend(volume.config_map.as_ref().map(|r| r.name.clone()));
        refs.secrets
            .extend(volume.secret.as_ref().and_then(|r| r.secret_name.clone()));
        let projected = volume.projected.iter().flat_map(|p| p.sources.iter().flatten());
        projected.for_each(|p| refs.project(p));
    }
    refs
}

impl Refs {
    fn project(&mut self, source: &VolumeProjection) {
        self.config_maps
            .extend(source.config_map.as_ref().map(|r| r.name.clone()));
        self.secrets
            .extend(source.secret.as_ref().map(|r| r.name.clone()));
        self.tokens
            .extend(source.service_account_token.as_ref().map(|t| TokenAsk {
                audience: t.audience.clone().unwrap_or_default(),
                expiration_seconds: t.expiration_seconds.unwrap_or(3600),
            }));
    }

    /// Whether it refers to nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Something a pod cannot start without, and that was not there. It may still come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Who needs it.
    pub needed_by: NeededBy,
    /// In the words of Kubernetes.
    pub message: String,
}

/// Who needs what is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NeededBy {
    /// The environment of a container, by name.
    Container(String),
    /// A volume, by name.
    Volume(String),
}
