//! Service ports: every port of every app gets a number that is its own in the cluster. The lowest free one
//! from the range, in order; an update that asks for "any" again keeps what the app had.

use crate::app::{Config, NetworkMode};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// No number of the range is free.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("All ports in the range [{}-{}) are already in use", .0.start, .0.end)]
pub struct Exhausted(pub Range<u16>);

/// The service ports of some apps. Users may give two apps the same one, so each is counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken(BTreeMap<u16, u32>);

impl Taken {
    /// Adds an app's.
    pub fn add(&mut self, config: &Config) {
        for port in config.service_ports() {
            *self.0.entry(port).or_default() += 1;
        }
    }

    /// Takes an app's away, which were added before.
    pub fn remove(&mut self, config: &Config) {
        for port in config.service_ports() {
            match self.0.get_mut(&port) {
                Some(count) if *count > 1 => *count -= 1,
                Some(_) | None => {
                    self.0.remove(&port);
                }
            }
        }
    }

    fn contains(&self, port: u16) -> bool {
        self.0.contains_key(&port)
    }
}

/// Gives every port of `config` that is 0 a service port. `own` are those the app had; `taken` those of all
/// other apps.
///
/// # Errors
/// [`Exhausted`]; `config` is then half assigned and must be dropped.
pub fn assign(config: &mut Config, own: &[u16], taken: &Taken, range: &Range<u16>) -> Result<(), Exhausted> {
    let given: BTreeSet<u16> = config.service_ports().into_iter().collect();
    let mut kept = own
        .iter()
        .copied()
        .filter(|p| range.contains(p) && !given.contains(p) && !taken.contains(*p));
    let mut fresh = range
        .clone()
        .filter(|p| !taken.contains(*p) && !given.contains(p) && !own.contains(p));
    let mut next = |port: &mut u16| {
        if *port == 0 {
            *port = kept
                .next()
                .or_else(|| fresh.next())
                .ok_or_else(|| Exhausted(range.clone()))?;
        }
        Ok(())
    };
    match config.network {
        NetworkMode::Host => config
            .port_definitions
            .iter_mut()
            .flatten()
            .try_for_each(|p| next(&mut p.port)),
        NetworkMode::Bridge => config
            .container
            .iter_mut()
            .filter_map(|c| c.port_mappings.as_mut())
            .flatten()
            .try_for_each(|p| next(&mut p.service_port)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{PortDefinition, Protocol};
    use crate::tests::canonical;

    fn with_ports(ports: &[u16]) -> Config {
        let mut config = canonical(r#"{"id":"a","cmd":"sleep 1"}"#).unwrap().config;
        let port = |port| PortDefinition {
            port,
            protocol: Protocol::Tcp,
            ..PortDefinition::default()
        };
        config.port_definitions = Some(ports.iter().copied().map(port).collect());
        config
    }

    #[test]
    fn ports_are_the_lowest_free_ones_in_order_and_an_update_keeps_its_own() {
        let range = 10_000..10_006;
        for (asked, own, taken, got) in [
            (&[0, 0][..], &[][..], &[10_000][..], Some(vec![10_001, 10_002])),
            (&[0, 10_000, 0], &[], &[], Some(vec![10_001, 10_000, 10_002])),
            (&[0, 0], &[10_005], &[], Some(vec![10_005, 10_000])),
            (&[0], &[10_003], &[10_003], Some(vec![10_000])),
            (&[8080], &[10_000], &[], Some(vec![8080])),
            (&[0, 0], &[], &[10_000, 10_001, 10_002, 10_003, 10_004], None),
        ] {
            let mut config = with_ports(asked);
            let mut others = Taken::default();
            others.add(&with_ports(taken));
            let done = assign(&mut config, own, &others, &range);
            assert_eq!(
                done.ok().map(|()| config.service_ports()),
                got,
                "{asked:?} {own:?} {taken:?}"
            );
        }
    }

    #[test]
    fn a_port_that_two_apps_have_is_free_only_when_both_have_gone() {
        let mut taken = Taken::default();
        let (one, two) = (with_ports(&[10_000]), with_ports(&[10_000, 10_001]));
        taken.add(&one);
        taken.add(&two);
        taken.remove(&two);
        assert_eq!((taken.contains(10_000), taken.contains(10_001)), (true, false));
        taken.remove(&one);
        assert_eq!(taken, Taken::default());
    }
}
