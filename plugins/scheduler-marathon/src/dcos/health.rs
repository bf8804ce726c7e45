//! The health of the parts on a machine.

use super::front::Front;
use super::refused::{by_pool, not_found};
use crate::door::reply::{Answer, ok};
use axum::extract::{Path, State};
use plenum_model::node::Liveness;
use serde::Serialize;
use std::sync::Arc;

#[derive(Serialize)]
struct Units {
    units: Vec<Unit>,
}

#[derive(Serialize)]
struct Unit {
    id: &'static str,
    name: &'static str,
    description: &'static str,
    /// 0: healthy.
    health: u8,
    output: &'static str,
}

/// `GET /system/health/v1/nodes/ADDRESS/units`
pub(super) async fn units(State(front): State<Arc<Front>>, Path(address): Path<String>) -> Answer {
    let mut units = Vec::new();
    if address == front.ip() {
        units.push(Unit {
            id: "plenum-scheduler.service",
            name: "Marathon door",
            description: "Takes what users want and has the pool run it",
            health: 0,
            output: "",
        });
    }
    let nodes = front.pool.nodes().await.map_err(by_pool)?;
    let here = nodes.iter().filter(|n| n.facts.address == address);
    units.extend(here.map(|node| match node.liveness {
        Liveness::Ready => agent(0, ""),
        Liveness::Unreachable => agent(1, "the agent is not heard of"),
    }));
    if units.is_empty() {
        return Err(not_found(format!("there is no node at {address}")));
    }
    ok(&Units { units })
}

fn agent(health: u8, output: &'static str) -> Unit {
    Unit {
        id: "plenum-agent.service",
        name: "Agent",
        description: "Starts and watches the tasks of the node",
        health,
        output,
    }
}
