//! Tasks.

use super::time::millis;
use super::{problem, why};
use plenum_client::v1::task::{Exit, Port, Task as Shown, WorkloadRef};
use plenum_model::claim::{Desired, HostPort, Protocol};
use plenum_model::task::{self, ExitReason, Task};

pub(crate) fn task(t: &Task) -> Shown {
    let (terms, status) = (&t.terms, &t.status);
    Shown {
        id: t.id().to_string(),
        name: t.seat.name.clone(),
        scheduler: t.scheduler.to_string(),
        workload: WorkloadRef {
            uid: terms.workload.uid.clone(),
            name: terms.workload.name.clone(),
            kind: terms.workload.kind.clone(),
            version: terms.workload.version.clone(),
        },
        slot: t.seat.slot,
        tenant: terms.tenant.to_string(),
        state: status.phase(),
        desired: desired(t.desired).to_owned(),
        released: t.released,
        ready: status.ready,
        unreachable: status.unreachable,
        node: status.node.as_ref().map(ToString::to_string),
        address: status.address.clone(),
        ports: ports(t),
        charge: (&terms.charge).into(),
        labels: terms.labels.clone(),
        priority: terms.priority.value,
        restarts: t.restarts(),
        generation: t.generation.0,
        spec: terms.spec.to_string(),
        problem: problem::of(t),
        why: status.why.as_ref().map(why::why),
        exit: status.exit.as_ref().map(exit),
        message: Some(status.message.clone()).filter(|m| !m.is_empty()),
        claimed_at: millis(status.claimed_at),
        placed_at: status.placed_at.map(millis),
        started_at: status.started_at.map(millis),
        ended_at: status.ended_at.map(millis),
    }
}

fn desired(desired: Desired) -> &'static str {
    match desired {
        Desired::Held { .. } => "held",
        Desired::Running => "running",
        Desired::Stopped => "stopped",
    }
}

/// The ports that have been given to it; before it is placed only those that were asked for by number.
fn ports(t: &Task) -> Vec<Port> {
    let given = |i: usize, asked: HostPort| match asked {
        HostPort::Fixed(port) => Some(port),
        HostPort::Dynamic => t.status.ports.get(i).copied(),
    };
    let asks = t.terms.ports.iter().enumerate();
    asks.filter_map(|(i, ask)| {
        let host_port = given(i, ask.host)?;
        Some(Port {
            name: ask.name.clone(),
            protocol: match ask.protocol {
                Protocol::Tcp => "tcp",
                Protocol::Udp => "udp",
                Protocol::Both => "both",
            }
            .to_owned(),
            host_port,
            container_port: ask.container.unwrap_or(host_port),
        })
    })
    .collect()
}

fn exit(e: &task::Exit) -> Exit {
    Exit {
        code: e.code,
        signal: e.signal,
        reason: reason(e.reason).to_owned(),
        message: e.message.clone(),
    }
}

pub(super) fn reason(reason: ExitReason) -> &'static str {
    match reason {
        ExitReason::Exited => "exited",
        ExitReason::Asked => "asked",
        ExitReason::OutOfMemory => "out_of_memory",
        ExitReason::Image => "image",
        ExitReason::Command => "command",
        ExitReason::Port => "port",
        ExitReason::Setup => "setup",
        ExitReason::Runtime => "runtime",
        ExitReason::Unhealthy => "unhealthy",
        ExitReason::Gone => "gone",
        ExitReason::NodeLost => "node_lost",
        ExitReason::HeldTooLong => "held_too_long",
        ExitReason::Preempted => "preempted",
    }
}
