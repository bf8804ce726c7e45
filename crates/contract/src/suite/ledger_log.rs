//! What every [`LedgerLog`] must do.

use crate::error::{Class, Classified};
use crate::ledger_log::{LedgerLog, Loaded, LogError};
use plenum_model::ids::LeaderEpoch;

/// One empty log, and handles to it.
pub trait LedgerLogFixture {
    /// Another handle to the same log. The suite drops the one before first, as a process that dies does;
    /// nothing is called to close it.
    fn open(&mut self) -> Box<dyn LedgerLog>;
}

/// Runs the whole suite; `make` makes an empty log each time.
///
/// # Panics
/// On the first promise that does not hold.
pub fn ledger_log_suite<F: LedgerLogFixture>(mut make: impl FnMut() -> F) {
    an_empty_log_loads_empty(make());
    what_was_appended_is_loaded_in_order(make());
    records_of_any_bytes_and_lengths_come_back(make());
    an_empty_group_stores_its_epoch(make());
    a_snapshot_replaces_what_was_before_it(make());
    an_empty_snapshot_is_a_snapshot(make());
    a_second_snapshot_replaces_the_first(make());
    a_large_snapshot_comes_back(make());
    a_lower_epoch_is_refused_and_writes_nothing(make());
    the_epoch_outlives_the_handle_and_the_records(make());
    many_groups_outlive_many_handles(make());
}

fn records(from: u64, to: u64) -> Vec<Vec<u8>> {
    (from..to).map(|n| format!("record {n}").into_bytes()).collect()
}

fn load(log: &mut Box<dyn LedgerLog>) -> Loaded {
    log.load().expect("a log that nothing happened to loads")
}

fn append(log: &mut Box<dyn LedgerLog>, epoch: u64, records: &[Vec<u8>]) {
    log.append(LeaderEpoch(epoch), records).expect("append");
}

fn snapshot(log: &mut Box<dyn LedgerLog>, epoch: u64, snapshot: &[u8]) {
    log.snapshot(LeaderEpoch(epoch), snapshot).expect("snapshot");
}

/// Opens and loads.
fn reopened(fixture: &mut impl LedgerLogFixture) -> (Box<dyn LedgerLog>, Loaded) {
    let mut log = fixture.open();
    let loaded = load(&mut log);
    (log, loaded)
}

fn an_empty_log_loads_empty(mut fixture: impl LedgerLogFixture) {
    for _ in 0..2 {
        let (_, loaded) = reopened(&mut fixture);
        assert_eq!(loaded, Loaded::default());
    }
}

fn what_was_appended_is_loaded_in_order(mut fixture: impl LedgerLogFixture) {
    let (mut log, _) = reopened(&mut fixture);
    append(&mut log, 1, &records(0, 3));
    append(&mut log, 1, &records(3, 4));
    let want = Loaded {
        epoch: LeaderEpoch(1),
        snapshot: None,
        records: records(0, 4),
    };
    assert_eq!(load(&mut log), want, "through the handle that wrote it");
    drop(log);
    assert_eq!(reopened(&mut fixture).1, want, "through another handle");
}

fn records_of_any_bytes_and_lengths_come_back(mut fixture: impl LedgerLogFixture) {
    let odd: Vec<Vec<u8>> = vec![
        vec![],
        vec![0; 5000],
        vec![0xff; 31],
        (0..=255).collect(),
        vec![7; 100_000],
        vec![],
    ];
    let (mut log, _) = reopened(&mut fixture);
    append(&mut log, 1, &odd);
    append(&mut log, 1, &records(0, 1));
    drop(log);
    let (_, loaded) = reopened(&mut fixture);
    assert_eq!(loaded.records[..odd.len()], odd);
    assert_eq!(loaded.records[odd.len()..], records(0, 1));
}

fn an_empty_group_stores_its_epoch(mut fixture: impl LedgerLogFixture) {
    let (mut log, _) = reopened(&mut fixture);
    append(&mut log, 4, &[]);
    drop(log);
    let (_, loaded) = reopened(&mut fixture);
    assert_eq!((loaded.epoch, loaded.records), (LeaderEpoch(4), vec![]));
}

fn a_snapshot_replaces_what_was_before_it(mut fixture: impl LedgerLogFixture) {
    let (mut log, _) = reopened(&mut fixture);
    append(&mut log, 1, &records(0, 10));
    snapshot(&mut log, 1, b"ten");
    let want = |records| Loaded {
        epoch: LeaderEpoch(1),
        snapshot: Some(b"ten".to_vec()),
        records,
    };
    assert_eq!(load(&mut log), want(vec![]));
    append(&mut log, 1, &records(10, 12));
    drop(log);
    assert_eq!(reopened(&mut fixture).1, want(records(10, 12)));
}

fn an_empty_snapshot_is_a_snapshot(mut fixture: impl LedgerLogFixture) {
    let (mut log, _) = reopened(&mut fixture);
    append(&mut log, 1, &records(0, 2));
    snapshot(&mut log, 1, b"");
    drop(log);
    let (_, loaded) = reopened(&mut fixture);
    assert_eq!((loaded.snapshot, loaded.records), (Some(vec![]), vec![]));
}

fn a_second_snapshot_replaces_the_first(mut fixture: impl LedgerLogFixture) {
    let (mut log, _) = reopened(&mut fixture);
    snapshot(&mut log, 1, b"first");
    snapshot(&mut log, 1, b"again, with nothing in between");
    append(&mut log, 1, &records(0, 2));
    snapshot(&mut log, 1, b"second");
    drop(log);
    let (_, loaded) = reopened(&mut fixture);
    assert_eq!(
        (loaded.snapshot, loaded.records),
        (Some(b"second".to_vec()), vec![])
    );
}

fn a_large_snapshot_comes_back(mut fixture: impl LedgerLogFixture) {
    let large: Vec<u8> = (0..5_000_000_u32)
        .map(|n| n.to_le_bytes()[n as usize % 3])
        .collect();
    let (mut log, _) = reopened(&mut fixture);
    append(&mut log, 1, &records(0, 2));
    snapshot(&mut log, 1, &large);
    append(&mut log, 1, &records(2, 3));
    drop(log);
    let (_, loaded) = reopened(&mut fixture);
    assert!(loaded.snapshot == Some(large), "five megabytes, as they were");
    assert_eq!(loaded.records, records(2, 3));
}

fn fenced(done: Result<(), LogError>, want: (u64, u64)) {
    match done {
        Err(error @ LogError::Fenced { have, got }) => {
            assert_eq!((have.0, got.0), want);
            assert_eq!(error.class(), Class::Conflict);
        }
        other => panic!("not fenced but {other:?}"),
    }
}

fn a_lower_epoch_is_refused_and_writes_nothing(mut fixture: impl LedgerLogFixture) {
    let (mut log, _) = reopened(&mut fixture);
    append(&mut log, 3, &records(0, 1));
    fenced(log.append(LeaderEpoch(2), &records(1, 2)), (3, 2));
    fenced(log.snapshot(LeaderEpoch(2), b"no"), (3, 2));
    append(&mut log, 3, &records(2, 3));
    append(&mut log, 4, &records(3, 4));
    fenced(log.append(LeaderEpoch(3), &records(4, 5)), (4, 3));
    drop(log);
    let (mut log, loaded) = reopened(&mut fixture);
    assert_eq!(loaded.epoch, LeaderEpoch(4));
    assert_eq!(loaded.snapshot, None);
    let want: Vec<_> = [records(0, 1), records(2, 4)].concat();
    assert_eq!(loaded.records, want);
    fenced(log.append(LeaderEpoch(1), &records(5, 6)), (4, 1));
}

fn the_epoch_outlives_the_handle_and_the_records(mut fixture: impl LedgerLogFixture) {
    let (mut log, _) = reopened(&mut fixture);
    append(&mut log, 5, &records(0, 1));
    snapshot(&mut log, 7, b"by the next leader");
    drop(log);
    let (mut log, loaded) = reopened(&mut fixture);
    assert_eq!(loaded.epoch, LeaderEpoch(7));
    fenced(log.append(LeaderEpoch(6), &records(1, 2)), (7, 6));
    append(&mut log, 7, &records(1, 2));
}

fn many_groups_outlive_many_handles(mut fixture: impl LedgerLogFixture) {
    let mut next = 0;
    for round in 0..10 {
        let (mut log, loaded) = reopened(&mut fixture);
        let seen = loaded.snapshot.map_or(0, |s| u64::from(s[0]) * 30);
        assert_eq!(loaded.records, records(seen, next), "round {round}");
        for _ in 0..10 {
            append(&mut log, round, &records(next, next + 3));
            next += 3;
        }
        if round % 3 == 2 {
            let rounds = u8::try_from(round + 1).expect("there are ten rounds");
            snapshot(&mut log, round, &[rounds]);
        }
    }
}
