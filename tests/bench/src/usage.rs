//! What this process costs the machine.

use crate::report::Failed;
use nix::sys::resource::{UsageWho, getrusage};
use nix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// What it has used up to now.
pub(crate) struct Usage {
    /// Processor time, of user and system.
    pub(crate) processor: Duration,
    /// Memory now, in MiB.
    pub(crate) resident_mib: f64,
    /// The most there ever was of it, in MiB.
    pub(crate) peak_mib: f64,
}

/// Processor time of this thread up to now, of user and system, to the microsecond: `getrusage` knows of whole ticks only.
pub(crate) fn thread_time() -> Result<Duration, Failed> {
    let now = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_err(Failed::in_("the processor time"))?;
    Ok(Duration::from(now))
}

impl Usage {
    pub(crate) fn now() -> Result<Self, Failed> {
        let used = getrusage(UsageWho::RUSAGE_SELF).map_err(Failed::in_("the processor time"))?;
        let micros = [used.user_time(), used.system_time()]
            .map(|t| t.tv_sec().saturating_mul(1_000_000).saturating_add(t.tv_usec()));
        let micros: i64 = micros.iter().sum();
        let status = std::fs::read_to_string("/proc/self/status").map_err(Failed::in_("the memory"))?;
        let mib = |field: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(field));
            let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u32>().ok());
            kib.map(|kib| f64::from(kib) / 1024.0)
                .ok_or_else(|| Failed::in_("the memory")(format!("no {field}")))
        };
        Ok(Self {
            processor: Duration::from_micros(u64::try_from(micros).unwrap_or(0)),
            resident_mib: mib("VmRSS:")?,
            peak_mib: mib("VmHWM:")?,
        })
    }
}
