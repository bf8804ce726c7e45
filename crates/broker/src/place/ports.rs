//! Host ports of one node. A port is held once per protocol.

use plenum_model::claim::{HostPort, PortAsk, Protocol};
use plenum_model::ids::TaskId;
use plenum_model::node::PortRange;
use plenum_model::why::Cause;
use std::collections::BTreeSet;

/// A port with one protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortKey(u32);

/// The keys that a port takes with these protocols.
pub fn keys(port: u16, protocol: Protocol) -> impl Iterator<Item = PortKey> + Clone {
    let tcp = u32::from(port) * 2;
    let range = match protocol {
        Protocol::Tcp => tcp..tcp + 1,
        Protocol::Udp => tcp + 1..tcp + 2,
        Protocol::Both => tcp..tcp + 2,
    };
    range.map(PortKey)
}

/// The ports of a node that are held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ports(BTreeSet<PortKey>);

impl Ports {
    /// Whether nobody holds it.
    #[must_use]
    pub fn free(&self, port: u16, protocol: Protocol) -> bool {
        keys(port, protocol).all(|k| !self.0.contains(&k))
    }

    /// Holds what was given; says whether all of it was free.
    pub fn hold(&mut self, asks: &[PortAsk], given: &[u16]) -> bool {
        let mut clean = true;
        for (ask, port) in asks.iter().zip(given) {
            for key in keys(*port, ask.protocol) {
                clean &= self.0.insert(key);
            }
        }
        clean
    }

    /// Lets go of what was given.
    pub fn release(&mut self, asks: &[PortAsk], given: &[u16]) {
        for (ask, port) in asks.iter().zip(given) {
            for key in keys(*port, ask.protocol) {
                self.0.remove(&key);
            }
        }
    }

    /// The first of these that somebody holds.
    #[must_use]
    pub fn taken(&self, asks: &[PortAsk], given: &[u16]) -> Option<u16> {
        let mut both = asks.iter().zip(given);
        both.find(|(ask, port)| !self.free(**port, ask.protocol))
            .map(|(_, port)| *port)
    }

    /// The fixed ports of these that somebody holds, or that are in `kept`.
    #[must_use]
    pub fn taken_of(&self, asks: &[PortAsk], kept: &Self) -> Vec<u16> {
        let taken = asks.iter().filter_map(|ask| match ask.host {
            HostPort::Dynamic => None,
            HostPort::Fixed(port) => {
                let free = self.free(port, ask.protocol) && kept.free(port, ask.protocol);
                (!free).then_some(port)
            }
        });
        taken.collect()
    }

    /// Chooses a port for each ask, none that is in `kept` either. Dynamic ones start at a place that follows from the task, so that a port
    /// that was just let go is not given out again at once.
    ///
    /// # Errors
    /// The fixed port that is taken, or that the range has no more.
    pub fn choose(
        &self,
        asks: &[PortAsk],
        kept: &Self,
        range: PortRange,
        task: TaskId,
    ) -> Result<Vec<u16>, Cause> {
        let mut given = Vec::with_capacity(asks.len());
        let mut mine = BTreeSet::new();
        for ask in asks {
            if let HostPort::Fixed(port) = ask.host {
                if !self.free(port, ask.protocol) || !kept.free(port, ask.protocol) {
                    return Err(Cause::Port(port));
                }
                mine.extend(keys(port, ask.protocol));
            }
        }
        let mut next = start(range, task);
        for ask in asks {
            let port = match ask.host {
                HostPort::Fixed(port) => port,
                HostPort::Dynamic => self.dynamic(kept, range, ask.protocol, (&mut next, &mut mine))?,
            };
            given.push(port);
        }
        Ok(given)
    }

    fn dynamic(
        &self,
        kept: &Self,
        range: PortRange,
        protocol: Protocol,
        (next, mine): (&mut u16, &mut BTreeSet<PortKey>),
    ) -> Result<u16, Cause> {
        if range.high < range.low {
            return Err(Cause::DynamicPorts);
        }
        for _ in range.low..=range.high {
            let port = *next;
            *next = if port >= range.high { range.low } else { port + 1 };
            let wanted = keys(port, protocol);
            let free = |k: &PortKey| !self.0.contains(k) && !kept.0.contains(k) && !mine.contains(k);
            if port != 0 && wanted.clone().all(|k| free(&k)) {
                mine.extend(wanted);
                return Ok(port);
            }
        }
        Err(Cause::DynamicPorts)
    }
}

fn start(range: PortRange, task: TaskId) -> u16 {
    let [a, b, .., c, d] = task.0;
    let spread = u32::from_be_bytes([a, b, 0, 0]).wrapping_add(u32::from_be_bytes([0, 0, c, d]) << 3);
    let width = u32::from(range.high.saturating_sub(range.low)) + 1;
    range
        .low
        .saturating_add(u16::try_from((spread ^ (spread >> 16)) % width).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(host: HostPort, protocol: Protocol) -> PortAsk {
        PortAsk {
            host,
            protocol,
            ..PortAsk::default()
        }
    }

    #[test]
    fn a_dynamic_port_never_meets_a_fixed_one_of_the_same_task_or_one_that_is_held() {
        let range = PortRange { low: 100, high: 103 };
        let none = Ports::default();
        let mut ports = Ports::default();
        ports.hold(&[ask(HostPort::Dynamic, Protocol::Udp)], &[101]);
        let asks = [
            ask(HostPort::Dynamic, Protocol::Both),
            ask(HostPort::Fixed(100), Protocol::Tcp),
            ask(HostPort::Dynamic, Protocol::Tcp),
        ];
        for n in 0..=255 {
            let given = ports.choose(&asks, &none, range, TaskId([n; 16])).unwrap();
            assert_eq!(given[1], 100);
            assert!(given[0] > 101, "101 is held with udp: {given:?}");
            assert!(given[2] > 100 && given[2] != given[0], "{given:?}");
        }
        let four = [
            ask(HostPort::Dynamic, Protocol::Udp),
            asks[0].clone(),
            asks[0].clone(),
            asks[0].clone(),
        ];
        assert_eq!(
            ports.choose(&four, &none, range, TaskId([0; 16])),
            Err(Cause::DynamicPorts)
        );
    }

    #[test]
    fn tcp_and_udp_of_one_port_are_two_things() {
        let mut ports = Ports::default();
        assert!(ports.hold(&[ask(HostPort::Fixed(53), Protocol::Udp)], &[53]));
        assert!(ports.free(53, Protocol::Tcp) && !ports.free(53, Protocol::Both));
        ports.release(&[ask(HostPort::Fixed(53), Protocol::Udp)], &[53]);
        assert!(ports.free(53, Protocol::Both));
    }
}
