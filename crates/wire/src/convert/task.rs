//! What agents see of tasks, and how tasks end. A whole task needs `definitions`.

use super::enums::WireEnum;
use crate::malformed::{Malformed, id_bytes, maybe, task_id};
use crate::proto::model::v1 as wire;
use plenum_model::ids::{Incarnation, Seq};
use plenum_model::phase::{Phase, Progress};
use plenum_model::task::{Exit, ExitReason, Observation};

impl From<&Exit> for wire::Exit {
    fn from(exit: &Exit) -> Self {
        Self {
            code: exit.code,
            signal: exit.signal,
            reason: exit.reason.number(),
            message: exit.message.clone(),
        }
    }
}

impl TryFrom<wire::Exit> for Exit {
    type Error = Malformed;
    fn try_from(exit: wire::Exit) -> Result<Self, Malformed> {
        Ok(Self {
            code: exit.code,
            signal: exit.signal,
            reason: ExitReason::from_number(exit.reason)?,
            message: exit.message,
        })
    }
}

/// Incarnation and phase from their two fields.
pub(super) fn progress(incarnation: u32, phase: i32) -> Result<Progress, Malformed> {
    Ok(Progress {
        incarnation: Incarnation(incarnation),
        phase: Phase::from_number(phase)?,
    })
}

impl From<&Observation> for wire::Observation {
    fn from(seen: &Observation) -> Self {
        Self {
            task: id_bytes(&seen.task),
            seq: seen.seq.0,
            incarnation: seen.progress.incarnation.0,
            phase: seen.progress.phase.number(),
            ready: seen.ready,
            address: seen.address.clone(),
            exit: seen.exit.as_ref().map(wire::Exit::from),
            message: seen.message.clone(),
            at: seen.at,
        }
    }
}

impl TryFrom<wire::Observation> for Observation {
    type Error = Malformed;
    fn try_from(seen: wire::Observation) -> Result<Self, Malformed> {
        Ok(Self {
            task: task_id(&seen.task, "observation.task")?,
            seq: Seq(seen.seq),
            progress: progress(seen.incarnation, seen.phase)?,
            ready: seen.ready,
            address: seen.address,
            exit: maybe(seen.exit)?,
            message: seen.message,
            at: seen.at,
        })
    }
}
