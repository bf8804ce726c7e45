//! The journal's file: torn tails are cut off, damage is named, compaction changes nothing.

use crate::{Machine, assignment, id, until};
use plenum_agent::StartError;
use plenum_agent::journal::{Journal, JournalError};
use plenum_agent::supervisor::{Memory, Record};
use plenum_model::claim::Desired;
use plenum_model::ids::{LeaderEpoch, Seq};
use plenum_model::phase::Phase;

fn open(dir: &tempfile::TempDir) -> (Journal, Memory) {
    Journal::open(&dir.path().join("journal"), Seq(10)).unwrap()
}

#[test]
fn what_was_appended_is_there_after_a_restart_and_a_torn_tail_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let (mut journal, memory) = open(&dir);
    assert_eq!(memory.seq, Seq(10));
    for epoch in 1..=3 {
        journal.append(&[Record::Epoch(LeaderEpoch(epoch))]).unwrap();
    }
    drop(journal);
    let whole = std::fs::read(&path).unwrap();
    let frame = br#"{"epoch":3}"#.len() + 12;
    for cut in whole.len() - frame + 1..whole.len() {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let (mut journal, memory) = open(&dir);
        assert_eq!(memory.epoch, LeaderEpoch(2), "cut at {cut}");
        journal.append(&[Record::Epoch(LeaderEpoch(7))]).unwrap();
        drop(journal);
        assert_eq!(open(&dir).1.epoch, LeaderEpoch(7));
    }
    let zeros = [whole.as_slice(), &[0; 100]].concat();
    std::fs::write(&path, zeros).unwrap();
    assert_eq!(open(&dir).1.epoch, LeaderEpoch(3));
}

#[test]
fn a_flipped_bit_is_named_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let (mut journal, _) = open(&dir);
    for epoch in 1..=3 {
        journal.append(&[Record::Epoch(LeaderEpoch(epoch))]).unwrap();
    }
    drop(journal);
    let whole = std::fs::read(&path).unwrap();
    for at in 0..whole.len() / 2 {
        let mut bad = whole.clone();
        bad[at] ^= 0x10;
        std::fs::write(&path, &bad).unwrap();
        match Journal::open(&path, Seq(0)) {
            Err(e @ JournalError::Damaged { .. }) => {
                assert!(e.to_string().contains("damaged at byte"), "{e}")
            }
            Ok((_, memory)) => panic!("bit at {at} is not seen: {memory:?}"),
            Err(e) => panic!("bit at {at}: {e}"),
        }
        std::fs::write(&path, &whole).unwrap();
    }
}

#[tokio::test]
async fn a_damaged_journal_stops_the_start_by_name() {
    let m = Machine::new();
    let agent = m.agent().await;
    m.broker.want(assignment(1, 1, Desired::Running, vec![]));
    until("running", || m.broker.phase(id(1)) == Phase::Running).await;
    agent.stop().await;
    let mut bytes = std::fs::read(m.journal()).unwrap();
    bytes[60] ^= 1;
    std::fs::write(m.journal(), bytes).unwrap();
    let error = m.try_agent().await.unwrap_err();
    assert!(
        matches!(error, StartError::Journal(JournalError::Damaged { .. })),
        "{error}"
    );
}

#[test]
fn compaction_keeps_the_memory_and_shrinks_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let (mut journal, mut memory) = open(&dir);
    let batch: Vec<Record> = (0..1000).map(|i| Record::Epoch(LeaderEpoch(i))).collect();
    while !journal.is_mostly_history() {
        journal.append(&batch).unwrap();
        batch.iter().for_each(|r| memory.apply(r));
    }
    let before = std::fs::metadata(&path).unwrap().len();
    journal.compact(&memory).unwrap();
    assert!(!journal.is_mostly_history());
    journal.append(&[Record::Epoch(LeaderEpoch(5000))]).unwrap();
    memory.apply(&Record::Epoch(LeaderEpoch(5000)));
    drop(journal);
    assert!(std::fs::metadata(&path).unwrap().len() < before / 100);
    assert_eq!(open(&dir).1, memory);
}
