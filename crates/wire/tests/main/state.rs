//! The `StateStore` contract through a prefix, in process and over the wire.

use crate::wired::Wired;
use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use plenum_contract::error::Classified;
use plenum_contract::state_store::{Change, Compare, MAX_KEY, StateError, StateStore, Write};
use plenum_contract::suite::state_store::{StateStoreFixture, state_store_suite};
use plenum_model::ids::{Revision, SchedulerId};
use plenum_store::MemoryState;
use plenum_wire::{Prefixed, RemoteState};
use std::sync::Arc;

/// Revisions that the stores of the suite keep: its own tests fit.
const HISTORY: usize = 300;

fn scheduler(name: &str) -> SchedulerId {
    SchedulerId::new(name).unwrap()
}

async fn push_out(store: &dyn StateStore) {
    for _ in 0..=HISTORY {
        store
            .txn(vec![], vec![Write::Put("~".to_owned(), Bytes::new())])
            .await
            .unwrap();
    }
}

struct InProcess(MemoryState);

#[async_trait]
impl StateStoreFixture for InProcess {
    async fn open(&mut self) -> Arc<dyn StateStore> {
        Arc::new(Prefixed::new(Arc::new(self.0.clone()), scheduler("marathon")))
    }

    async fn forget_history(&mut self, store: &dyn StateStore) {
        push_out(store).await;
    }

    fn longest_key(&self) -> usize {
        MAX_KEY - "schedulers/marathon/".len()
    }
}

#[tokio::test]
async fn a_part_of_a_store_keeps_the_contract_in_process() {
    state_store_suite(|| InProcess(MemoryState::with_history(HISTORY))).await;
}

#[derive(Default)]
struct OverTheWire(Option<Wired>);

#[async_trait]
impl StateStoreFixture for OverTheWire {
    async fn open(&mut self) -> Arc<dyn StateStore> {
        if self.0.is_none() {
            self.0 = Some(Wired::with_state(MemoryState::with_history(HISTORY)).await);
        }
        let wired = self.0.as_ref().unwrap();
        Arc::new(RemoteState::new(wired.channel.clone(), scheduler("marathon")))
    }

    async fn forget_history(&mut self, store: &dyn StateStore) {
        push_out(store).await;
    }

    fn longest_key(&self) -> usize {
        MAX_KEY - "schedulers/marathon/".len()
    }
}

#[tokio::test]
async fn a_part_of_a_store_keeps_the_contract_over_the_wire() {
    state_store_suite(OverTheWire::default).await;
}

fn put(key: &str, value: &'static str) -> Write {
    Write::Put(key.to_owned(), Bytes::from_static(value.as_bytes()))
}

async fn two_schedulers_see_nothing_of_each_other(a: &dyn StateStore, b: &dyn StateStore) {
    a.txn(vec![], vec![put("apps/web", "of a")]).await.unwrap();
    let revision = b.txn(vec![], vec![put("apps/web", "of b")]).await.unwrap();
    assert_eq!(a.get("apps/web").await.unwrap().unwrap().value, "of a");
    assert_eq!(b.get("apps/web").await.unwrap().unwrap().value, "of b");
    assert!(b.get("../a/apps/web").await.unwrap().is_none());
    assert!(b.get("schedulers/a/apps/web").await.unwrap().is_none());
    let page = b.list("", None, None, 0).await.unwrap();
    assert_eq!(
        page.entries
            .iter()
            .map(|entry| entry.key.as_str())
            .collect::<Vec<_>>(),
        ["apps/web"]
    );
    let mut watch = b.watch("", revision).await.unwrap();
    a.txn(vec![], vec![put("apps/web", "again")]).await.unwrap();
    b.txn(vec![], vec![Write::Delete("apps/web".into())])
        .await
        .unwrap();
    let news = watch.next().await.unwrap().unwrap();
    assert!(
        matches!(news.as_slice(), [Change::Deleted { key, .. }] if key == "apps/web"),
        "{news:?}"
    );
    let stale = Compare::ModifiedAt("apps/web".into(), Revision(1));
    let error = b.txn(vec![stale], vec![]).await.unwrap_err();
    assert!(
        matches!(&error, StateError::Conflict { key } if key == "apps/web"),
        "{error:?}"
    );
}

#[tokio::test]
async fn two_schedulers_in_process_see_nothing_of_each_other() {
    let store = MemoryState::new();
    let part = |name| Prefixed::new(Arc::new(store.clone()), scheduler(name));
    two_schedulers_see_nothing_of_each_other(&part("a"), &part("ab")).await;
}

#[tokio::test]
async fn two_schedulers_over_the_wire_see_nothing_of_each_other() {
    let wired = Wired::start().await;
    let part = |name| RemoteState::new(wired.channel.clone(), scheduler(name));
    two_schedulers_see_nothing_of_each_other(&part("a"), &part("ab")).await;
    let of_a = wired
        .fakes
        .state
        .get("schedulers/a/apps/web")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(of_a.value, "again");
}

#[tokio::test]
async fn a_listing_larger_than_any_message_comes_whole() {
    let wired = Wired::start().await;
    let value = Bytes::from(vec![7; 1 << 20]);
    for n in 0..70 {
        let key = format!("schedulers/a/{n:03}");
        wired
            .fakes
            .state
            .txn(vec![], vec![Write::Put(key, value.clone())])
            .await
            .unwrap();
    }
    let state = RemoteState::new(wired.channel.clone(), scheduler("a"));
    let page = state.list("", None, None, 0).await.unwrap();
    assert_eq!((page.entries.len(), page.more), (70, false));
    let page = state.list("", None, Some("009"), 20).await.unwrap();
    assert_eq!(
        (page.entries[0].key.as_str(), page.entries.len(), page.more),
        ("010", 20, true)
    );
    let mut watch = state.watch("", Revision(page.revision.0 - 40)).await.unwrap();
    let mut seen = 0;
    while seen < 40 {
        seen += watch.next().await.unwrap().unwrap().len();
    }
}

/// Answers everything with one error.
struct Failing(StateError);

#[async_trait]
impl StateStore for Failing {
    async fn get(&self, _: &str) -> Result<Option<plenum_contract::state_store::Entry>, StateError> {
        Err(self.0.clone())
    }

    async fn list(
        &self,
        _: &str,
        _: Option<Revision>,
        _: Option<&str>,
        _: usize,
    ) -> Result<plenum_contract::state_store::Page, StateError> {
        Err(self.0.clone())
    }

    async fn txn(&self, _: Vec<Compare>, _: Vec<Write>) -> Result<Revision, StateError> {
        Err(self.0.clone())
    }

    async fn watch(
        &self,
        _: &str,
        _: Revision,
    ) -> Result<futures::stream::BoxStream<'static, Result<Vec<Change>, StateError>>, StateError> {
        Err(self.0.clone())
    }
}

#[tokio::test]
async fn errors_keep_their_class_and_their_fields() {
    let key = || "k".to_owned();
    for expected in [
        StateError::Conflict { key: key() },
        StateError::Compacted {
            asked: Revision(3),
            oldest: Revision(9),
        },
        StateError::Invalid {
            key: key(),
            why: "too long".into(),
        },
        StateError::Forbidden { key: key() },
        StateError::Full { path: "/data".into() },
        StateError::Unavailable {
            why: "starting".into(),
        },
        StateError::Damaged {
            what: "segment 3".into(),
        },
    ] {
        let wired = Wired::with_state(Failing(expected.clone())).await;
        let state = RemoteState::new(wired.channel.clone(), scheduler("a"));
        let watched = state.watch("", Revision(0)).await.err().unwrap();
        let errors = [
            state.get("k").await.unwrap_err(),
            state.list("", None, None, 0).await.unwrap_err(),
            state.txn(vec![], vec![]).await.unwrap_err(),
            watched,
        ];
        for error in errors {
            assert_eq!(format!("{error:?}"), format!("{expected:?}"));
            assert_eq!(error.class(), expected.class());
        }
    }
}
