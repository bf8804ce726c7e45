//! Secrets and configs: immutable bytes under a name. The record has all but the bytes, which stand under a
//! key of their own and are fetched by the agents that need them.

use crate::store::{Desired, Record, Table};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What both kinds keep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blob {
    /// 25 characters.
    pub id: String,
    /// Unique among its kind.
    pub name: String,
    /// The user's labels.
    pub labels: BTreeMap<String, String>,
    /// SHA-256 of the bytes: an update must not change them.
    pub digest: String,
    /// Unix milliseconds.
    pub created_at: u64,
    /// Unix milliseconds.
    pub updated_at: u64,
}

/// A secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretRecord(pub Blob);

/// A config.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConfigRecord(pub Blob);

/// A kind of blob.
pub trait BlobRecord: Record {
    /// As it stands in messages, paths and events.
    const NOUN: &'static str;
    /// The most bytes it may have.
    const MAX_BYTES: usize;
    /// From its parts.
    fn from_blob(blob: Blob) -> Self;
    /// Its parts.
    fn blob(&self) -> &Blob;
    /// All of its kind.
    fn all(desired: &Desired) -> &Table<Self>;
}

/// Where the bytes of a blob stand.
#[must_use]
pub fn bytes_key(noun: &str, id: &str) -> String {
    format!("{noun}-data/{id}")
}

macro_rules! blob {
    ($name:ident, $noun:literal, $max:expr, $table:ident) => {
        impl Record for $name {
            const KIND: &'static str = $noun;
            fn id(&self) -> &str {
                &self.0.id
            }
            fn table(desired: &mut Desired) -> &mut Table<Self> {
                &mut desired.$table
            }
        }

        impl BlobRecord for $name {
            const NOUN: &'static str = $noun;
            const MAX_BYTES: usize = $max;
            fn from_blob(blob: Blob) -> Self {
                Self(blob)
            }
            fn blob(&self) -> &Blob {
                &self.0
            }
            fn all(desired: &Desired) -> &Table<Self> {
                &desired.$table
            }
        }
    };
}

blob!(SecretRecord, "secret", 500 * 1024, secrets);
blob!(ConfigRecord, "config", 1000 * 1024, configs);
