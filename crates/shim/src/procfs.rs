//! The little that is read from `/proc`.

use crate::state::ProcessId;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

/// What one line of `/proc/PID/stat` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    parent: i32,
    session: i32,
    start_ticks: u64,
    zombie: bool,
}

fn parse(stat: &str) -> Option<Stat> {
    // The name in parentheses may hold spaces and parentheses itself: only what follows the last one counts.
    let rest = stat.get(stat.rfind(')')? + 1..)?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let session = fields.nth(1)?.parse().ok()?;
    // Field 22 of the line; the session was field 6.
    let start_ticks = fields.nth(15)?.parse().ok()?;
    Some(Stat {
        parent,
        session,
        start_ticks,
        zombie: state == "Z" || state == "X",
    })
}

fn stat(pid: i32) -> io::Result<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    parse(&text)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid}/stat: {text}")))
}

/// The full identity of the process that has this number now.
///
/// # Errors
/// `NotFound` when there is none.
pub fn identify(pid: i32) -> io::Result<ProcessId> {
    Ok(ProcessId {
        pid,
        start_ticks: stat(pid)?.start_ticks,
    })
}

/// Whether this very process still runs (a zombie does not).
pub fn is_alive(process: ProcessId) -> bool {
    stat(process.pid).is_ok_and(|stat| stat.start_ticks == process.start_ticks && !stat.zombie)
}

/// Every process below `root`, nearest first; as of one walk, so new ones may be missing.
pub fn descendants(root: i32) -> Vec<i32> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for (pid, stat) in running() {
        children.entry(stat.parent).or_default().push(pid);
    }
    let mut found = children.remove(&root).unwrap_or_default();
    let mut next = 0;
    while let Some(&pid) = found.get(next) {
        found.extend(children.remove(&pid).unwrap_or_default());
        next += 1;
    }
    found
}

/// What is left of the session that `leader` began, after it has gone.
pub fn orphans_of_session(leader: ProcessId) -> Vec<i32> {
    let in_session: Vec<_> = running().filter(|(_, stat)| stat.session == leader.pid).collect();
    // While anybody is in the session its number is not given to a new process. A leader that lives is thus
    // either ours, or of another session and nothing of ours is left; and nobody in ours is older than it.
    if in_session.iter().any(|&(pid, _)| pid == leader.pid) {
        return Vec::new();
    }
    in_session
        .iter()
        .filter(|(_, stat)| stat.start_ticks >= leader.start_ticks)
        .map(|&(pid, _)| pid)
        .collect()
}

fn running() -> impl Iterator<Item = (i32, Stat)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(|pid| Some((pid, stat(pid).ok()?)))
        .filter(|(_, stat)| !stat.zombie)
}

/// A name for this boot of the machine; process ids mean nothing in another.
pub fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_owned())
        .unwrap_or_default()
}

/// The wall clock in milliseconds since 1970.
pub fn now_ms() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let line = "42 (a) b (c)) S 7 42 43 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 987654 1 2";
        assert_eq!(
            parse(line),
            Some(Stat {
                parent: 7,
                session: 43,
                start_ticks: 987_654,
                zombie: false
            })
        );
        assert_eq!(parse("42 (cut"), None);
        assert_eq!(parse("42 (cut) S 7"), None);
    }

    #[test]
    fn this_process_is_alive_and_one_with_another_start_is_not() {
        let mut me = identify(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(is_alive(me));
        me.start_ticks += 1;
        assert!(!is_alive(me));
    }
}
