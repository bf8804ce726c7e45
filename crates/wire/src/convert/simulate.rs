//! What is supposed, and what would be different.

use super::enums::WireEnum;
use crate::malformed::{Malformed, maybe, name, need, required};
use crate::proto::api::v1 as wire;
use plenum_contract::pool::{ShareChange, Simulation, Suppose};
use plenum_model::ids::NodeId;
use plenum_model::task::ExitReason;
use plenum_model::why::{Block, Other};

impl From<&Suppose> for wire::Suppose {
    fn from(suppose: &Suppose) -> Self {
        use wire::suppose::Suppose as S;
        let suppose = match suppose {
            Suppose::LoseNode(node) => S::LoseNode(node.to_string()),
            Suppose::SetTenant(tenant) => S::SetTenant(tenant.into()),
            Suppose::Claim { terms, spec, count } => S::Claim(wire::SupposedClaim {
                terms: Some(terms.as_ref().into()),
                spec: Some(spec.as_ref().into()),
                count: *count,
            }),
        };
        Self {
            suppose: Some(suppose),
        }
    }
}

impl TryFrom<wire::Suppose> for Suppose {
    type Error = Malformed;
    fn try_from(suppose: wire::Suppose) -> Result<Self, Malformed> {
        use wire::suppose::Suppose as S;
        Ok(match need(suppose.suppose, "suppose")? {
            S::LoseNode(node) => Self::LoseNode(name(&node, "suppose.lose_node")?),
            S::SetTenant(tenant) => Self::SetTenant(tenant.try_into()?),
            S::Claim(claim) => Self::Claim {
                terms: Box::new(required(claim.terms, "suppose.terms")?),
                spec: Box::new(required(claim.spec, "suppose.spec")?),
                count: claim.count,
            },
        })
    }
}

impl From<&Simulation> for wire::SimulateResponse {
    fn from(s: &Simulation) -> Self {
        let placed = |(task, node): &(Other, NodeId)| wire::Placed {
            task: Some(task.into()),
            node: node.to_string(),
        };
        let waits = |(task, block): &(Other, Option<Block>)| wire::Waits {
            task: Some(task.into()),
            block: block.as_ref().map(Into::into),
        };
        let ended = |(task, node, reason): &(Other, NodeId, ExitReason)| wire::Ended {
            task: Some(task.into()),
            node: node.to_string(),
            reason: reason.number(),
        };
        let share = |change: &ShareChange| wire::ShareChange {
            tenant: change.tenant.to_string(),
            before: change.before,
            after: change.after,
        };
        Self {
            placed: s.placed.iter().map(placed).collect(),
            waits: s.waits.iter().map(waits).collect(),
            ended: s.ended.iter().map(ended).collect(),
            shares: s.shares.iter().map(share).collect(),
            waiting: s.waiting,
        }
    }
}

impl TryFrom<wire::SimulateResponse> for Simulation {
    type Error = Malformed;
    fn try_from(s: wire::SimulateResponse) -> Result<Self, Malformed> {
        let placed = |p: wire::Placed| Ok((required(p.task, "placed.task")?, name(&p.node, "placed.node")?));
        let waits = |w: wire::Waits| Ok((required(w.task, "waits.task")?, maybe(w.block)?));
        let ended = |e: wire::Ended| {
            let reason = ExitReason::from_number(e.reason)?;
            Ok((
                required(e.task, "ended.task")?,
                name(&e.node, "ended.node")?,
                reason,
            ))
        };
        let share = |change: wire::ShareChange| {
            Ok(ShareChange {
                tenant: name(&change.tenant, "shares.tenant")?,
                before: change.before,
                after: change.after,
            })
        };
        Ok(Self {
            placed: s
                .placed
                .into_iter()
                .map(placed)
                .collect::<Result<_, Malformed>>()?,
            waits: s.waits.into_iter().map(waits).collect::<Result<_, Malformed>>()?,
            ended: s.ended.into_iter().map(ended).collect::<Result<_, Malformed>>()?,
            shares: s
                .shares
                .into_iter()
                .map(share)
                .collect::<Result<_, Malformed>>()?,
            waiting: s.waiting,
        })
    }
}
