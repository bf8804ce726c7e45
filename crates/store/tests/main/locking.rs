//! One process, one handle, one layout.

use crate::disk::open;
use plenum_contract::ledger_log::{LedgerLog, LogError};
use plenum_store::{DataDir, SCHEMA, check};
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

#[test]
fn a_second_opening_is_told_the_process_that_holds_it() {
    let dir = TempDir::new().unwrap();
    let first = open(dir.path());
    let own = format!("pid {}", std::process::id());
    for refused in [
        DataDir::open(dir.path()).map(|_| ()),
        check(dir.path()).map(|_| ()),
    ] {
        match refused {
            Err(LogError::Locked { path, holder }) => {
                assert_eq!((path.as_path(), &holder), (dir.path(), &own));
            }
            other => panic!("not locked but {other:?}"),
        }
    }
    drop(first);
    assert!(DataDir::open(dir.path()).is_ok());
}

#[test]
fn the_lock_lasts_as_long_as_a_store_of_the_directory() {
    let dir = TempDir::new().unwrap();
    let log = open(dir.path()).ledger_log().unwrap();
    assert!(matches!(DataDir::open(dir.path()), Err(LogError::Locked { .. })));
    drop(log);
    let state = open(dir.path()).state_store().unwrap();
    assert!(matches!(DataDir::open(dir.path()), Err(LogError::Locked { .. })));
    drop(state);
    assert!(DataDir::open(dir.path()).is_ok());
}

#[test]
fn a_store_has_one_handle_at_a_time() {
    let dir = TempDir::new().unwrap();
    let data = open(dir.path());
    let log = data.ledger_log().unwrap();
    assert!(matches!(data.ledger_log(), Err(LogError::Locked { .. })));
    drop(log);
    assert!(data.ledger_log().is_ok());
    let state = data.state_store().unwrap();
    assert!(matches!(data.state_store(), Err(LogError::Locked { .. })));
    drop(state);
    assert!(data.state_store().is_ok());
}

#[test]
fn everything_is_for_the_owner_only() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("new/deeper");
    let data = open(&path);
    data.ledger_log().unwrap().load().unwrap();
    let mut seen = 0;
    let mut walk = vec![path];
    while let Some(next) = walk.pop() {
        let meta = std::fs::metadata(&next).unwrap();
        assert_eq!(meta.permissions().mode() & 0o077, 0, "{}", next.display());
        seen += 1;
        if meta.is_dir() {
            walk.extend(std::fs::read_dir(next).unwrap().map(|e| e.unwrap().path()));
        }
    }
    assert!(seen >= 5, "directory, lock, schema, ledger, segment");
}

#[test]
fn a_newer_layout_is_refused_by_number() {
    let dir = TempDir::new().unwrap();
    drop(open(dir.path()));
    let schema = dir.path().join("schema");
    let newer = std::fs::read_to_string(&schema)
        .unwrap()
        .replace(&SCHEMA.to_string(), "4711");
    std::fs::write(&schema, newer).unwrap();
    match DataDir::open(dir.path()).map(|_| ()) {
        Err(LogError::Schema { path, found, known }) => {
            assert_eq!((path, found, known), (schema, 4711, SCHEMA));
        }
        other => panic!("not refused but {other:?}"),
    }
}

#[test]
fn a_damaged_or_missing_layout_file_is_named() {
    let dir = TempDir::new().unwrap();
    drop(open(dir.path()).state_store().unwrap());
    let schema = dir.path().join("schema");
    std::fs::write(&schema, b"\xff\xfe nonsense").unwrap();
    let error = DataDir::open(dir.path()).map(|_| ()).unwrap_err();
    crate::disk::names(&error, &schema);
    std::fs::remove_file(&schema).unwrap();
    let error = DataDir::open(dir.path()).map(|_| ()).unwrap_err();
    crate::disk::names(&error, &schema);
}
