//! Why something waits.

use super::{node, problem, task, tenant};
use plenum_client::v1::why as shown;
use plenum_client::v1::why::{
    CauseCount, Explanation as Shown, Holder, LimitReached, NodeVerdict, Why as ShownWhy,
};
use plenum_contract::pool::{Ahead, Explanation, NodeExplanation, TenantExplanation};
use plenum_model::task::Task;
use plenum_model::why::{Block, Other, Why};

pub(crate) fn why(w: &Why) -> ShownWhy {
    ShownWhy {
        text: w.to_string(),
        nodes: w.nodes,
        by: w
            .by
            .iter()
            .map(|(cause, n)| CauseCount {
                cause: cause.to_string(),
                nodes: *n,
            })
            .collect(),
        limit: w.limit.as_ref().map(|l| LimitReached {
            tenant: l.tenant.to_string(),
            resource: l.resource.to_string(),
            limit: l.limit,
            used: l.used,
        }),
    }
}

pub(crate) fn explanation(e: &Explanation) -> Shown {
    Shown {
        verdict: verdict(&e.task, e.why.as_ref()),
        task: task::task(&e.task),
        why: e.why.as_ref().map(why),
        blocks: e.block.as_ref().map(blocks),
        nodes: e
            .nodes
            .iter()
            .map(|n| NodeVerdict {
                node: n.node.to_string(),
                cause: n.cause.as_ref().map(ToString::to_string),
                detail: n.detail.clone(),
            })
            .collect(),
        ahead: ahead(&e.ahead),
        holders: e
            .holders
            .iter()
            .map(|(s, held)| Holder {
                scheduler: s.to_string(),
                held: held.into(),
            })
            .collect(),
        fix: e.fix.as_ref().map(ToString::to_string),
        change: e.fix.clone(),
    }
}

pub(super) fn blocks(block: &Block) -> shown::Blocks {
    let kind = match block {
        Block::Limit(_) => "limit",
        Block::Gang(..) => "gang",
        Block::Seat(_) => "seat",
        Block::NoNodes => "no_nodes",
        Block::Kept { .. } => "kept",
        Block::Turn { .. } => "turn",
        Block::Nodes(_) => "nodes",
    };
    shown::Blocks {
        kind: kind.to_owned(),
        text: block.to_string(),
    }
}

fn ahead(ahead: &Ahead) -> shown::Ahead {
    shown::Ahead {
        tasks: ahead.tasks,
        first: ahead.first.iter().map(other).collect(),
        because: ahead.because.map(|because| because.to_string()),
    }
}

pub(super) fn other(other: &Other) -> shown::Other {
    shown::Other {
        id: other.task.to_string(),
        name: other.name.clone(),
        tenant: other.tenant.to_string(),
    }
}

pub(crate) fn of_node(e: &NodeExplanation) -> shown::NodeExplanation {
    let refuses = e.refuses.iter().map(|(cause, tasks)| shown::TaskCount {
        cause: cause.to_string(),
        tasks: *tasks,
    });
    let kept = e.kept.iter().map(|(task, amounts)| shown::KeptRoom {
        task: other(task),
        amounts: amounts.into(),
    });
    shown::NodeExplanation {
        node: node::node(&e.node),
        waiting: e.waiting,
        refuses: refuses.collect(),
        kept: kept.collect(),
        waits_for_it: e.waits_for_it,
        first: e.first.iter().map(other).collect(),
    }
}

pub(crate) fn of_tenant(e: &TenantExplanation) -> shown::TenantExplanation {
    let waits = e.waits.iter().map(|waits| shown::WaitsFor {
        blocks: blocks(&waits.block),
        tasks: waits.tasks,
        first: other(&waits.first),
    });
    shown::TenantExplanation {
        tenant: tenant::tenant(&e.usage),
        guarantee: (&e.guarantee).into(),
        borrowed: (&e.borrowed).into(),
        unused: (&e.unused).into(),
        share_per_mille: e.share_per_mille,
        within_guarantee: e.within_guarantee,
        waits: waits.collect(),
    }
}

fn verdict(t: &Task, why: Option<&Why>) -> String {
    let phase = t.status.phase();
    let what = why
        .map(ToString::to_string)
        .or_else(|| problem::of(t))
        .or_else(|| {
            let node = t.status.node.as_ref()?;
            Some(
                format!("on {node}{}", if t.status.message.is_empty() { "" } else { ": " })
                    + &t.status.message,
            )
        });
    match what {
        Some(what) => format!("{phase}: {what}"),
        None => phase.to_string(),
    }
}
