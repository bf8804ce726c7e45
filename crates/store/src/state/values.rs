//! The index of a state store on disk, and how the values it places are fetched.

use super::index::Index;
use super::place::Place;
use super::reader::Backing;
use bytes::Bytes;
use parking_lot::RwLock;
use plenum_contract::state_store::StateError;
use std::sync::Arc;

/// The index of values on disk.
pub(super) struct Values {
    index: RwLock<Index<Place>>,
}

impl Values {
    pub(super) fn new(index: Index<Place>) -> Arc<Self> {
        let index = RwLock::new(index);
        Arc::new(Self { index })
    }
}

impl Backing for Values {
    type Value = Place;

    fn index(&self) -> &RwLock<Index<Place>> {
        &self.index
    }

    fn fetch(&self, value: &Place) -> Result<Bytes, StateError> {
        value.fetch()
    }

    async fn run<T: Send + 'static>(
        self: Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, StateError> + Send + 'static,
    ) -> Result<T, StateError> {
        let done = tokio::task::spawn_blocking(move || work(&self)).await;
        done.unwrap_or_else(|error| {
            let why = format!("a read was given up: {error}");
            Err(StateError::Unavailable { why })
        })
    }
}
