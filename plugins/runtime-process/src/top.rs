//! The processes of a container, as `ps -ef` shows them, from `/proc`.

use crate::blocking::NAME;
use crate::runtime::Engine;
use crate::stats::running;
use jiff::Timestamp;
use nix::unistd::{SysconfVar, Uid, User, sysconf};
use plenum_contract::runtime::ContainerKey;
use plenum_contract::streams::{ProcessTable, StreamError};
use plenum_shim::procfs;
use std::fs;

const TITLES: [&str; 8] = ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"];

/// Other columns than those of `ps -ef` are refused by name.
pub(crate) fn check(arguments: &str) -> Result<(), StreamError> {
    match arguments.trim() {
        "" | "-ef" | "ef" => Ok(()),
        other => Err(StreamError::NotSupported {
            what: format!("top with `{other}`: it shows what `ps -ef` shows, and that"),
            runtime: NAME.to_owned(),
        }),
    }
}

/// Reads them now.
pub(crate) fn read(engine: &Engine, key: &ContainerKey) -> Result<ProcessTable, StreamError> {
    let (shim, _) = running(engine, key)?;
    let machine = Machine::now();
    let mut pids = procfs::descendants(shim.pid);
    pids.retain(|pid| *pid != shim.pid);
    pids.sort_unstable();
    Ok(ProcessTable {
        titles: TITLES.map(str::to_owned).to_vec(),
        // One that has ended since has no row.
        processes: pids.into_iter().filter_map(|pid| row(pid, &machine)).collect(),
    })
}

/// What the times of processes are counted in.
struct Machine {
    ticks: u64,
    /// Unix seconds of the start of the machine.
    booted: u64,
    now: u64,
}

impl Machine {
    fn now() -> Self {
        let ticks = sysconf(SysconfVar::CLK_TCK).ok().flatten();
        let ticks = ticks.and_then(|t| u64::try_from(t).ok()).unwrap_or(100).max(1);
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        let line = stat.lines().find_map(|l| l.strip_prefix("btime "));
        let now = Timestamp::now().as_second();
        Self {
            ticks,
            booted: line.and_then(|n| n.trim().parse().ok()).unwrap_or(0),
            now: u64::try_from(now).unwrap_or(0),
        }
    }
}

fn row(pid: i32, machine: &Machine) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    cells(pid, &stat, &status, &line, machine)
}

fn cells(pid: i32, stat: &str, status: &str, line: &[u8], machine: &Machine) -> Option<Vec<String>> {
    let (name, rest) = (stat.find('(')?, stat.rfind(')')?);
    let fields: Vec<&str> = stat.get(rest + 1..)?.split_ascii_whitespace().collect();
    // `proc(5)` numbers them from 1; the state is the third.
    let number = |n: usize| fields.get(n - 3).and_then(|f| f.parse::<u64>().ok()).unwrap_or(0);
    let seconds = (number(14) + number(15)) / machine.ticks;
    let started = machine.booted + number(22) / machine.ticks;
    let lived = machine.now.saturating_sub(started).max(1);
    let command = String::from_utf8_lossy(line).replace('\0', " ");
    let command = match command.trim() {
        "" => format!("[{}]", stat.get(name + 1..rest)?),
        words => words.to_owned(),
    };
    let uid = status.lines().find_map(|l| l.strip_prefix("Uid:"));
    let uid = uid.and_then(|l| l.split_ascii_whitespace().next()?.parse().ok());
    Some(vec![
        uid.map(user).unwrap_or_default(),
        pid.to_string(),
        number(4).to_string(),
        (seconds * 100 / lived).min(99).to_string(),
        clock(started, machine.now),
        terminal(number(7)),
        format!(
            "{:02}:{:02}:{:02}",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60
        ),
        command,
    ])
}

fn user(uid: u32) -> String {
    let known = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    known.map_or_else(|| uid.to_string(), |user| user.name)
}

/// `18:03` of today, `Nov24` of before.
fn clock(at: u64, now: u64) -> String {
    let stamp = i64::try_from(at)
        .ok()
        .and_then(|s| Timestamp::from_second(s).ok());
    let Some(stamp) = stamp else { return String::new() };
    let form = if now.saturating_sub(at) < 24 * 3600 {
        "%H:%M"
    } else {
        "%b%d"
    };
    stamp.strftime(form).to_string()
}

/// Pseudo terminals by their number; others are not told apart.
fn terminal(device: u64) -> String {
    let (major, minor) = (
        (device >> 8) & 0xfff,
        (device & 0xff) | ((device >> 12) & 0xfff00),
    );
    match major {
        0 => "?".to_owned(),
        136..=143 => format!("pts/{}", (major - 136) * 256 + minor),
        _ => "tty".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_what_ps_shows() {
        let machine = Machine {
            ticks: 100,
            booted: 1_000_000,
            now: 1_000_100,
        };
        let stat = "42 (a) b) S 7 42 42 34817 42 4194560 0 0 0 0 250 6000 0 0 20 0 1 0 1000 0 0";
        let row = cells(
            42,
            stat,
            "Name:\ta\nUid:\t0\t0\t0\t0\n",
            b"sleep\x009 9\0",
            &machine,
        )
        .unwrap();
        assert_eq!(row[..4], ["root", "42", "7", "68"]);
        assert_eq!(row[5..], ["pts/1", "00:01:02", "sleep 9 9"]);
        let thread = cells(42, stat, "", b"", &machine).unwrap();
        assert_eq!(thread[7], "[a) b]");
        assert!(check("-ef").is_ok() && check("-o pid").is_err());
    }
}
