//! How one machine is shared among several agents: each offers an equal part of it, with an address and a
//! range of ports of its own, so that nothing is counted twice.

use plenum_model::node::PortRange;
use std::net::Ipv4Addr;

/// The dynamic host ports of all agents of one machine. Below Linux' own ephemeral range (from 32768), so that
/// outgoing connections never take one.
const PORTS: PortRange = PortRange {
    low: 20_000,
    high: 32_767,
};

/// At most so many of them each: more than a node has slots for helps nobody.
const PORTS_EACH: u16 = 1_000;

/// The part of one agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Share {
    /// `node-1`, `node-2`, ...
    pub(crate) name: String,
    /// `127.77.0.1`, ...
    pub(crate) address: String,
    /// Its dynamic host ports.
    pub(crate) ports: PortRange,
    /// Thousandths of a core.
    pub(crate) cpu_millis: u64,
    /// Bytes.
    pub(crate) memory_bytes: u64,
    /// Bytes.
    pub(crate) disk_bytes: u64,
}

/// What there is to share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Machine {
    /// Thousandths of a core.
    pub(crate) cpu_millis: u64,
    /// Bytes.
    pub(crate) memory_bytes: u64,
    /// Bytes.
    pub(crate) disk_bytes: u64,
}

/// How many agents when nobody says: one per core, at most three, so that each has whole cores.
#[must_use]
pub(crate) fn default_count(machine: &Machine) -> u32 {
    u32::try_from((machine.cpu_millis / 1000).clamp(1, 3)).unwrap_or(3)
}

/// The most agents on one machine: each has a last part of its address, 1 to 254, to itself.
pub(crate) const MOST: u32 = 254;

/// Equal parts for `count` agents (1 to [`MOST`]). When nobody said how many, each gets whole cores only.
#[must_use]
pub(crate) fn share(machine: &Machine, count: u32, whole_cores: bool) -> Vec<Share> {
    let count = count.clamp(1, MOST);
    let parts = u64::from(count);
    let each = u16::try_from(count).map_or(1, |n| ((PORTS.high - PORTS.low + 1) / n).min(PORTS_EACH));
    let cpu = machine.cpu_millis / parts;
    let cpu_millis = if whole_cores && cpu >= 1000 {
        cpu / 1000 * 1000
    } else {
        cpu
    };
    (0..count)
        .map(|i| {
            let index = u8::try_from(i + 1).unwrap_or(u8::MAX);
            let low = PORTS.low + u16::from(index - 1) * each;
            Share {
                name: format!("node-{index}"),
                address: Ipv4Addr::new(127, 77, 0, index).to_string(),
                ports: PortRange {
                    low,
                    high: low + each - 1,
                },
                cpu_millis,
                memory_bytes: machine.memory_bytes / parts,
                disk_bytes: machine.disk_bytes / parts,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: Machine = Machine {
        cpu_millis: 2000,
        memory_bytes: 24 << 30,
        disk_bytes: 80 << 30,
    };

    #[test]
    fn nothing_is_offered_twice() {
        for count in [1, 2, 3, 7, MOST] {
            let shares = share(&MACHINE, count, false);
            assert_eq!(shares.len(), count as usize);
            assert!(shares.iter().map(|s| s.cpu_millis).sum::<u64>() <= MACHINE.cpu_millis);
            assert!(shares.iter().map(|s| s.memory_bytes).sum::<u64>() <= MACHINE.memory_bytes);
            assert!(
                shares.windows(2).all(|w| w[0].ports.high < w[1].ports.low),
                "{count}"
            );
            assert!(
                shares
                    .iter()
                    .all(|s| s.ports.low <= s.ports.high && s.ports.high <= PORTS.high)
            );
        }
    }

    #[test]
    fn by_default_each_has_whole_cores() {
        let machine = Machine {
            cpu_millis: 8000,
            ..MACHINE
        };
        assert_eq!(default_count(&MACHINE), 2);
        assert_eq!(default_count(&machine), 3);
        assert!(share(&machine, 3, true).iter().all(|s| s.cpu_millis == 2000));
    }
}
