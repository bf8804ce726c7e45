//! The log in memory fails as it is told to, and as a disk would.

use plenum_contract::ledger_log::{LedgerLog, LogError};
use plenum_model::ids::LeaderEpoch;
use plenum_store::{Fault, MemoryLog};

fn append(log: &mut MemoryLog, record: &[u8]) -> Result<(), LogError> {
    log.append(LeaderEpoch(1), &[record.to_vec()])
}

fn records(log: &MemoryLog) -> Vec<Vec<u8>> {
    log.clone().load().unwrap().records
}

#[test]
fn what_was_durable_outlives_a_handle_that_is_dropped() {
    let disk = MemoryLog::new();
    let mut first = disk.clone();
    first.load().unwrap();
    append(&mut first, b"a").unwrap();
    drop(first);
    assert_eq!(records(&disk), [b"a"]);
    assert_eq!(disk.acknowledged(), 1);
}

#[test]
fn a_handle_that_did_not_load_may_not_append() {
    let mut log = MemoryLog::new();
    assert!(matches!(append(&mut log, b"a"), Err(LogError::Io { .. })));
}

#[test]
fn without_room_nothing_is_written_and_the_next_append_works() {
    let mut log = MemoryLog::new();
    log.load().unwrap();
    log.fail_next(Fault::Full);
    assert!(matches!(append(&mut log, b"a"), Err(LogError::Full { .. })));
    append(&mut log, b"b").unwrap();
    assert_eq!(records(&log), [b"b"]);
}

#[test]
fn after_a_failed_append_it_must_be_loaded_again() {
    for (fault, kept) in [
        (Fault::Io, vec![b"c".to_vec()]),
        (Fault::Torn, vec![b"c".to_vec()]),
        (Fault::AnswerLost, vec![b"a".to_vec(), b"c".to_vec()]),
    ] {
        let mut log = MemoryLog::new();
        log.load().unwrap();
        log.fail_next(fault);
        assert!(matches!(append(&mut log, b"a"), Err(LogError::Io { .. })));
        assert!(append(&mut log, b"b").is_err(), "{fault:?}");
        log.load().unwrap();
        append(&mut log, b"c").unwrap();
        assert_eq!(records(&log), kept, "{fault:?}");
    }
}
