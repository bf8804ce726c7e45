//! What every [`StateStore`] must do.

use crate::state_store::{
    Change, Compare, Entry, MAX_KEY, MAX_TXN, MAX_VALUE, Page, StateError, StateStore, Write,
};
use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use plenum_model::ids::Revision;
use std::sync::Arc;
use std::time::Duration;

/// One empty store.
#[async_trait]
pub trait StateStoreFixture: Send {
    /// A handle to the store. The suite drops the ones before first; nothing is called to close them. For a
    /// store in memory this is the same store.
    async fn open(&mut self) -> Arc<dyn StateStore>;

    /// Makes `store` forget every revision below the newest at the time of the call. It may write keys that
    /// start with `~`.
    async fn forget_history(&mut self, store: &dyn StateStore);

    /// The longest key, in bytes. Less than the contract's own where a prefix is put in front of it.
    fn longest_key(&self) -> usize {
        MAX_KEY
    }
}

/// Runs the whole suite; `make` makes an empty store each time.
///
/// # Panics
/// On the first promise that does not hold, or when something takes half a minute.
pub async fn state_store_suite<F: StateStoreFixture>(mut make: impl FnMut() -> F) {
    what_is_written_is_read(make()).await;
    a_key_knows_when_it_was_made_and_changed(make()).await;
    a_transaction_is_all_or_nothing(make()).await;
    the_first_broken_compare_is_named(make()).await;
    what_changes_nothing_makes_no_revision(make()).await;
    a_listing_is_ordered_and_keeps_to_its_prefix(make()).await;
    pages_at_one_revision_do_not_see_later_writes(make()).await;
    a_watch_tells_everything_after_its_revision_once(make()).await;
    a_watch_of_a_prefix_tells_of_nothing_else(make()).await;
    a_watch_that_waits_is_woken(make()).await;
    a_batch_of_a_watch_is_whole_revisions(make()).await;
    a_forgotten_revision_is_compacted(make()).await;
    a_reader_too_slow_is_told(make()).await;
    a_revision_to_come_is_refused(make()).await;
    unacceptable_keys_and_values_are_refused(make()).await;
    keys_and_values_up_to_the_limit_are_kept(make()).await;
    writers_that_compare_lose_no_update(make()).await;
    everything_outlives_the_handle(make()).await;
}

const PATIENCE: Duration = Duration::from_secs(30);

fn put(key: &str, value: &str) -> Write {
    Write::Put(key.to_owned(), Bytes::copy_from_slice(value.as_bytes()))
}

fn delete(key: &str) -> Write {
    Write::Delete(key.to_owned())
}

async fn write(store: &dyn StateStore, writes: Vec<Write>) -> Revision {
    store
        .txn(vec![], writes)
        .await
        .expect("a transaction without compares")
}

async fn get(store: &dyn StateStore, key: &str) -> Option<Entry> {
    store.get(key).await.expect("get")
}

async fn list(store: &dyn StateStore, prefix: &str) -> Page {
    store.list(prefix, None, None, 0).await.expect("list")
}

async fn now(store: &dyn StateStore) -> Revision {
    list(store, "").await.revision
}

fn keys(page: &Page) -> Vec<&str> {
    page.entries.iter().map(|e| e.key.as_str()).collect()
}

/// Reads a watch until `count` changes came; each batch as it came.
async fn batches(store: &dyn StateStore, prefix: &str, from: Revision, count: usize) -> Vec<Vec<Change>> {
    let mut stream = store.watch(prefix, from).await.expect("watch");
    let mut got = Vec::new();
    while got.iter().map(Vec::len).sum::<usize>() < count {
        let next = tokio::time::timeout(PATIENCE, stream.next()).await;
        let batch = next.expect("the watch goes on").expect("the watch lives");
        got.push(batch.expect("the watch works"));
    }
    got
}

async fn changes(store: &dyn StateStore, prefix: &str, from: Revision, count: usize) -> Vec<Change> {
    batches(store, prefix, from, count).await.concat()
}

fn shown(change: &Change) -> (String, Option<String>, Revision) {
    match change {
        Change::Put(e) => {
            let value = String::from_utf8(e.value.to_vec()).expect("the suite writes text");
            (e.key.clone(), Some(value), e.modified)
        }
        Change::Deleted { key, revision } => (key.clone(), None, *revision),
    }
}

async fn what_is_written_is_read(mut fixture: impl StateStoreFixture) {
    let store = fixture.open().await;
    assert_eq!(get(&*store, "a").await, None);
    let revision = write(&*store, vec![put("a", "1")]).await;
    let entry = get(&*store, "a").await.expect("it is there");
    assert_eq!((&entry.key[..], &entry.value[..]), ("a", &b"1"[..]));
    assert_eq!((entry.created, entry.modified), (revision, revision));
    write(&*store, vec![put("a", "")]).await;
    assert_eq!(
        get(&*store, "a").await.expect("an empty value is a value").value,
        Bytes::new()
    );
    write(&*store, vec![delete("a")]).await;
    assert_eq!(get(&*store, "a").await, None);
}

async fn a_key_knows_when_it_was_made_and_changed(mut fixture: impl StateStoreFixture) {
    let store = fixture.open().await;
    let made = write(&*store, vec![put("a", "1")]).await;
    let other = write(&*store, vec![put("b", "1")]).await;
    let changed = write(&*store, vec![put("a", "2")]).await;
    assert!(made < other && other < changed);
    let entry = get(&*store, "a").await.expect("it is there");
    assert_eq!((entry.created, entry.modified), (made, changed));
    write(&*store, vec![delete("a")]).await;
    let again = write(&*store, vec![put("a", "3")]).await;
    let entry = get(&*store, "a").await.expect("it is there again");
    assert_eq!((entry.created, entry.modified), (again, again));
}

async fn a_transaction_is_all_or_nothing(mut fixture: impl StateStoreFixture) {
    let store = fixture.open().await;
    let first = write(&*store, vec![put("a", "1"), put("b", "1")]).await;
    let compares = vec![
        Compare::ModifiedAt("a".to_owned(), first),
        Compare::Absent("c".to_owned()),
    ];
    let writes = vec![put("a", "2"), delete("b"), put("c", "2")];
    let second = store
        .txn(compares.clone(), writes.clone())
        .await
        .expect("both hold");
    let page = list(&*store, "").await;
    assert_eq!(keys(&page), ["a", "c"]);
    assert!(
        page.entries.iter().all(|e| e.modified == second),
        "one revision for all"
    );
    let refused = store.txn(compares, vec![put("a", "3"), put("d", "3")]).await;
    assert!(matches!(refused, Err(StateError::Conflict { .. })));
    assert_eq!(list(&*store, "").await, page);
}

async fn the_first_broken_compare_is_named(mut fixture: impl StateStoreFixture) {
    let store = fixture.open().await;
    let at = write(&*store, vec![put("a", "1"), put("b", "1")]).await;
    let gone = write(&*store, vec![put("c", "1")]).await;
    write(&*store, vec![delete("c")]).await;
    let holds = Compare::ModifiedAt("a".to_owned(), at);
    for (broken, key) in [
        (Compare::Absent("b".to_owned()), "b"),
        (Compare::ModifiedAt("b".to_owned(), Revision(at.0 + 1)), "b"),
        (Compare::ModifiedAt("c".to_owned(), gone), "c"),
        (Compare::ModifiedAt("never".to_owned(), at), "never"),
    ] {
        let compares = vec![holds.clone(), broken, Compare::Absent("a".to_owned())];
        match store.txn(compares, vec![put("x", "1")]).await {
            Err(StateError::Conflict { key: named }) => assert_eq!(named, key),
            other => panic!("no conflict on {key} but {other:?}"),
        }
    }
    assert_eq!(get(&*store, "x").await, None);
    store
        .txn(vec![Compare::Absent("c".to_owned())], vec![put("c", "2")])
        .await
        .expect("a deleted key is absent");
}

async fn what_changes_nothing_makes_no_revision(mut fixture: impl StateStoreFixture) {
    let store = fixture.open().await;
    let at = write(&*store, vec![put("a", "1")]).await;
    assert_eq!(write(&*store, vec![]).await, at);
    assert_eq!(write(&*store, vec![delete("b")]).await, at);
    assert_eq!(now(&*store).await, at);
    let same = write(&*store, vec![put("a", "1")]).await;
    assert!(same > at, "a put is a change, whatever it puts");
}

async fn a_listing_is_ordered_and_keeps_to_its_prefix(mut fixture: impl StateStoreFixture) {
    let store = fixture.open().await;
    for key in ["b/2", "a", "b/10", "b", "b/1", "c", "b0", "b/\u{00fc}"] {
        write(&*store, vec![put(key, key)]).await;
    }
    let page = list(&*store, "b/").await;
    assert_eq!(keys(&page), ["b/1", "b/10", "b/2", "b/\u{00fc}"]);
    assert!(!page.more);
    assert!(page.entries.iter().all(|e| e.value == e.key.as_bytes()));
    let after = store.list("b/", None, Some("b/10"), 1).await.expect("list");
    assert_eq!((keys(&after), after.more), (vec!["b/2"], true));
    let after = store.list("b/", None, Some("b/15"), 0).await.expect("list");
    assert_eq!(
        keys(&after),
        ["b/2", "b/\u{00fc}"],
        "`after` need not be a key that is there"
    );
    let before = store.list("b/", None, Some("a"), 1).await.expect("list");
    assert_eq!(keys(&before), ["b/1"]);
    assert!(list(&*store, "nothing").await.entries.is_empty());
}

async fn pages_at_one_revision_do_not_see_later_writes(mut fixture: impl StateStoreFixture) {
    let store = fixture.open().await;
    for n in 0..5 {
        write(&*store, vec![put(&format!("k/{n}"), "old")]).await;
    }
    let first = store.list("k/", None, None, 2).await.expect("list");
    assert_eq!((keys(&first), first.more), (vec!["k/0", "k/1"], true));
    write(
        &*store,
        vec![delete("k/3"), put("k/2", "new"), put("k/21", "new")],
    )
    .await;
    let rest = store.list("k/", Some(first.revision), Some("k/1"), 0).await;
    let rest = rest.expect("the revision is kept");
    assert_eq!(keys(&rest), ["k/2", "k/3", "k/4"]);
    assert!(rest.entries.iter().all(|e| e.value == b"old"[..]));
    assert_eq!(rest.revision, first.revision);
    assert_eq!(keys(&list(&*store, "k/2").await), ["k/2", "k/21"]);
}

async fn a_watch_tells_everything_after_its_revision_once(mut fixture: impl StateStoreFixture) {
    let store = fixture.open().await;
    let start = now(&*store).await;
    let mut want = Vec::new();
    for n in 0..20 {
        let revision = write(&*store, vec![put("a", &n.to_string())]).await;
        want.push(("a".to_owned(), Some(n.to_string()), revision));
        if n % 5 == 4 {
            let revision = write(&*store, vec![delete("a")]).await;
            want.push(("a".to_owned(), None, revision));
        }
    }
    for skip in [0, 1, 7, 23] {
        let from = match skip {
            0 => start,
            n => want[n - 1].2,
        };
        let got = changes(&*store, "", from, want.len() - skip).await;
        let got: Vec<_> = got.iter().map(shown).collect();
        assert_eq!(got, want[skip..], "from revision {from}");
    }
}

async fn a_watch_of_a_prefix_tells_of_nothing_else(mut fixture: impl StateStoreFixture) {
    let store = fixture.open().await;
    let start = now(&*store).await;
    write(&*store, vec![put("a/1", "x"), put("b/1", "x")]).await;
    write(&*store, vec![put("b/2", "x")]).await;
    write(&*store, vec![put("a/2", "x"), delete("b/1")]).await;
    let got = changes(&*store, "a/", start, 2).await;
    let got: Vec<_> = got.iter().map(|c| shown(c).0).collect();
    assert_eq!(got, ["a/1", "a/2"]);
}

async fn a_watch_that_waits_is_woken(mut fixture: impl StateStoreFixture) {
    let store = fixture.open().await;
    let at = write(&*store, vec![put("a", "1")]).await;
    let mut stream = store.watch("a", at).await.expect("watch");
    assert!(
        futures::poll!(stream.next()).is_pending(),
        "there is nothing yet, and it says nothing"
    );
    for n in 2..5 {
        let next = tokio::time::timeout(PATIENCE, stream.next());
        let writing = async {
            write(&*store, vec![put("b", "no")]).await;
            write(&*store, vec![put("a", &n.to_string())]).await
        };
        let (got, revision) = tokio::join!(next, writing);
        let got = got.expect("it is woken").expect("it lives").expect("it works");
        assert_eq!(
            got.iter().map(shown).collect::<Vec<_>>(),
            [("a".to_owned(), Some(n.to_string()), revision)]
        );
    }
}

async fn a_batch_of_a_watch_is_whole_revisions(mut fixture: impl StateStoreFixture) {
    const KEYS: usize = 7;
    const ROUNDS: usize = 100;
    let store = fixture.open().await;
    let start = now(&*store).await;
    for round in 0..ROUNDS {
        let writes = (0..KEYS).map(|k| put(&format!("k{k}"), &round.to_string()));
        write(&*store, writes.collect()).await;
    }
    for batch in batches(&*store, "k", start, KEYS * ROUNDS).await {
        assert!(!batch.is_empty(), "a batch tells of something");
        for revision in batch.chunk_by(|a, b| shown(a).2 == shown(b).2) {
            assert_eq!(revision.len(), KEYS, "a revision is never cut");
        }
    }
}

fn is_compacted<T: std::fmt::Debug>(result: Result<T, StateError>, at: Revision) {
    match result {
        Err(StateError::Compacted { asked, oldest }) => {
            assert_eq!(asked, at);
            assert!(oldest > at, "the oldest that can be had is later");
        }
        Err(other) => panic!("not compacted but {other:?}"),
        Ok(_) => panic!("revision {at} should be forgotten"),
    }
}

async fn a_forgotten_revision_is_compacted(mut fixture: impl StateStoreFixture) {
    let store = fixture.open().await;
    let first = write(&*store, vec![put("a", "1"), put("b", "1")]).await;
    let second = write(&*store, vec![put("a", "2")]).await;
    fixture.forget_history(&*store).await;
    is_compacted(store.list("", Some(first), None, 0).await, first);
    is_compacted(store.watch("", first).await.map(|_| ()), first);
    let entry = get(&*store, "a")
        .await
        .expect("what is current is never forgotten");
    assert_eq!((entry.created, entry.modified), (first, second));
    assert_eq!(keys(&list(&*store, "").await)[..2], ["a", "b"]);
}

async fn a_reader_too_slow_is_told(mut fixture: impl StateStoreFixture) {
    let store = fixture.open().await;
    let start = now(&*store).await;
    let mut slow = store.watch("", start).await.expect("watch");
    write(&*store, vec![put("a", "1")]).await;
    fixture.forget_history(&*store).await;
    write(&*store, vec![put("a", "2")]).await;
    // What was on its way may still come; then either everything comes, or it is told that it does not.
    let mut seen = Vec::new();
    let told = async {
        while !seen.contains(&"2".to_owned()) {
            match slow.next().await.expect("it ends with an error, not in silence") {
                Ok(batch) => seen.extend(
                    batch
                        .iter()
                        .map(shown)
                        .filter(|(key, ..)| key == "a")
                        .filter_map(|(_, value, _)| value),
                ),
                Err(StateError::Compacted { .. }) => return,
                Err(other) => panic!("not compacted but {other:?}"),
            }
        }
        assert_eq!(seen, ["1", "2"], "nothing was left out in silence");
    };
    tokio::time::timeout(PATIENCE, told).await.expect("it is told");
}

async fn a_revision_to_come_is_refused(mut fixture: impl StateStoreFixture) {
    let store = fixture.open().await;
    let ahead = Revision(write(&*store, vec![put("a", "1")]).await.0 + 100);
    let listed = store.list("", Some(ahead), None, 0).await;
    assert!(matches!(listed, Err(StateError::Invalid { .. })), "{listed:?}");
    let watched = store.watch("", ahead).await.map(|_| ());
    assert!(matches!(watched, Err(StateError::Invalid { .. })), "{watched:?}");
}

async fn unacceptable_keys_and_values_are_refused(mut fixture: impl StateStoreFixture) {
    let store = fixture.open().await;
    let start = now(&*store).await;
    let long_key = "k".repeat(fixture.longest_key() + 1);
    let long = Bytes::from(vec![0; MAX_VALUE + 1]);
    let most = Bytes::from(vec![0; MAX_VALUE]);
    let too_much = (0..=MAX_TXN / MAX_VALUE).map(|n| Write::Put(n.to_string(), most.clone()));
    for writes in [
        vec![put("", "x")],
        vec![put(&long_key, "x")],
        vec![Write::Put("a".to_owned(), long)],
        vec![put("a", "1"), put("a", "2")],
        vec![put("a", "1"), delete("a")],
        too_much.collect(),
    ] {
        let refused = store.txn(vec![], writes).await;
        assert!(matches!(refused, Err(StateError::Invalid { .. })), "{refused:?}");
    }
    let refused = store.txn(vec![Compare::Absent(long_key)], vec![]).await;
    assert!(matches!(refused, Err(StateError::Invalid { .. })), "{refused:?}");
    assert_eq!(now(&*store).await, start, "none of it left a trace");
}

async fn keys_and_values_up_to_the_limit_are_kept(mut fixture: impl StateStoreFixture) {
    let store = fixture.open().await;
    let key = "k".repeat(fixture.longest_key());
    let value: Bytes = (0..MAX_VALUE).map(|n| n.to_le_bytes()[0] ^ 0x5a).collect();
    write(&*store, vec![Write::Put(key.clone(), value.clone())]).await;
    drop(store);
    let store = fixture.open().await;
    assert!(get(&*store, &key).await.expect("it is there").value == value);
}

async fn writers_that_compare_lose_no_update(mut fixture: impl StateStoreFixture) {
    const WRITERS: usize = 8;
    const EACH: usize = 20;
    let store = fixture.open().await;
    write(&*store, vec![put("n", "0")]).await;
    let count = |store: Arc<dyn StateStore>| async move {
        let mut done = 0;
        while done < EACH {
            let entry = get(&*store, "n").await.expect("it is there");
            let text = std::str::from_utf8(&entry.value).expect("the suite writes text");
            let next = text.parse::<usize>().expect("a number") + 1;
            let compare = Compare::ModifiedAt("n".to_owned(), entry.modified);
            match store.txn(vec![compare], vec![put("n", &next.to_string())]).await {
                Ok(_) => done += 1,
                Err(StateError::Conflict { .. }) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
    };
    let counting = futures::future::join_all((0..WRITERS).map(|_| count(store.clone())));
    tokio::time::timeout(PATIENCE, counting)
        .await
        .expect("somebody always wins");
    let total = get(&*store, "n").await.expect("it is there").value;
    assert_eq!(total, (WRITERS * EACH).to_string().as_bytes());
}

async fn everything_outlives_the_handle(mut fixture: impl StateStoreFixture) {
    let mut want = Vec::new();
    let mut start = None;
    for round in 0..5 {
        let store = fixture.open().await;
        let start = *start.get_or_insert(now(&*store).await);
        let got = changes(&*store, "k/", start, want.len()).await;
        let got: Vec<_> = got.iter().map(shown).collect();
        assert_eq!(got, want, "the past outlives it too");
        let writes = (0..10).map(|n| {
            let (key, value) = (format!("k/{n}"), format!("{round}"));
            let store = store.clone();
            async move {
                let revision = write(&*store, vec![put(&key, &value)]).await;
                (key, Some(value), revision)
            }
        });
        want.extend(futures::future::join_all(writes).await);
        want.sort_by_key(|(_, _, revision)| *revision);
        assert_eq!(now(&*store).await, want[want.len() - 1].2);
    }
}
