//! Where objects live: each is one key of the state store, its resource version is the revision of the key's last
//! write, and a cache in memory, fed by the store's own watch, answers every read. Writes compare revisions, so
//! that two servers on one store cannot overwrite each other; reads wait until the cache has seen the last write
//! of this server.
//!
//! `codec` says how an object is written down, `cache` holds objects and the recent changes, `pump` keeps the
//! cache abreast of the store, `writer` commits, `pending` spares reading back what was just written.

mod cache;
mod codec;
mod object;
mod pending;
mod pump;
mod writer;

pub use cache::{Cache, Change};
pub use object::{Object, Shape};
pub use pump::{Keeper, LoadError};
pub use writer::{Commit, CommitError, Expect, Storage};

/// The name of one object within its resource: `namespace/name`, or the name alone where there are no namespaces.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

impl Key {
    /// The key of an object; an empty namespace means none.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        if namespace.is_empty() {
            Self(name.to_owned())
        } else {
            Self(format!("{namespace}/{name}"))
        }
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A key read back from text.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Whether it lies in this namespace (empty: any).
    #[must_use]
    pub fn is_in(&self, namespace: &str) -> bool {
        namespace.is_empty()
            || self
                .0
                .strip_prefix(namespace)
                .is_some_and(|rest| rest.starts_with('/'))
    }
}
