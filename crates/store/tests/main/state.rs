//! The state store on disk: what its suite does not see.

use crate::disk::{copy, edit, files, open, record, small};
use bytes::Bytes;
use futures::StreamExt;
use plenum_contract::state_store::{Change, Compare, Page, StateError, StateStore, Write};
use plenum_model::ids::Revision;
use plenum_store::{DataDir, DiskState, MemoryState, check};
use proptest::prelude::*;
use std::sync::Arc;
use tempfile::TempDir;

fn put(key: &str, value: &[u8]) -> Write {
    Write::Put(key.to_owned(), Bytes::copy_from_slice(value))
}

async fn all(store: &dyn StateStore) -> Page {
    store.list("", None, None, 0).await.unwrap()
}

#[tokio::test]
async fn a_store_written_over_and_over_stays_small_and_whole() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path()).state_store().unwrap();
    for n in 0..4000_u64 {
        let key = format!("k{}", n % 20);
        store.txn(vec![], vec![put(&key, &record(n, 500))]).await.unwrap();
    }
    let want = all(&*store).await;
    drop(store);
    let used: u64 = std::fs::read_dir(dir.path().join("state"))
        .unwrap()
        .map(|e| e.unwrap().metadata().unwrap().len())
        .sum();
    assert!(used < 1 << 20, "{used} bytes are left of two megabytes written");
    let report = check(dir.path()).unwrap();
    assert!(
        report.is_sound() && report.parts[1].snapshot_records >= 20,
        "{report}"
    );
    let store = open(dir.path()).state_store().unwrap();
    assert_eq!(all(&*store).await, want);
    assert_eq!(want.revision, Revision(4000));
    // A snapshot that was written just before the end is taken over now, at the latest.
    assert_eq!(files(&dir.path().join("state"), ".snapshot").len(), 1);
}

#[tokio::test]
async fn a_flipped_bit_in_a_value_is_named_when_it_is_read() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path()).state_store().unwrap();
    store
        .txn(vec![], vec![put("a", &record(7, 100)), put("b", b"fine")])
        .await
        .unwrap();
    let segment = files(&dir.path().join("state"), ".segment").remove(0);
    let bytes = std::fs::read(&segment).unwrap();
    let at = bytes.windows(100).position(|w| w == &record(7, 100)[..]).unwrap();
    {
        // In place: the store has the file open.
        use std::os::unix::fs::FileExt;
        let file = std::fs::File::options().write(true).open(&segment).unwrap();
        file.write_all_at(b"X", at as u64 + 50).unwrap();
    }
    match store.get("a").await {
        Err(StateError::Damaged { what }) => {
            assert!(what.contains(segment.to_str().unwrap()), "{what}");
            assert!(what.contains(&format!("byte {at}")), "{what}");
        }
        other => panic!("{other:?}"),
    }
    assert!(store.get("b").await.unwrap().is_some());
    drop(store);
    let refused = open(dir.path()).state_store().map(|_| ()).unwrap_err();
    crate::disk::names(&refused, &segment);
}

#[tokio::test]
async fn a_write_cut_short_is_dropped_with_its_revision() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path()).state_store().unwrap();
    store.txn(vec![], vec![put("a", b"1")]).await.unwrap();
    let segment = files(&dir.path().join("state"), ".segment").remove(0);
    let before = crate::disk::written(&segment);
    store.txn(vec![], vec![put("a", &record(2, 600))]).await.unwrap();
    let crash = TempDir::new().unwrap();
    copy(dir.path(), crash.path());
    let segment = crash.path().join("state").join(segment.file_name().unwrap());
    edit(&segment, |bytes| bytes[before + 300..].fill(0));
    let store = open(crash.path()).state_store().unwrap();
    let page = all(&*store).await;
    assert_eq!(
        (page.revision, &page.entries[0].value[..]),
        (Revision(1), &b"1"[..])
    );
    let next = store.txn(vec![], vec![put("a", b"3")]).await.unwrap();
    assert_eq!(next, Revision(2));
}

#[tokio::test]
async fn a_watch_ends_with_an_error_when_the_store_is_closed() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path()).state_store().unwrap();
    let mut stream = store.watch("", Revision(0)).await.unwrap();
    drop(store);
    let ended = stream.next().await;
    assert!(
        matches!(ended, Some(Err(StateError::Unavailable { .. }))),
        "{ended:?}"
    );
    assert!(stream.next().await.is_none());
    assert!(
        DataDir::open(dir.path()).is_ok(),
        "a watch left behind holds no lock"
    );
}

#[tokio::test]
async fn transactions_that_come_together_share_their_groups() {
    let dir = TempDir::new().unwrap();
    let store = DataDir::open(dir.path()).unwrap().state_store().unwrap();
    let one = |n: u64| {
        let store = store.clone();
        async move {
            store
                .txn(vec![], vec![put(&format!("k{n}"), b"v")])
                .await
                .unwrap()
        }
    };
    let mut revisions = futures::future::join_all((0..500).map(one)).await;
    revisions.sort();
    assert!(
        revisions.iter().map(|r| r.0).eq(1..=500),
        "each has its own revision"
    );
    drop(store);
    let report = check(dir.path()).unwrap();
    let groups = report.parts[1].groups;
    assert!(groups < 100, "{groups} syncs for 500 transactions");
}

#[tokio::test]
async fn of_two_that_race_for_a_key_in_one_group_the_first_wins() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path()).state_store().unwrap();
    let claim = |n: u64| {
        let store = store.clone();
        async move {
            let absent = vec![Compare::Absent("k".to_owned())];
            store.txn(absent, vec![put("k", &record(n, 8))]).await
        }
    };
    let results = futures::future::join_all((0..50).map(claim)).await;
    let won = results.iter().filter(|r| r.is_ok()).count();
    assert_eq!(won, 1, "{results:?}");
    assert_eq!(all(&*store).await.revision, Revision(1));
}

#[derive(Debug, Clone)]
enum Step {
    Txn(Vec<(u8, Option<u16>)>),
    Reopen,
    Compare(u8, u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let writes = prop::collection::btree_map(0..12_u8, prop::option::weighted(0.8, 0..3000_u16), 0..4);
    let step = prop_oneof![
        12 => writes.prop_map(|w| Step::Txn(w.into_iter().collect())),
        1 => Just(Step::Reopen),
        3 => (0..12_u8, 0..80_u64).prop_map(|(key, at)| Step::Compare(key, at)),
    ];
    prop::collection::vec(step, 1..150)
}

/// Both stores answer alike, in everything that can be asked.
async fn same(disk: &DiskState, memory: &MemoryState) {
    let now = all(memory).await;
    assert_eq!(all(disk).await, now);
    for at in (0..=now.revision.0).map(Revision) {
        let (d, m) = (
            disk.list("", Some(at), None, 0).await,
            memory.list("", Some(at), None, 0).await,
        );
        assert_eq!(format!("{d:?}"), format!("{m:?}"), "listed at {at}");
        let (d, m) = (
            told(disk, at, now.revision).await,
            told(memory, at, now.revision).await,
        );
        assert_eq!(format!("{d:?}"), format!("{m:?}"), "watched from {at}");
    }
}

/// Everything a watch from `from` tells, up to revision `upto`.
async fn told(store: &dyn StateStore, from: Revision, upto: Revision) -> Result<Vec<Change>, StateError> {
    let mut stream = store.watch("", from).await?;
    let (mut seen, mut changes) = (from, Vec::new());
    while seen < upto {
        let batch = stream.next().await.unwrap()?;
        seen = match batch.last().unwrap() {
            Change::Put(entry) => entry.modified,
            Change::Deleted { revision, .. } => *revision,
        };
        changes.extend(batch);
    }
    Ok(changes)
}

async fn run(steps: Vec<Step>) {
    let dir = TempDir::new().unwrap();
    let open = || -> Arc<DiskState> { open(dir.path()).state_store().unwrap() };
    let mut disk = open();
    let memory = MemoryState::with_history(small().history_revisions);
    for (n, step) in steps.into_iter().enumerate() {
        let (compares, writes) = match step {
            Step::Txn(writes) => {
                let write = |(key, len): (u8, Option<u16>)| match len {
                    Some(len) => put(&format!("k{key}"), &record(n as u64, len.into())),
                    None => Write::Delete(format!("k{key}")),
                };
                (vec![], writes.into_iter().map(write).collect())
            }
            Step::Compare(key, at) => {
                let key = format!("k{key}");
                let write = put(&key, b"compared");
                (vec![Compare::ModifiedAt(key, Revision(at))], vec![write])
            }
            Step::Reopen => {
                drop(disk);
                disk = open();
                continue;
            }
        };
        let on_disk = disk.txn(compares.clone(), writes.clone()).await;
        let in_memory = memory.txn(compares, writes).await;
        assert_eq!(format!("{on_disk:?}"), format!("{in_memory:?}"));
    }
    same(&disk, &memory).await;
    drop(disk);
    same(&open(), &memory).await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_on_disk_answers_as_the_one_in_memory(steps in steps()) {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(run(steps));
    }
}
