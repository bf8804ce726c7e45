//! The offline check.

use crate::disk::{append, edit, files, loaded, open, record};
use bytes::Bytes;
use plenum_contract::ledger_log::{LedgerLog, LogError};
use plenum_contract::state_store::{StateStore, Write};
use plenum_model::ids::LeaderEpoch;
use plenum_store::{SCHEMA, check};
use tempfile::TempDir;

async fn fill(dir: &std::path::Path) {
    let (mut log, _) = loaded(dir);
    append(&mut log, &[record(1, 10), record(2, 10)]);
    log.snapshot(LeaderEpoch(1), b"both").unwrap();
    append(&mut log, &[record(3, 10), record(4, 10), record(5, 10)]);
    append(&mut log, &[record(6, 10)]);
    drop(log);
    let state = open(dir).state_store().unwrap();
    for n in 0..3 {
        let write = Write::Put(format!("k{n}"), Bytes::from(record(n, 40)));
        state.txn(vec![], vec![write]).await.unwrap();
    }
}

#[tokio::test]
async fn a_sound_directory_is_counted() {
    let dir = TempDir::new().unwrap();
    fill(dir.path()).await;
    let report = check(dir.path()).unwrap();
    assert!(report.is_sound(), "{report}");
    assert_eq!(report.schema, Some(SCHEMA));
    let [ledger, state] = &report.parts[..] else {
        panic!("{report}");
    };
    assert_eq!((ledger.name, state.name), ("ledger", "state"));
    assert_eq!(
        (ledger.records, ledger.groups, ledger.snapshot_records),
        (4, 3, 1)
    );
    assert_eq!((state.records, state.groups, state.snapshot_records), (3, 3, 0));
    let text = report.to_string();
    assert!(text.ends_with("sound"), "{text}");
}

#[tokio::test]
async fn damage_in_two_places_is_told_twice_and_what_lies_behind_is_still_counted() {
    let dir = TempDir::new().unwrap();
    fill(dir.path()).await;
    let segment = files(&dir.path().join("state"), ".segment").remove(0);
    let bytes = std::fs::read(&segment).unwrap();
    let value = bytes.windows(8).position(|w| w == &record(1, 8)[..]).unwrap();
    edit(&segment, |bytes| bytes[value] ^= 4);
    let snapshot = files(&dir.path().join("ledger"), ".snapshot").remove(0);
    edit(&snapshot, |bytes| *bytes.last_mut().unwrap() ^= 1);
    let report = check(dir.path()).unwrap();
    assert!(!report.is_sound());
    let damaged: Vec<_> = report.parts.iter().flat_map(|p| &p.damage).collect();
    assert_eq!(damaged.len(), 2, "{report}");
    assert_eq!(damaged[0].at.path, snapshot);
    assert_eq!(damaged[1].at.path, segment);
    assert_eq!(report.parts[1].groups, 2, "{report}");
    let text = report.to_string();
    assert!(text.contains("DAMAGED") && text.ends_with("damaged"), "{text}");
}

#[test]
fn a_directory_that_is_not_there_is_no_sound_one() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("nowhere");
    match check(&path) {
        Err(LogError::Io { path: named, .. }) => assert_eq!(named, path),
        other => panic!("{other:?}"),
    }
    assert!(!path.exists());
}

#[test]
fn an_empty_directory_has_nothing_stored() {
    let dir = TempDir::new().unwrap();
    let report = check(dir.path()).unwrap();
    assert_eq!((report.schema, report.is_sound()), (None, true));
}
