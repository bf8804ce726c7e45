//! What the histories are about: nodes of several sizes, tenants at two levels, and workloads that differ in all that
//! the core looks at.

use super::op::Rng;
use crate::world::{MIB, facts, terms};
use plenum_broker::CoreConfig;
use plenum_model::amounts::Amounts;
use plenum_model::claim::{Budget, Desired, HostPort, LostAfter, PortAsk, Protocol, Terms};
use plenum_model::ids::TenantPath;
use plenum_model::node::NodeFacts;
use plenum_model::rules::{Affinity, Domains, Expr, LimitPerKey, Preference, Spread, Strategy};
use plenum_model::tally::{Among, Tally};
use std::collections::BTreeMap;

/// Schedulers: the last one is the system's own where there is one.
pub(crate) const SCHEDULERS: [&str; 3] = ["even", "odd", "plenum"];

/// Tenants.
pub(crate) const TENANTS: [&str; 6] = ["team", "team/a", "team/b", "other", "gold", "gold/inner"];

pub(crate) fn tenant(n: u8) -> TenantPath {
    TENANTS[usize::from(n) % TENANTS.len()].parse().unwrap()
}

/// The broker of a history: how it chooses nodes and how long it waits with those that it stops.
pub(crate) fn config(rng: &mut Rng) -> CoreConfig {
    CoreConfig {
        exact_nodes: [64, 0][usize::from(rng.below(2) == 0)],
        notice_ms: [500, 2_000, 4_000][usize::try_from(rng.below(3)).unwrap()],
        strict_caps: rng.below(4) == 0,
        system: (rng.below(2) == 0).then(|| "plenum".parse().unwrap()),
        ..CoreConfig::default()
    }
}

/// A node, as one of its variants: larger or smaller, in another rack, with things that others lack.
pub(crate) fn node(n: u8, variant: u8) -> NodeFacts {
    let smaller = if variant == 7 { 700 } else { 0 };
    let mut f = facts(&format!("n{n}"), 2_000 + 700 * u64::from(n % 4) - smaller, 1_000);
    f.capacity.disk_bytes = 12 * MIB;
    f.capacity.slots = 8 + u64::from(n);
    f.system = Amounts::task(100, MIB, 0);
    if n.is_multiple_of(3) && variant != 6 {
        f.capacity.extended = BTreeMap::from([("fpga".into(), 2)]);
    }
    let racks = ["a", "b", "c"];
    if variant != 5 {
        let rack = racks[usize::from(if variant == 4 { n + 1 } else { n }) % 3];
        f.attributes.insert("rack".into(), rack.into());
    }
    (f.ports.low, f.ports.high) = (31_000, 31_005);
    f
}

/// Who claims a workload.
pub(crate) fn owner(app: u8) -> &'static str {
    match app {
        13 => "plenum",
        _ if app.is_multiple_of(2) => "even",
        _ => "odd",
    }
}

pub(crate) fn labels(n: u8) -> BTreeMap<String, String> {
    let pairs: &[(&str, &str)] = match n % 4 {
        0 => &[],
        1 => &[("app", "web")],
        2 => &[("app", "db"), ("tier", "1")],
        _ => &[("tier", "1")],
    };
    pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect()
}

/// What a version of a workload asks.
pub(crate) fn workload(app: u8, version: u32) -> Terms {
    let mut t = terms(&format!("app{app}"), 200 + 150 * u64::from(app % 5), 60);
    t.workload.version = version.to_string();
    t.charge.disk_bytes = u64::from(app % 4) * MIB;
    t.charge.cpu_millis += u64::from(version % 3) * 100;
    t.rules.strategy = [Strategy::Spread, Strategy::Pack, Strategy::Random][usize::from(app % 3)];
    t.tenant = tenant([1, 2, 3, 1, 0, 2, 3, 1, 2, 3, 0, 4, 5, 3][usize::from(app)]);
    t.lost_after = match app % 4 {
        0 => LostAfter::Never,
        n => LostAfter::Millis(12_000 * u64::from(n)),
    };
    t.keep_ended = u32::from(app % 3);
    t.priority.value = [2, 0, 1, -1, 0, 3, 0, 5, 0, 0, 2, 0, 0, 1][usize::from(app)];
    t.may_preempt = app.is_multiple_of(2) || app == 7;
    if t.tenant.as_str().starts_with("team/") && app != 1 {
        t.priority.scope = Some("team".parse().unwrap());
    }
    if app.is_multiple_of(3) {
        t.budget = Some(Budget {
            group: format!("group{}", app % 2),
            min_healthy: 1 + u32::from(app == 9),
        });
    }
    t.labels = labels(app);
    special(app, &mut t);
    t
}

fn special(app: u8, t: &mut Terms) {
    let port = |host, protocol| PortAsk {
        host,
        protocol,
        ..PortAsk::default()
    };
    let away = |among| Affinity {
        tally: Tally {
            among,
            ..Tally::of_workload("@node")
        },
        away: true,
        hard: true,
    };
    match app {
        2 => t.ports = vec![port(HostPort::Fixed(80), Protocol::Tcp)],
        3 => {
            let any = |protocol| port(HostPort::Dynamic, protocol);
            t.ports = vec![any(Protocol::Both), any(Protocol::Tcp)];
        }
        4 => t.rules.required = vec![vec![Expr::equals("rack", "a")]],
        5 => t.rules.limits = vec![LimitPerKey::of_workload("rack", 2)],
        6 => t.desired = Desired::Held { deadline_ms: 6_000 },
        7 => t.rules.limits = vec![LimitPerKey::of_workload("@node", 1)],
        8 => {
            t.charge.extended = BTreeMap::from([("fpga".into(), 1)]);
            t.rules.preferred = vec![Preference {
                weight: 5,
                all: vec![Expr::equals("rack", "b")],
            }];
        }
        9 => {
            t.rules.spread = vec![Spread {
                tally: Tally::of_workload("rack"),
                max_skew: 1,
                min_domains: 2,
                over: Domains::Eligible,
                hard: true,
            }];
        }
        10 => t.rules.affinity = vec![away(Among::labelled(vec![Expr::equals("app", "web")]))],
        11 => t.ports = vec![port(HostPort::Fixed(80), Protocol::Both)],
        // As large as a node.
        12 => t.charge.cpu_millis = 2_600,
        _ => {}
    }
}
