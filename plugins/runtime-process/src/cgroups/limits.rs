//! What limits mean in the files of each version. Pure.

use crate::cgroups::hierarchy::{Controller, Version};
use plenum_model::spec::Caps;

/// The period over which the quota of processor time is counted, in microseconds; the kernel's own default.
const PERIOD_MICROS: u64 = 100_000;
/// The smallest quota the kernel takes, in microseconds.
const LEAST_QUOTA_MICROS: u64 = 1_000;
/// The smallest and largest weight the kernel takes in v1, where 1024 is a whole core by convention.
const SHARES: std::ops::RangeInclusive<u64> = 2..=262_144;

/// One file to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) controller: Controller,
    pub(crate) file: &'static str,
    pub(crate) value: String,
    /// Whether the kernel may be built without it.
    pub(crate) optional: bool,
}

/// Everything to write for these limits, in this order. Who asks for no processor time at all gets the least.
pub(crate) fn settings(caps: &Caps, version: Version) -> Vec<Setting> {
    let shares = caps.cpu_weight_millis.map_or(*SHARES.start(), shares);
    let quota = caps
        .cpu_limit_millis
        .map(|millis| (millis.saturating_mul(PERIOD_MICROS) / 1000).max(LEAST_QUOTA_MICROS));
    let mut out = Vec::new();
    let mut add = |controller, file, value: String, optional| {
        out.push(Setting {
            controller,
            file,
            value,
            optional,
        });
    };
    match version {
        Version::V1 => {
            add(Controller::Cpu, "cpu.shares", shares.to_string(), false);
            if let Some(quota) = quota {
                add(
                    Controller::Cpu,
                    "cpu.cfs_period_us",
                    PERIOD_MICROS.to_string(),
                    false,
                );
                add(Controller::Cpu, "cpu.cfs_quota_us", quota.to_string(), false);
            }
            if let Some(bytes) = caps.memory_limit_bytes {
                add(
                    Controller::Memory,
                    "memory.limit_in_bytes",
                    bytes.to_string(),
                    false,
                );
                // Memory and swap together: no swap on top.
                add(
                    Controller::Memory,
                    "memory.memsw.limit_in_bytes",
                    bytes.to_string(),
                    true,
                );
            }
        }
        Version::V2 => {
            add(Controller::Cpu, "cpu.weight", weight(shares).to_string(), false);
            if let Some(quota) = quota {
                add(
                    Controller::Cpu,
                    "cpu.max",
                    format!("{quota} {PERIOD_MICROS}"),
                    false,
                );
            }
            if let Some(bytes) = caps.memory_limit_bytes {
                add(Controller::Memory, "memory.max", bytes.to_string(), false);
                add(Controller::Memory, "memory.swap.max", "0".to_owned(), true);
            }
        }
    }
    if let Some(pids) = caps.pids {
        add(Controller::Pids, "pids.max", pids.to_string(), false);
    }
    out
}

fn shares(millis: u64) -> u64 {
    (millis.saturating_mul(1024) / 1000).clamp(*SHARES.start(), *SHARES.end())
}

/// The usual mapping of v1's 2..=262144 to v2's 1..=10000.
fn weight(shares: u64) -> u64 {
    1 + (shares - SHARES.start()) * 9_999 / (SHARES.end() - SHARES.start())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(caps: &Caps, version: Version) -> Vec<String> {
        settings(caps, version)
            .iter()
            .map(|s| format!("{}={}", s.file, s.value))
            .collect()
    }

    #[test]
    fn limits_are_written_in_the_words_of_each_version() {
        let caps = Caps {
            cpu_weight_millis: Some(1500),
            cpu_limit_millis: Some(250),
            memory_limit_bytes: Some(1 << 20),
            pids: Some(7),
        };
        assert_eq!(
            text(&caps, Version::V1),
            [
                "cpu.shares=1536",
                "cpu.cfs_period_us=100000",
                "cpu.cfs_quota_us=25000",
                "memory.limit_in_bytes=1048576",
                "memory.memsw.limit_in_bytes=1048576",
                "pids.max=7",
            ]
        );
        assert_eq!(
            text(&caps, Version::V2),
            [
                "cpu.weight=59",
                "cpu.max=25000 100000",
                "memory.max=1048576",
                "memory.swap.max=0",
                "pids.max=7"
            ]
        );
    }

    #[test]
    fn extremes_stay_within_what_the_kernel_takes() {
        let caps = |weight, limit| Caps {
            cpu_weight_millis: weight,
            cpu_limit_millis: limit,
            ..Caps::default()
        };
        assert_eq!(text(&caps(None, None), Version::V1), ["cpu.shares=2"]);
        assert_eq!(text(&caps(None, None), Version::V2), ["cpu.weight=1"]);
        assert_eq!(
            text(&caps(Some(u64::MAX), None), Version::V2),
            ["cpu.weight=10000"]
        );
        assert!(text(&caps(Some(0), Some(1)), Version::V1).contains(&"cpu.cfs_quota_us=1000".to_owned()));
    }
}
