//! The nouns that facts and the snapshot have in common, as they are written down.

use super::messages::{DesiredMsg, SeatMsg};
use super::{BadRecord, from_json_opt, join, json_opt, malformed, split, unpack};
use plenum_model::claim::{Desired, Pin, Seat};
use plenum_model::node::{Liveness, Scheduling};
use plenum_model::phase::Phase;

/// A phase as its number.
pub(crate) fn phase_number(phase: Phase) -> u32 {
    match phase {
        Phase::Pending => 1,
        Phase::Placed => 2,
        Phase::Preparing => 3,
        Phase::Prepared => 4,
        Phase::Starting => 5,
        Phase::Running => 6,
        Phase::Stopping => 7,
        Phase::Finished => 8,
        Phase::Failed => 9,
        Phase::Stopped => 10,
        Phase::Lost => 11,
        Phase::Rejected => 12,
    }
}

/// The reverse of `phase_number`.
pub(crate) fn phase(number: u32) -> Result<Phase, BadRecord> {
    let found = Phase::ALL.into_iter().find(|p| phase_number(*p) == number);
    found.ok_or_else(|| malformed(format!("phase {number} is not known")))
}

/// What shall be true, as a message.
pub(crate) fn desired_msg(desired: Desired) -> DesiredMsg {
    let (kind, deadline_ms) = match desired {
        Desired::Held { deadline_ms } => (1, deadline_ms),
        Desired::Running => (2, 0),
        Desired::Stopped => (3, 0),
    };
    DesiredMsg { kind, deadline_ms }
}

/// The reverse of `desired_msg`.
pub(crate) fn desired(msg: Option<DesiredMsg>) -> Result<Desired, BadRecord> {
    let msg = msg.unwrap_or_default();
    match msg.kind {
        1 => Ok(Desired::Held {
            deadline_ms: msg.deadline_ms,
        }),
        2 => Ok(Desired::Running),
        3 => Ok(Desired::Stopped),
        n => Err(malformed(format!("desired state {n} is not known"))),
    }
}

/// A seat, as a message.
pub(crate) fn seat_msg(seat: &Seat) -> SeatMsg {
    let (hi, lo) = split(seat.id);
    let replaces = seat.replaces.map(|id| id.0.to_vec()).unwrap_or_default();
    SeatMsg {
        hi,
        lo,
        name: seat.name.clone(),
        slot: seat.slot,
        replaces,
        pin: json_opt(seat.pin.as_ref()),
    }
}

/// The reverse of `seat_msg`.
pub(crate) fn seat(msg: SeatMsg) -> Result<Seat, BadRecord> {
    let pin: Option<Pin> = from_json_opt(&msg.pin)?;
    let replaces = unpack(&msg.replaces)?.pop();
    Ok(Seat {
        id: join(msg.hi, msg.lo),
        name: msg.name,
        slot: msg.slot,
        replaces,
        pin,
    })
}

pub(crate) fn scheduling_number(to: Scheduling) -> u32 {
    match to {
        Scheduling::Open => 1,
        Scheduling::Cordoned => 2,
        Scheduling::Draining => 3,
    }
}

pub(crate) fn liveness_number(to: Liveness) -> u32 {
    match to {
        Liveness::Ready => 1,
        Liveness::Unreachable => 2,
    }
}

/// Ports from their numbers.
pub(crate) fn ports(numbers: &[u32]) -> Result<Vec<u16>, BadRecord> {
    numbers
        .iter()
        .map(|p| u16::try_from(*p).map_err(malformed))
        .collect()
}

pub(crate) fn scheduling(number: u32) -> Result<Scheduling, BadRecord> {
    [Scheduling::Open, Scheduling::Cordoned, Scheduling::Draining]
        .into_iter()
        .find(|s| scheduling_number(*s) == number)
        .ok_or_else(|| malformed(format!("scheduling {number} is not known")))
}

pub(crate) fn liveness(number: u32) -> Result<Liveness, BadRecord> {
    [Liveness::Ready, Liveness::Unreachable]
        .into_iter()
        .find(|l| liveness_number(*l) == number)
        .ok_or_else(|| malformed(format!("liveness {number} is not known")))
}
