//! Cut writes are dropped, flipped bits are named, and a crash at any step leaves the old or the new.

use crate::disk::{append, copy, edit, files, load, loaded, names, open, record, small, written};
use plenum_contract::ledger_log::{LedgerLog, LogError};
use plenum_model::ids::LeaderEpoch;
use plenum_store::check;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A log of several segments and, if wished, a snapshot, closed; and its records after the snapshot.
fn small_log(dir: &Path, with_snapshot: bool) -> Vec<Vec<u8>> {
    let (mut log, _) = loaded(dir);
    let mut kept = Vec::new();
    for n in 0..12 {
        let group = [record(2 * n, 250), record(2 * n + 1, 250)];
        append(&mut log, &group);
        kept.extend(group);
        if with_snapshot && n == 5 {
            log.snapshot(LeaderEpoch(1), &record(99, 700)).unwrap();
            kept.clear();
        }
    }
    kept
}

fn ledger(dir: &Path) -> PathBuf {
    dir.join("ledger")
}

/// The last segment.
fn last(dir: &Path) -> PathBuf {
    files(&ledger(dir), ".segment").pop().unwrap()
}

/// A log with one group more than `acknowledged`, as a crash before its acknowledgement leaves it; and where
/// in the last segment that group starts and ends.
fn unacknowledged(dir: &Path, acknowledged: &[Vec<u8>], extra: &[Vec<u8>]) -> (usize, usize) {
    {
        let (mut log, _) = loaded(dir);
        append(&mut log, acknowledged);
    }
    let segment = last(dir);
    // The mark behind the last group takes 32 bytes, and the next group overwrites it.
    let start = written(&segment).next_multiple_of(32) - 32;
    {
        let (mut log, _) = loaded(dir);
        append(&mut log, extra);
    }
    let end = written(&segment).next_multiple_of(32) - 32;
    edit(&segment, |bytes| bytes[end..].fill(0));
    (start, end)
}

#[test]
fn a_last_write_cut_at_any_byte_is_dropped_and_the_log_goes_on() {
    let dir = TempDir::new().unwrap();
    let (kept, lost) = ([record(1, 300)], [record(2, 700), record(3, 5)]);
    let (start, end) = unacknowledged(dir.path(), &kept, &lost);
    let crash = TempDir::new().unwrap();
    for cut in start + 32..end {
        let path = crash.path().join(cut.to_string());
        copy(dir.path(), &path);
        edit(&last(&path), |bytes| bytes[cut..].fill(0));
        let report = check(&path).unwrap();
        assert!(
            report.is_sound() && report.parts[0].torn.is_some(),
            "cut at {cut}"
        );
        let (mut log, found) = loaded(&path);
        assert_eq!(found.records, kept, "cut at {cut}");
        append(&mut log, &[record(4, 100)]);
        drop(log);
        assert_eq!(
            load(&path).unwrap().records,
            [kept[0].clone(), record(4, 100)],
            "cut at {cut}"
        );
        std::fs::remove_dir_all(path).unwrap();
    }
}

#[test]
fn a_last_write_whose_sectors_came_in_any_order_is_dropped() {
    let dir = TempDir::new().unwrap();
    let kept = [record(1, 100)];
    let (start, end) = unacknowledged(dir.path(), &kept, &[record(2, 2500)]);
    let sectors: Vec<usize> = (start / 512..end.div_ceil(512)).collect();
    let crash = TempDir::new().unwrap();
    // Every choice of sectors that came, but all of them.
    for came in 0..(1_u32 << sectors.len()) - 1 {
        let path = crash.path().join(came.to_string());
        copy(dir.path(), &path);
        edit(&last(&path), |bytes| {
            for (i, sector) in sectors.iter().enumerate() {
                if came & (1 << i) == 0 {
                    let from = (sector * 512).max(start);
                    bytes[from..(sector + 1) * 512].fill(0);
                }
            }
        });
        assert_eq!(load(&path).unwrap().records, kept, "sectors {came:b}");
        std::fs::remove_dir_all(path).unwrap();
    }
}

#[test]
fn a_last_write_that_came_whole_is_kept_though_nobody_was_told() {
    let dir = TempDir::new().unwrap();
    let (kept, extra) = ([record(1, 100)], [record(2, 700)]);
    unacknowledged(dir.path(), &kept, &extra);
    assert_eq!(
        load(dir.path()).unwrap().records,
        [kept[0].clone(), extra[0].clone()]
    );
}

#[test]
fn a_file_cut_at_any_byte_is_named() {
    let dir = TempDir::new().unwrap();
    small_log(dir.path(), true);
    let crash = TempDir::new().unwrap();
    let all = [
        files(&ledger(dir.path()), ".segment"),
        files(&ledger(dir.path()), ".snapshot"),
    ]
    .concat();
    for file in all {
        let len = usize::try_from(std::fs::metadata(&file).unwrap().len()).unwrap();
        for cut in (0..len).step_by(97).chain([len - 1]) {
            let path = crash.path().join("cut");
            copy(dir.path(), &path);
            let file = ledger(&path).join(file.file_name().unwrap());
            edit(&file, |bytes| bytes.truncate(cut));
            let error = load(&path).unwrap_err();
            names(&error, &file);
            std::fs::remove_dir_all(path).unwrap();
        }
    }
}

/// Flips one bit of every byte of every file, and asserts that each is either named, by the log and by the
/// check, or changes nothing. Returns how many were named.
fn flip_every_byte(with_snapshot: bool) -> (usize, usize) {
    let dir = TempDir::new().unwrap();
    let kept = small_log(dir.path(), with_snapshot);
    let whole = load(dir.path()).unwrap();
    assert_eq!(whole.records, kept);
    let all = [
        files(&ledger(dir.path()), ".segment"),
        files(&ledger(dir.path()), ".snapshot"),
    ]
    .concat();
    let crash = TempDir::new().unwrap();
    let path = crash.path().join("flipped");
    let (mut named, mut harmless) = (0, 0);
    for file in all {
        let target = ledger(&path).join(file.file_name().unwrap());
        for byte in 0..usize::try_from(std::fs::metadata(&file).unwrap().len()).unwrap() {
            copy(dir.path(), &path);
            edit(&target, |bytes| bytes[byte] ^= 1 << (byte % 8));
            let report = check(&path).unwrap();
            let found = load(&path);
            std::fs::remove_dir_all(&path).unwrap();
            match found {
                Ok(found) => {
                    assert_eq!(found, whole, "byte {byte} of {}", file.display());
                    assert!(report.is_sound(), "byte {byte}: {report}");
                    harmless += 1;
                }
                Err(LogError::Schema { path, .. }) => {
                    // Cannot be: the version is under the checksum.
                    panic!("byte {byte} of {} passes for a version", path.display());
                }
                Err(error) => {
                    let offset = usize::try_from(names(&error, &target)).unwrap();
                    assert!(offset <= byte, "named at {offset}, it is at {byte}");
                    assert!(byte - offset < 1024, "named at {offset}, far from {byte}");
                    let damage = report.parts[0].damage.iter();
                    assert!(
                        damage.clone().any(|d| d.at.path == target),
                        "byte {byte}: the check says {report}"
                    );
                    named += 1;
                }
            }
        }
    }
    (named, harmless)
}

#[test]
fn a_flipped_bit_in_any_byte_of_a_log_is_named_or_harmless() {
    let (named, harmless) = flip_every_byte(false);
    // Twelve groups of 544 bytes and their heads; what is harmless lies behind the end.
    assert!(named > 12 * 500, "{named} named, {harmless} harmless");
}

#[test]
fn a_flipped_bit_in_any_byte_of_a_log_with_a_snapshot_is_named_or_harmless() {
    let (named, harmless) = flip_every_byte(true);
    assert!(named > 6 * 500 + 700, "{named} named, {harmless} harmless");
}

#[test]
fn a_group_that_lost_its_header_is_named_when_another_follows() {
    let dir = TempDir::new().unwrap();
    small_log(dir.path(), false);
    let first = files(&ledger(dir.path()), ".segment").remove(0);
    edit(&first, |bytes| bytes[512..1024].fill(0));
    assert_eq!(names(&load(dir.path()).unwrap_err(), &first), 512);
    let last = last(dir.path());
    let crash = TempDir::new().unwrap();
    small_log(crash.path(), false);
    let last = ledger(crash.path()).join(last.file_name().unwrap());
    edit(&last, |bytes| bytes[512..1024].fill(0));
    assert_eq!(names(&load(crash.path()).unwrap_err(), &last), 512);
}

#[test]
fn a_missing_file_is_told() {
    let (plain, with_snapshot) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    small_log(plain.path(), false);
    // Twice: a snapshot alone stands for what was before it once its segments are gone.
    small_log(with_snapshot.path(), true);
    small_log(with_snapshot.path(), true);
    let mut gone = files(&ledger(plain.path()), ".segment");
    // That the last segment ever was, nothing else knows.
    gone.pop();
    assert!(!gone.is_empty(), "the log has several segments");
    gone.extend(files(&ledger(with_snapshot.path()), ".snapshot"));
    let crash = TempDir::new().unwrap();
    let path = crash.path().join("gone");
    for gone in gone {
        copy(gone.parent().unwrap().parent().unwrap(), &path);
        std::fs::remove_file(ledger(&path).join(gone.file_name().unwrap())).unwrap();
        let found = load(&path);
        assert!(
            matches!(found, Err(LogError::Damaged { .. })),
            "without {}",
            gone.display()
        );
        assert!(!check(&path).unwrap().is_sound(), "without {}", gone.display());
        std::fs::remove_dir_all(&path).unwrap();
    }
}

#[test]
fn a_crash_before_a_snapshot_has_its_name_leaves_the_old_state() {
    let dir = TempDir::new().unwrap();
    let kept = small_log(dir.path(), false);
    let before = TempDir::new().unwrap();
    copy(dir.path(), before.path());
    let (mut log, _) = loaded(dir.path());
    log.snapshot(LeaderEpoch(1), b"all of it").unwrap();
    drop(log);
    let snapshot = files(&ledger(dir.path()), ".snapshot").remove(0);
    let bytes = std::fs::read(&snapshot).unwrap();
    for len in [0, 1, bytes.len() / 2, bytes.len()] {
        let path = before.path().join("ledger/0000000000000004.part");
        std::fs::write(&path, &bytes[..len]).unwrap();
        let (log, found) = loaded(before.path());
        assert_eq!((found.snapshot, &found.records), (None, &kept));
        assert!(!path.exists(), "what is left of it is removed");
        drop(log);
    }
}

#[test]
fn a_crash_after_a_snapshot_has_its_name_leaves_the_new_state() {
    let dir = TempDir::new().unwrap();
    small_log(dir.path(), false);
    let before = TempDir::new().unwrap();
    copy(dir.path(), before.path());
    let (mut log, _) = loaded(dir.path());
    log.snapshot(LeaderEpoch(1), b"all of it").unwrap();
    drop(log);
    let snapshot = files(&ledger(dir.path()), ".snapshot").remove(0);
    let name = snapshot.file_name().unwrap();
    std::fs::copy(&snapshot, ledger(before.path()).join(name)).unwrap();
    let old = files(&ledger(before.path()), ".segment").len();
    let (mut log, found) = loaded(before.path());
    assert_eq!(
        (found.snapshot.as_deref(), found.records),
        (Some(&b"all of it"[..]), vec![])
    );
    let kept = files(&ledger(before.path()), ".segment").len();
    assert!(kept < old, "segments that it covers are removed");
    append(&mut log, &[record(1, 10)]);
    drop(log);
    assert_eq!(load(before.path()).unwrap().records, [record(1, 10)]);
}

#[test]
fn segments_that_a_snapshot_covers_are_used_again_and_hold_zeros() {
    let dir = TempDir::new().unwrap();
    let (mut log, _) = loaded(dir.path());
    for round in 0..20 {
        for n in 0..10 {
            append(&mut log, &[record(n, 900)]);
        }
        log.snapshot(LeaderEpoch(1), &record(round, 50)).unwrap();
    }
    let names = std::fs::read_dir(ledger(dir.path())).unwrap().count();
    assert!(names < 8, "{names} files are left of two hundred groups");
    drop(log);
    let found = load(dir.path()).unwrap();
    assert_eq!((found.snapshot, found.records.len()), (Some(record(19, 50)), 0));
}

#[test]
fn a_group_larger_than_a_segment_has_one_of_its_own() {
    let dir = TempDir::new().unwrap();
    let (mut log, _) = loaded(dir.path());
    let large = record(7, 5 * usize::try_from(small().segment_bytes).unwrap());
    append(&mut log, &[record(1, 10)]);
    append(&mut log, std::slice::from_ref(&large));
    append(&mut log, &[record(2, 10)]);
    drop(log);
    let want = [record(1, 10), large, record(2, 10)];
    assert_eq!(load(dir.path()).unwrap().records, want);
}

#[test]
fn nothing_is_appended_before_the_log_was_read() {
    let dir = TempDir::new().unwrap();
    let mut log = open(dir.path()).ledger_log().unwrap();
    let refused = log.append(LeaderEpoch(1), &[record(1, 1)]);
    assert!(matches!(refused, Err(LogError::Io { .. })), "{refused:?}");
}
