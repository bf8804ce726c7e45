//! Random histories against a model: appends, snapshots, crashes with and without a cut write, in any order.

use crate::disk::{copy, edit, files, loaded, record, written};
use plenum_contract::ledger_log::{LedgerLog, Loaded, LogError};
use plenum_model::ids::LeaderEpoch;
use proptest::prelude::*;
use std::path::Path;
use tempfile::TempDir;

#[derive(Debug, Clone)]
enum Step {
    /// A group of records of these lengths.
    Append(Vec<usize>),
    /// By an older leader: refused.
    AppendFenced,
    /// A snapshot of this length.
    Snapshot(usize),
    /// The next leader takes over.
    TakeOver,
    /// The process dies; what the system had in its memory is there.
    Crash,
    /// The machine dies within an append: its last so many bytes never arrive.
    CrashWithin(Vec<usize>, usize),
    Reload,
}

fn lengths() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![0..40_usize, 200..1200_usize, 4000..9000_usize], 0..4)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => lengths().prop_map(Step::Append),
        1 => Just(Step::AppendFenced),
        2 => (0..6000_usize).prop_map(Step::Snapshot),
        1 => Just(Step::TakeOver),
        1 => Just(Step::Crash),
        2 => (lengths(), 1..5000_usize).prop_map(|(l, cut)| Step::CrashWithin(l, cut)),
        1 => Just(Step::Reload),
    ];
    prop::collection::vec(step, 1..40)
}

/// Zeros the last `cut` bytes of the group that the last append wrote, less its header, as far as it reaches;
/// false when there is nothing to cut.
fn tear(dir: &Path, before: usize, segments: usize, cut: usize) -> bool {
    let all = files(&dir.join("ledger"), ".segment");
    let segment = all.last().unwrap();
    let start = match all.len() == segments {
        true => before,
        false => 512,
    };
    let end = written(segment).next_multiple_of(32) - 32;
    let from = end.saturating_sub(cut).max(start + 32);
    edit(segment, |bytes| bytes[from..].fill(0));
    from < end
}

struct Run {
    root: TempDir,
    lives: usize,
    epoch: u64,
    made: u64,
    model: Loaded,
}

impl Run {
    fn records(&mut self, lengths: &[usize]) -> Vec<Vec<u8>> {
        let make = |len: &usize| {
            self.made += 1;
            record(self.made, *len)
        };
        lengths.iter().map(make).collect()
    }

    fn dir(&self) -> std::path::PathBuf {
        self.root.path().join(self.lives.to_string())
    }

    fn run(&mut self, steps: &[Step]) {
        let (mut log, found) = loaded(&self.dir());
        assert_eq!(found, self.model);
        for step in steps {
            let epoch = LeaderEpoch(self.epoch);
            match step {
                Step::Append(lengths) => {
                    let records = self.records(lengths);
                    log.append(epoch, &records).unwrap();
                    self.model.epoch = epoch;
                    self.model.records.extend(records);
                }
                Step::AppendFenced => {
                    let done = log.append(LeaderEpoch(0), &[record(0, 5)]);
                    assert_eq!(
                        matches!(done, Err(LogError::Fenced { .. })),
                        self.model.epoch.0 > 0
                    );
                    if done.is_ok() {
                        self.model.records.push(record(0, 5));
                    }
                }
                Step::Snapshot(len) => {
                    let snapshot = self.records(&[*len]).remove(0);
                    log.snapshot(epoch, &snapshot).unwrap();
                    self.model = Loaded {
                        epoch,
                        snapshot: Some(snapshot),
                        records: vec![],
                    };
                }
                Step::TakeOver => self.epoch += 1,
                Step::Reload => assert_eq!(log.load().unwrap(), self.model),
                Step::Crash => {
                    let from = self.dir();
                    self.lives += 1;
                    copy(&from, &self.dir());
                    log = self.resume();
                }
                Step::CrashWithin(lengths, cut) => {
                    let from = self.dir();
                    let all = files(&from.join("ledger"), ".segment");
                    // The mark behind the last group is overwritten by the next.
                    let before = written(all.last().unwrap()).next_multiple_of(32) - 32;
                    let records = self.records(lengths);
                    log.append(epoch, &records).unwrap();
                    self.lives += 1;
                    copy(&from, &self.dir());
                    if !tear(&self.dir(), before, all.len(), *cut) {
                        self.model.records.extend(records);
                        self.model.epoch = epoch;
                    }
                    log = self.resume();
                }
            }
        }
        drop(log);
        assert_eq!(loaded(&self.dir()).1, self.model);
    }

    fn resume(&self) -> plenum_store::DiskLog {
        let (log, found) = loaded(&self.dir());
        assert_eq!(found, self.model);
        log
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_history_loads_as_the_model_has_it(steps in steps()) {
        let mut run = Run {
            root: TempDir::new().unwrap(),
            lives: 0,
            epoch: 1,
            made: 0,
            model: Loaded::default(),
        };
        run.run(&steps);
    }
}
