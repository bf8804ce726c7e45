//! Explanations: of a task, a node, a tenant.

use super::amounts::or_nothing;
use super::definitions::{Incoming, Outgoing};
use super::enums::WireEnum;
use crate::malformed::{Malformed, each, maybe, name, need, required};
use crate::proto::api::v1 as wire;
use plenum_contract::pool::{Ahead, Explanation, NodeExplanation, TenantExplanation, WaitsFor};
use plenum_model::amounts::Amounts;
use plenum_model::ids::SchedulerId;
use plenum_model::why::{Because, Cause, Other};
use std::sync::Arc;

/// Why a task waits, in full.
pub(crate) fn explanation(explanation: &Explanation) -> wire::WhyResponse {
    let holder = |(scheduler, holds): &(SchedulerId, Amounts)| wire::Holder {
        scheduler: scheduler.as_str().to_owned(),
        holds: Some(holds.into()),
    };
    let (definitions, task) = Outgoing::default().message(|out| out.task(&explanation.task));
    wire::WhyResponse {
        definitions,
        task: Some(task),
        why: explanation.why.as_ref().map(Into::into),
        nodes: explanation.nodes.iter().map(Into::into).collect(),
        ahead: Some((&explanation.ahead).into()),
        holders: explanation.holders.iter().map(holder).collect(),
        fix: explanation.fix.as_ref().map(Into::into),
        block: explanation.block.as_ref().map(Into::into),
    }
}

/// Why a task waits, in full.
pub(crate) fn read_explanation(why: wire::WhyResponse) -> Result<Explanation, Malformed> {
    let mut incoming = Incoming::default();
    incoming.learn(why.definitions)?;
    let holder = |holder: wire::Holder| {
        Ok((
            name(&holder.scheduler, "holder.scheduler")?,
            or_nothing(holder.holds),
        ))
    };
    Ok(Explanation {
        task: Arc::new(incoming.task(need(why.task, "task")?)?),
        why: maybe(why.why)?,
        block: maybe(why.block)?,
        nodes: each(why.nodes)?,
        ahead: maybe(why.ahead)?.unwrap_or_default(),
        holders: why
            .holders
            .into_iter()
            .map(holder)
            .collect::<Result<_, Malformed>>()?,
        fix: maybe(why.fix)?,
    })
}

impl From<&Ahead> for wire::Ahead {
    fn from(ahead: &Ahead) -> Self {
        Self {
            tasks: ahead.tasks,
            first: ahead.first.iter().map(Into::into).collect(),
            because: ahead.because.map_or(0, Because::number),
        }
    }
}

impl TryFrom<wire::Ahead> for Ahead {
    type Error = Malformed;
    fn try_from(ahead: wire::Ahead) -> Result<Self, Malformed> {
        let because = Some(ahead.because).filter(|number| *number != 0);
        Ok(Self {
            tasks: ahead.tasks,
            first: each(ahead.first)?,
            because: because.map(Because::from_number).transpose()?,
        })
    }
}

impl From<&NodeExplanation> for wire::WhyNodeResponse {
    fn from(e: &NodeExplanation) -> Self {
        let count = |(cause, tasks): &(Cause, u32)| wire::TaskCount {
            cause: Some(cause.into()),
            tasks: *tasks,
        };
        let kept = |(task, amounts): &(Other, Amounts)| wire::KeptRoom {
            task: Some(task.into()),
            amounts: Some(amounts.into()),
        };
        Self {
            node: Some(e.node.as_ref().into()),
            waiting: e.waiting,
            refuses: e.refuses.iter().map(count).collect(),
            kept: e.kept.iter().map(kept).collect(),
            waits_for_it: e.waits_for_it,
            first: e.first.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<wire::WhyNodeResponse> for NodeExplanation {
    type Error = Malformed;
    fn try_from(e: wire::WhyNodeResponse) -> Result<Self, Malformed> {
        let count = |c: wire::TaskCount| Ok((required(c.cause, "refuses.cause")?, c.tasks));
        let kept = |k: wire::KeptRoom| Ok((required(k.task, "kept.task")?, or_nothing(k.amounts)));
        Ok(Self {
            node: Arc::new(required(e.node, "node")?),
            waiting: e.waiting,
            refuses: e
                .refuses
                .into_iter()
                .map(count)
                .collect::<Result<_, Malformed>>()?,
            kept: e.kept.into_iter().map(kept).collect::<Result<_, Malformed>>()?,
            waits_for_it: e.waits_for_it,
            first: each(e.first)?,
        })
    }
}

impl From<&TenantExplanation> for wire::WhyTenantResponse {
    fn from(e: &TenantExplanation) -> Self {
        let waits = |w: &WaitsFor| wire::WaitsFor {
            block: Some((&w.block).into()),
            tasks: w.tasks,
            first: Some((&w.first).into()),
        };
        Self {
            usage: Some((&e.usage).into()),
            guarantee: Some((&e.guarantee).into()),
            borrowed: Some((&e.borrowed).into()),
            unused: Some((&e.unused).into()),
            share_per_mille: e.share_per_mille,
            within_guarantee: e.within_guarantee,
            waits: e.waits.iter().map(waits).collect(),
        }
    }
}

impl TryFrom<wire::WhyTenantResponse> for TenantExplanation {
    type Error = Malformed;
    fn try_from(e: wire::WhyTenantResponse) -> Result<Self, Malformed> {
        let waits = |w: wire::WaitsFor| {
            Ok(WaitsFor {
                block: required(w.block, "waits.block")?,
                tasks: w.tasks,
                first: required(w.first, "waits.first")?,
            })
        };
        Ok(Self {
            usage: required(e.usage, "usage")?,
            guarantee: or_nothing(e.guarantee),
            borrowed: or_nothing(e.borrowed),
            unused: or_nothing(e.unused),
            share_per_mille: e.share_per_mille,
            within_guarantee: e.within_guarantee,
            waits: e.waits.into_iter().map(waits).collect::<Result<_, Malformed>>()?,
        })
    }
}
