//! What it costs to find whom to stop: a pool full of borrowers, and somebody who asks for whole nodes of what is its own.

use super::pool::Pace;
use super::workloads::{Asked, Mix};
use super::world::{NODE, World};
use crate::report::{Failed, Peer, Row, Target};
use plenum_broker::input::Input;
use plenum_model::amounts::Amounts;
use plenum_model::rules::Strategy;
use plenum_model::tenant::Tenant;
use std::sync::Arc;

/// Tenants that borrow.
const BORROWERS: u32 = 20;
/// Their tasks on one node.
const ON_A_NODE: u32 = 32;
/// Tasks as large as a node for which others are stopped.
const WHOLE: u32 = 10;
/// The larger pool has so many times the nodes of the smaller one, and at most so many.
const LARGER: (u32, u32) = (10, 10_000);

/// Measures, in pools of at most so many nodes; the rows.
pub(super) fn run(most: u32) -> Result<Vec<Row>, Failed> {
    let many = most.min(LARGER.1);
    let few = (many / LARGER.0).max(WHOLE);
    let (small, large) = (found(few)?, found(many)?);
    Ok(vec![Row {
        target: Some(Target::AtMostOfPeer(3.0)),
        peer: Some(Peer {
            name: format!("{few} nodes"),
            value: small.micros(),
        }),
        ..Row::new(
            format!("{many} nodes of {ON_A_NODE} borrowers: room for a task as large as its node"),
            large.micros(),
            "us",
        )
    }])
}

fn found(nodes: u32) -> Result<Pace, Failed> {
    let mut world = World::new(nodes, super::EXACT)?;
    for n in 0..BORROWERS {
        let mut asked = Asked::new(n, Mix::Plain, Strategy::default(), BORROWERS)?;
        let charge = Amounts::task(NODE.0 / u64::from(ON_A_NODE), super::world::MIB, 0);
        Arc::make_mut(&mut asked.terms).charge = charge;
        let each = (nodes * ON_A_NODE).div_ceil(BORROWERS) as usize;
        let group = asked.claim(&world.scheduler, each);
        world.claim(vec![group])?;
    }
    let mut whole = Asked::new(BORROWERS, Mix::Plain, Strategy::default(), BORROWERS + 1)?;
    let terms = Arc::make_mut(&mut whole.terms);
    terms.charge = Amounts::task(NODE.0, super::world::MIB, 0);
    let guarantee = Amounts {
        slots: u64::from(WHOLE),
        ..Amounts::task(NODE.0 * u64::from(WHOLE), super::world::MIB * u64::from(WHOLE), 0)
    };
    let tenant = Tenant {
        guarantee,
        ..Tenant::new(terms.tenant.clone())
    };
    world.step(Input::SetTenant(tenant, "bench".to_owned()))?;
    let group = whole.claim(&world.scheduler, WHOLE as usize);
    let pace = Pace::of(|| world.claim(vec![group]).map(|()| WHOLE as usize))?;
    let found = world.core.ledger().nominations.iter().count();
    if found != WHOLE as usize {
        let why = format!("room was found for {found} of {WHOLE} tasks");
        return Err(Failed::in_("whom to stop")(why));
    }
    Ok(pace)
}
