//! What agents see of tasks, and how tasks end. A whole task needs `definitions`.

use super::enums::WireEnum;
use crate::malformed::{Malformed, each, id_bytes, maybe, need, task_id};
use crate::proto::model::v1 as wire;
use plenum_model::ids::{Incarnation, Seq};
use plenum_model::phase::{Phase, Progress};
use plenum_model::task::{
    CheckStatus, ContainerEnd, ContainerState, ContainerStatus, Exit, ExitReason, Observation, WaitReason,
};

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
            containers: seen.containers.iter().map(wire::ContainerStatus::from).collect(),
            checks: seen.checks.iter().map(wire::CheckStatus::from).collect(),
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
            containers: each(seen.containers)?,
            checks: seen.checks.into_iter().map(CheckStatus::from).collect(),
        })
    }
}

impl From<&CheckStatus> for wire::CheckStatus {
    fn from(status: &CheckStatus) -> Self {
        Self {
            passes: status.passes,
            failures: status.failures,
            first_success: status.first_success,
            last_success: status.last_success,
            last_failure: status.last_failure,
            cause: status.cause.clone(),
        }
    }
}

impl From<wire::CheckStatus> for CheckStatus {
    fn from(status: wire::CheckStatus) -> Self {
        Self {
            passes: status.passes,
            failures: status.failures,
            first_success: status.first_success,
            last_success: status.last_success,
            last_failure: status.last_failure,
            cause: status.cause,
        }
    }
}

impl From<&ContainerEnd> for wire::ContainerEnd {
    fn from(end: &ContainerEnd) -> Self {
        Self {
            exit: Some((&end.exit).into()),
            started_at: end.started_at,
            ended_at: end.ended_at,
            id: end.id.clone(),
        }
    }
}

impl TryFrom<wire::ContainerEnd> for ContainerEnd {
    type Error = Malformed;
    fn try_from(end: wire::ContainerEnd) -> Result<Self, Malformed> {
        Ok(Self {
            exit: need(end.exit, "container_end.exit")?.try_into()?,
            started_at: end.started_at,
            ended_at: end.ended_at,
            id: end.id,
        })
    }
}

impl From<&ContainerStatus> for wire::ContainerStatus {
    fn from(status: &ContainerStatus) -> Self {
        use wire::container_status::State as S;
        let state = match &status.state {
            ContainerState::Waiting { reason, message } => S::Waiting(wire::Waiting {
                reason: reason.number(),
                message: message.clone(),
            }),
            ContainerState::Running { started_at } => S::RunningSince(*started_at),
            ContainerState::Ended(end) => S::Ended(end.into()),
        };
        Self {
            name: status.name.clone(),
            restarts: status.restarts,
            last: status.last.as_ref().map(wire::ContainerEnd::from),
            ready: status.ready,
            started: status.started,
            id: status.id.clone(),
            image_id: status.image_id.clone(),
            state: Some(state),
        }
    }
}

impl TryFrom<wire::ContainerStatus> for ContainerStatus {
    type Error = Malformed;
    fn try_from(status: wire::ContainerStatus) -> Result<Self, Malformed> {
        use wire::container_status::State as S;
        let state = match need(status.state, "container_status.state")? {
            S::Waiting(waiting) => ContainerState::Waiting {
                reason: WaitReason::from_number(waiting.reason)?,
                message: waiting.message,
            },
            S::RunningSince(started_at) => ContainerState::Running { started_at },
            S::Ended(end) => ContainerState::Ended(end.try_into()?),
        };
        Ok(Self {
            name: status.name,
            state,
            restarts: status.restarts,
            last: maybe(status.last)?,
            ready: status.ready,
            started: status.started,
            id: status.id,
            image_id: status.image_id,
        })
    }
}
