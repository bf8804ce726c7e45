//! Why something waits.

use super::{problem, task};
use plenum_client::v1::why::{
    CauseCount, Explanation as Shown, Holder, LimitReached, NodeVerdict, Why as ShownWhy,
};
use plenum_contract::pool::Explanation;
use plenum_model::task::Task;
use plenum_model::why::Why;

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
        nodes: e
            .nodes
            .iter()
            .map(|n| NodeVerdict {
                node: n.node.to_string(),
                cause: n.cause.as_ref().map(ToString::to_string),
                detail: n.detail.clone(),
            })
            .collect(),
        ahead: e.ahead,
        holders: e
            .holders
            .iter()
            .map(|(s, held)| Holder {
                scheduler: s.to_string(),
                held: held.into(),
            })
            .collect(),
        fix: e.fix.clone(),
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
