//! `plenum why node/NAME` and `plenum why tenant/PATH`.

use super::{Lines, named};
use crate::failure::Done;
use crate::output;
use crate::output::text;
use crate::session::Session;
use plenum_client::v1::amounts::Amounts;
use plenum_client::v1::why::{NodeExplanation, TenantExplanation};
use plenum_model::node::{Liveness, Scheduling};
use std::process::ExitCode;

pub(super) async fn node(name: &str, session: &Session<'_>) -> Done {
    let explained = session.client.why_node(name).await?;
    output::one(
        session.global,
        "node-explanation",
        &explained,
        &explained.node.name,
        of_node,
    )?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn tenant(path: &str, session: &Session<'_>) -> Done {
    let explained = session.client.why_tenant(path).await?;
    output::one(
        session.global,
        "tenant-explanation",
        &explained,
        &explained.tenant.path,
        of_tenant,
    )?;
    Ok(ExitCode::SUCCESS)
}

fn of_node(e: &NodeExplanation) -> String {
    let node = &e.node;
    let state = match (node.state, node.scheduling) {
        (Liveness::Unreachable, _) => "unreachable",
        (Liveness::Ready, Scheduling::Cordoned) => "cordoned",
        (Liveness::Ready, Scheduling::Draining) => "draining",
        (Liveness::Ready, Scheduling::Open) => "ready",
    };
    let since = text::age(node.since);
    let mut lines = Lines(format!(
        "{}  {state} {since}   free {}\n",
        node.name,
        text::amounts(&node.free)
    ));
    for (scheduler, held) in &node.held {
        lines.put("held by", &format!("{scheduler}: {}", text::amounts(held)));
    }
    for kept in &e.kept {
        let free = text::amounts(&kept.amounts);
        lines.put(
            "kept for",
            &format!("{}: {free} of it is free", named(&kept.task)),
        );
    }
    let refused: u32 = e.refuses.iter().map(|refused| refused.tasks).sum();
    let causes: Vec<_> = e
        .refuses
        .iter()
        .map(|refused| format!("{} {}", refused.tasks, refused.cause))
        .collect();
    let causes = if causes.is_empty() {
        String::new()
    } else {
        format!(": {}", causes.join(", "))
    };
    lines.put(
        "refuses",
        &format!("{refused} of {} that wait{causes}", e.waiting),
    );
    let first: Vec<_> = e.first.iter().map(named).collect();
    let only = match e.waits_for_it {
        0 => "none of them".to_owned(),
        n => format!("{n} of them can go nowhere else: {}", first.join(", ")),
    };
    lines.put("only here", &only);
    lines.0
}

fn of_tenant(e: &TenantExplanation) -> String {
    let tenant = &e.tenant;
    let standing = if e.within_guarantee {
        "has less than it is guaranteed: goes before all who have not"
    } else if plenum_model::amounts::Amounts::from(e.guarantee.clone()).is_zero() {
        "is guaranteed nothing: goes by its share"
    } else {
        "has all that it is guaranteed: goes by its share"
    };
    let mut lines = Lines(format!("{}  {}   {standing}\n", tenant.path, tasks(tenant.tasks)));
    let mut amounts = |key: &str, amounts: &Amounts| lines.put(key, &text::amounts(amounts));
    amounts("used", &tenant.used);
    amounts("guarantee", &e.guarantee);
    amounts("borrowed", &e.borrowed);
    amounts("unused", &e.unused);
    amounts("limit", &tenant.limit);
    amounts("pending", &tenant.pending);
    let share = format!(
        "{}.{} % of the pool at weight {}",
        e.share_per_mille / 10,
        e.share_per_mille % 10,
        tenant.weight
    );
    lines.put("share", &share);
    if e.waits.is_empty() {
        lines.put("waits", "nothing");
    }
    for waits in &e.waits {
        lines.put(
            "waits",
            &format!(
                "{}: {} (first {})",
                tasks(waits.tasks),
                waits.blocks.text,
                waits.first.name
            ),
        );
    }
    lines.0
}

/// `1 task`, `2 tasks`.
fn tasks(count: u32) -> String {
    format!("{count} {}", if count == 1 { "task" } else { "tasks" })
}
