use super::*;
use crate::apiserver::storage::Shape;
use async_trait::async_trait;
use futures::stream::BoxStream;
use plenum_contract::state_store::{Compare, Entry, Page, Write};
use plenum_store::MemoryState;
use serde_json::json;

const SHAPE: Shape = Shape {
    api_version: "v1",
    kind: "ConfigMap",
    selectable: &[],
};

/// A store whose watches are slower than anybody waits for.
struct Slow(MemoryState);

#[async_trait]
impl StateStore for Slow {
    async fn get(&self, key: &str) -> Result<Option<Entry>, StateError> {
        self.0.get(key).await
    }

    async fn list(
        &self,
        prefix: &str,
        at: Option<Revision>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page, StateError> {
        self.0.list(prefix, at, after, limit).await
    }

    async fn txn(&self, compares: Vec<Compare>, writes: Vec<Write>) -> Result<Revision, StateError> {
        self.0.txn(compares, writes).await
    }

    async fn watch(
        &self,
        _prefix: &str,
        _from: Revision,
    ) -> Result<BoxStream<'static, Result<Vec<Change>, StateError>>, StateError> {
        Ok(futures::stream::pending().boxed())
    }
}

#[tokio::test]
async fn what_a_slow_store_has_not_told_of_in_time_is_there_when_the_server_starts() {
    let store = Slow(MemoryState::new());
    let written = ["a", "b"].map(|name| {
        let object = json!({"metadata": {"name": name, "namespace": "ns"}});
        let bytes = Bytes::from(object.to_string());
        codec::put("configmaps", &Key::new("ns", name), &bytes, 0)
    });
    for writes in written {
        store.txn(Vec::new(), writes).await.unwrap();
    }
    let other = Write::Put("elsewhere".to_owned(), Bytes::from_static(b"1"));
    let newest = store.txn(Vec::new(), vec![other]).await.unwrap();
    let storage = Arc::new(Storage::new(Arc::new(store), [("configmaps", SHAPE)], 100));
    Keeper::load(Arc::clone(&storage)).await.unwrap();
    let listed = storage.cache("configmaps").list("ns");
    assert_eq!((listed.objects.len(), listed.revision), (2, newest.0));
}
