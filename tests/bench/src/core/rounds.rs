//! Fair sharing among many tenants: one turn of each of them, and what one more task costs while all of them wait.

use super::pool::Pace;
use super::workloads::{Asked, Mix};
use super::world::{NODE, World};
use crate::report::{Failed, Peer, Row, Target};
use plenum_model::claim::ClaimGroup;
use plenum_model::ids::TaskId;
use plenum_model::rules::Strategy;
use std::sync::Arc;

const TENANTS: u32 = 2_000;
/// The pool of the full round.
const NODES: u32 = 20_000;
/// That of the steady state: every node is looked at to say why somebody waits.
const FULL_NODES: u32 = 1_000;
/// Tasks that end in the steady state; twice as many wait.
const ENDS: u64 = 1_000;
/// Tasks of the steady state on one node.
const ON_A_NODE: u64 = 4;

/// Measures, in pools of at most so many nodes; the rows.
pub(super) fn run(most: u32) -> Result<Vec<Row>, Failed> {
    let round = full_round(most.min(NODES))?;
    let few = while_waiting(most.min(FULL_NODES), TENANTS / 100)?;
    let many = while_waiting(most.min(FULL_NODES), TENANTS)?;
    Ok(vec![
        Row {
            target: Some(Target::AtMost(20.0)),
            ..Row::new(
                format!("{} nodes: a turn of each of {TENANTS} tenants", most.min(NODES)),
                round.millis(),
                "ms",
            )
        },
        Row {
            target: Some(Target::AtMostOfPeer(3.0)),
            peer: Some(Peer {
                name: format!("{} tenants", TENANTS / 100),
                value: few.micros(),
            }),
            ..Row::new(
                format!("{TENANTS} tenants wait: one task ends, another is placed"),
                many.micros(),
                "us",
            )
        },
    ])
}

/// A workload of each tenant.
fn workloads(tenants: u32, strategy: Strategy) -> Result<Vec<Asked>, Failed> {
    (0..tenants)
        .map(|n| Asked::new(n, Mix::Plain, strategy, tenants))
        .collect()
}

fn claims(world: &World, asked: &mut [Asked], of_each: impl Fn(usize) -> usize) -> Vec<ClaimGroup> {
    let groups = asked.iter_mut().enumerate();
    let groups = groups.map(|(n, asked)| asked.claim(&world.scheduler, of_each(n)));
    groups.filter(|group| !group.seats.is_empty()).collect()
}

/// All tenants ask at once for one task each; their shares differ, so their order has to be found.
fn full_round(nodes: u32) -> Result<Pace, Failed> {
    let mut world = World::new(nodes, super::EXACT)?;
    let mut asked = workloads(TENANTS, Strategy::default())?;
    let groups = claims(&world, &mut asked, |n| 1 + n % 7);
    world.claim(groups)?;
    let groups = claims(&world, &mut asked, |_| 1);
    let round = Pace::of(|| world.claim(groups).map(|()| asked.len()))?;
    let waiting = world.core.counts().pending;
    if waiting > 0 {
        return Err(Failed::in_("a round")(format!("{waiting} tasks found no room")));
    }
    Ok(round)
}

/// A full pool in which so many tenants wait: tasks end one by one, and each time the neediest is next.
fn while_waiting(nodes: u32, tenants: u32) -> Result<Pace, Failed> {
    let mut world = World::new(nodes, super::EXACT)?;
    let mut asked = workloads(tenants, Strategy::default())?;
    for asked in &mut asked {
        Arc::make_mut(&mut asked.terms).charge.cpu_millis = NODE.0 / ON_A_NODE;
    }
    let room = u64::from(nodes) * ON_A_NODE;
    let more = room + 2 * ENDS;
    let of_each = usize::try_from(more.div_ceil(u64::from(tenants))).unwrap_or(1);
    let groups = claims(&world, &mut asked, |_| of_each);
    let ids: Vec<TaskId> = groups.iter().flat_map(|g| &g.seats).map(|seat| seat.id).collect();
    world.claim(groups)?;
    let placed = |world: &World, id: &TaskId| {
        let row = world.core.ledger().tasks.get(*id);
        row.is_some_and(|row| row.node.is_some())
    };
    let mut ends: Vec<_> = ids.into_iter().filter(|id| placed(&world, id)).collect();
    let waited = world.core.counts().pending;
    ends.truncate(usize::try_from(ENDS).unwrap_or(0));
    let pace = Pace::of(|| {
        for id in &ends {
            world.end(&[*id])?;
        }
        Ok(ends.len())
    })?;
    let waits = world.core.counts().pending;
    if waits + ends.len() != waited {
        let why = format!(
            "{} tasks ended, and {waited} waiting ones became {waits}",
            ends.len()
        );
        return Err(Failed::in_("a full pool")(why));
    }
    Ok(pace)
}
