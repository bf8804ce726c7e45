//! What a container uses: from its cgroups, or, where there are none, summed over its processes.

use crate::blocking::chain;
use crate::record::Record;
use crate::runtime::Engine;
use plenum_contract::runtime::ContainerKey;
use plenum_contract::streams::{Stats, StreamError};
use plenum_shim::client::{self, Recovered};
use plenum_shim::logs::record::Timestamp;
use plenum_shim::procfs;
use plenum_shim::state::{ProcessId, Status};
use std::fs;

/// Reads it now.
pub(crate) fn read(engine: &Engine, key: &ContainerKey) -> Result<Stats, StreamError> {
    let (shim, record) = running(engine, key)?;
    let usage = engine.tree.usage(&record.cgroup);
    let missing = usage.cpu_nanos.is_none() || usage.memory_bytes.is_none() || usage.pids.is_none();
    let sum = if missing {
        sum_of_processes(shim)
    } else {
        Sum::default()
    };
    Ok(Stats {
        cpu_nanos: usage.cpu_nanos.unwrap_or(sum.cpu_nanos),
        memory_bytes: usage.memory_bytes.unwrap_or(sum.memory_bytes),
        memory_limit_bytes: usage.memory_limit_bytes,
        pids: usage.pids.unwrap_or(sum.pids),
        at_nanos: Timestamp::now().0,
        ..Stats::default()
    })
}

/// The shim of a running container, below which all its processes are.
pub(crate) fn running(engine: &Engine, key: &ContainerKey) -> Result<(ProcessId, Record), StreamError> {
    let failed = |why: String| StreamError::Failed { why };
    let found = engine.find(key).map_err(|error| failed(error.to_string()))?;
    let (dir, record) = found.ok_or_else(|| StreamError::NotFound {
        what: format!("container {key}"),
    })?;
    let shim = match client::recover(&dir).map_err(|error| failed(chain(&error)))? {
        Recovered::Alive(Status {
            shim, main: Some(_), ..
        }) => shim,
        Recovered::Alive(_) | Recovered::Ended(_) | Recovered::Gone { .. } => {
            return Err(StreamError::State {
                why: "container is not running".to_owned(),
            });
        }
    };
    Ok((shim, record))
}

#[derive(Debug, Default)]
struct Sum {
    cpu_nanos: u64,
    memory_bytes: u64,
    pids: u64,
}

/// Children that have ended are in their parents' figures, so processor time hardly ever goes back.
fn sum_of_processes(shim: ProcessId) -> Sum {
    let constant = |name| {
        nix::unistd::sysconf(name)
            .ok()
            .flatten()
            .and_then(|value| u64::try_from(value).ok())
    };
    let tick_nanos = 1_000_000_000 / constant(nix::unistd::SysconfVar::CLK_TCK).unwrap_or(100).max(1);
    let page = constant(nix::unistd::SysconfVar::PAGE_SIZE).unwrap_or(4096);
    let mut sum = Sum::default();
    for pid in procfs::descendants(shim.pid) {
        let (Ok(stat), Ok(statm)) = (
            fs::read_to_string(format!("/proc/{pid}/stat")),
            fs::read_to_string(format!("/proc/{pid}/statm")),
        ) else {
            continue;
        };
        let number = |text: Option<&str>| text.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        // After the name: utime, stime, cutime, cstime are fields 14 to 17 of the line, the state is field 3.
        let after_name = stat
            .rfind(')')
            .and_then(|at| stat.get(at + 1..))
            .unwrap_or_default();
        let ticks: u64 = after_name
            .split_ascii_whitespace()
            .skip(11)
            .take(4)
            .map(|t| number(Some(t)))
            .sum();
        sum.cpu_nanos += ticks * tick_nanos;
        sum.memory_bytes += number(statm.split(' ').nth(1)) * page;
        sum.pids += 1;
    }
    sum
}
