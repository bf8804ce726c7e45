//! A device without room: refused by name, nothing half done, usable when there is room again. Needs a small
//! device of its own, which only root can mount; the mount is seen by the test's thread alone.

use crate::disk::{record, small};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use plenum_contract::ledger_log::{LedgerLog, LogError};
use plenum_contract::state_store::{StateError, StateStore, Write};
use plenum_model::ids::LeaderEpoch;
use plenum_store::DataDir;
use std::path::Path;
use tempfile::TempDir;

/// Runs `test` in a directory on a device of `bytes` bytes, where this process may mount one.
fn on_a_device_of(bytes: u64, test: impl FnOnce(&Path) + Send) {
    let point = TempDir::new().unwrap();
    let path = point.path();
    let run = || {
        // The mount lives in a namespace of this thread and of those it starts, and ends with the last.
        if let Err(error) = unshare(CloneFlags::CLONE_NEWNS) {
            eprintln!("SKIPPED: a full device needs a mount, and this process may not make one: {error}");
            return;
        }
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
        let size = format!("size={bytes}");
        mount(
            Some("tmpfs"),
            path,
            Some("tmpfs"),
            MsFlags::empty(),
            Some(size.as_str()),
        )
        .unwrap();
        test(path);
    };
    std::thread::scope(|scope| scope.spawn(run).join().unwrap());
}

/// Takes all the room there is.
fn fill(path: &Path) {
    use std::io::Write;
    let mut file = std::fs::File::create(path.join("filler")).unwrap();
    while file.write_all(&[1; 4096]).is_ok() {}
}

fn make_room(path: &Path) {
    std::fs::remove_file(path.join("filler")).unwrap();
}

#[test]
fn a_ledger_log_without_room_refuses_by_name_and_goes_on_when_there_is_some() {
    on_a_device_of(1 << 20, |device| {
        let dir = device.join("data");
        let data = DataDir::open_with(&dir, small()).unwrap();
        let mut log = data.ledger_log().unwrap();
        log.load().unwrap();
        log.append(LeaderEpoch(1), &[record(0, 100)]).unwrap();
        fill(device);
        // What has its room already goes on; then it is refused, and refused again.
        let mut acknowledged = 1;
        let mut refusals = 0;
        while refusals < 3 {
            match log.append(LeaderEpoch(1), &[record(acknowledged, 100)]) {
                Ok(()) => acknowledged += 1,
                Err(LogError::Full { path }) => {
                    assert!(path.starts_with(&dir), "{}", path.display());
                    refusals += 1;
                }
                Err(other) => panic!("{other:?}"),
            }
        }
        assert!(acknowledged > 20, "the segment in use had its room");
        let refused = log.snapshot(LeaderEpoch(1), &record(1, 100_000));
        assert!(matches!(refused, Err(LogError::Full { .. })), "{refused:?}");
        let want = |n| (0..n).map(|n| record(n, 100)).collect::<Vec<_>>();
        assert_eq!(
            log.load().unwrap().records,
            want(acknowledged),
            "it can still be read"
        );
        make_room(device);
        log.append(LeaderEpoch(1), &[record(acknowledged, 100)]).unwrap();
        drop((log, data));
        let data = DataDir::open_with(&dir, small()).unwrap();
        let found = data.ledger_log().unwrap().load().unwrap();
        assert_eq!(found.records, want(acknowledged + 1));
    });
}

#[test]
fn a_state_store_without_room_reads_on_and_writes_when_there_is_some() {
    on_a_device_of(1 << 20, |device| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let data = DataDir::open_with(device.join("data"), small()).unwrap();
            let store = data.state_store().unwrap();
            let put = |n: u64| vec![Write::Put(format!("k{n}"), record(n, 300).into())];
            store.txn(vec![], put(0)).await.unwrap();
            fill(device);
            let mut acknowledged = 1;
            let refused = loop {
                match store.txn(vec![], put(acknowledged)).await {
                    Ok(_) => acknowledged += 1,
                    Err(error) => break error,
                }
            };
            assert!(matches!(refused, StateError::Full { .. }), "{refused:?}");
            let page = store.list("", None, None, 0).await.unwrap();
            assert_eq!(page.entries.len() as u64, acknowledged);
            assert_eq!(page.revision.0, acknowledged);
            make_room(device);
            let revision = store.txn(vec![], put(acknowledged)).await.unwrap();
            assert_eq!(revision.0, acknowledged + 1, "the refused one left no revision");
        });
    });
}
