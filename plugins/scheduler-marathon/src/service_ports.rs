//! Service ports: every port of every app gets a number that is its own in the cluster. The lowest free one
//! from the range, in order; an update that asks for "any" again keeps what the app had.

use crate::app::{Config, NetworkMode};
use std::collections::BTreeSet;
use std::ops::Range;

/// No number of the range is free.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("All ports in the range [{}-{}) are already in use", .0.start, .0.end)]
pub struct Exhausted(pub Range<u16>);

/// Gives every port of `config` that is 0 a service port. `own` are those the app had; `taken` those of all
/// other apps.
///
/// # Errors
/// [`Exhausted`]; `config` is then half assigned and must be dropped.
pub fn assign(
    config: &mut Config,
    own: &[u16],
    taken: &BTreeSet<u16>,
    range: &Range<u16>,
) -> Result<(), Exhausted> {
    let given: BTreeSet<u16> = config.service_ports().into_iter().collect();
    let mut kept = own
        .iter()
        .copied()
        .filter(|p| range.contains(p) && !given.contains(p) && !taken.contains(p));
    let mut fresh = range
        .clone()
        .filter(|p| !taken.contains(p) && !given.contains(p) && !own.contains(p));
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
            let taken = taken.iter().copied().collect();
            let done = assign(&mut config, own, &taken, &range);
            assert_eq!(
                done.ok().map(|()| config.service_ports()),
                got,
                "{asked:?} {own:?} {taken:?}"
            );
        }
    }
}
