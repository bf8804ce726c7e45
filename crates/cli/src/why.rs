//! `plenum why`: what keeps a task from running and what would help; what a node refuses; where a tenant stands.

mod places;

use crate::failure::Done;
use crate::output;
use crate::output::text;
use crate::session::Session;
use clap::Args;
use plenum_client::v1::amounts::Amounts as Shown;
use plenum_client::v1::tenant::Tenant;
use plenum_client::v1::why::{Ahead, Explanation, Other, Why};
use plenum_model::amounts::Amounts;
use std::fmt::Write as _;
use std::process::ExitCode;

/// What is to be explained.
#[derive(Debug, Args)]
pub struct WhyArgs {
    /// A task's name or id, the start of one, or the name of a workload; `node/NAME` or `tenant/PATH`
    pub name: String,
    /// What one node says
    #[arg(long)]
    pub node: Option<String>,
}

pub(crate) async fn run(args: &WhyArgs, session: &Session<'_>) -> Done {
    if let Some(node) = args.name.strip_prefix("node/") {
        return places::node(node, session).await;
    }
    if let Some(tenant) = args.name.strip_prefix("tenant/") {
        return places::tenant(tenant, session).await;
    }
    let mut explanation = session.client.why(&args.name).await?;
    if let Some(node) = &args.node {
        explanation.nodes.retain(|n| n.node == *node);
    }
    // Whoever may not see the tenant sees the task all the same.
    let tenant = session.client.tenant(&explanation.task.tenant).await.ok();
    let each = args.node.is_some();
    output::one(
        session.global,
        "explanation",
        &explanation,
        &explanation.task.id,
        |e| describe(e, tenant.as_ref(), each),
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Nodes that are listed one by one without being asked for.
const FEW: usize = 5;
/// Behind what blocks.
const BLOCKS: &str = "    <- blocks";

/// Lines with a key in front.
struct Lines(String);

impl Lines {
    fn put(&mut self, key: &str, value: &str) {
        // Writing to a string cannot fail.
        let _written = writeln!(self.0, "  {key:<11}{value}");
    }
}

fn describe(e: &Explanation, tenant: Option<&Tenant>, each_node: bool) -> String {
    let task = &e.task;
    let mut lines = Lines(format!(
        "{}  {} {}   wants {}   tenant {}{}\n",
        task.name,
        task.state,
        text::age(task.started_at.unwrap_or(task.claimed_at)),
        text::amounts(&task.charge),
        task.tenant,
        tenant.map(standing).unwrap_or_default()
    ));
    let Some(why) = &e.why else {
        lines.put("verdict", &e.verdict);
        return lines.0;
    };
    let kind = e.blocks.as_ref().map_or("", |blocks| blocks.kind.as_str());
    lines.put("limit", &limit(why));
    if let Some(blocks) = e
        .blocks
        .as_ref()
        .filter(|_| matches!(kind, "gang" | "seat" | "kept"))
    {
        lines.put(kind, &format!("{}{BLOCKS}", blocks.text));
    }
    if !each_node {
        let blocks = if matches!(kind, "nodes" | "no_nodes") {
            BLOCKS
        } else {
            ""
        };
        lines.put("nodes", &format!("{}{blocks}", nodes(e, why)));
    }
    if each_node || e.nodes.len() <= FEW {
        for n in &e.nodes {
            let cause = n.cause.as_deref().unwrap_or("could hold it now");
            let detail = if n.detail.is_empty() {
                String::new()
            } else {
                format!(" ({})", n.detail)
            };
            lines.put("", &format!("{}: {cause}{detail}", n.node));
        }
    }
    for holder in &e.holders {
        let held = format!("{}: {}", holder.scheduler, text::amounts(&holder.held));
        lines.put("held by", &held);
    }
    let blocks = if kind == "turn" { BLOCKS } else { "" };
    lines.put("ahead", &format!("{}{blocks}", ahead(&e.ahead)));
    if let Some(fix) = &e.fix {
        lines.put("would fix", fix);
    }
    lines.0
}

/// `(guarantee 2 cpu, using 6 cpu, borrowing 4 cpu)`; nothing for a tenant without a guarantee.
fn standing(tenant: &Tenant) -> String {
    let guarantee = Amounts::from(tenant.guarantee.clone());
    if guarantee.is_zero() {
        return String::new();
    }
    let used = Amounts::from(tenant.used.clone());
    let shown = |amounts: &Amounts| text::amounts(&Shown::from(amounts));
    format!(
        " (guarantee {}, using {}, borrowing {})",
        shown(&guarantee),
        shown(&used),
        shown(&used.saturating_sub(&guarantee))
    )
}

fn limit(why: &Why) -> String {
    match &why.limit {
        Some(l) => format!(
            "tenant {} reached its {} limit ({} of {}){BLOCKS}",
            l.tenant,
            l.resource,
            text::quantity(&l.resource, l.used),
            text::quantity(&l.resource, l.limit)
        ),
        None => "none is reached".to_owned(),
    }
}

fn nodes(e: &Explanation, why: &Why) -> String {
    let free = e.nodes.iter().filter(|n| n.cause.is_none()).count();
    let causes: Vec<_> = why
        .by
        .iter()
        .map(|c| format!("{} {}", c.nodes, c.cause))
        .collect();
    let causes = if causes.is_empty() {
        String::new()
    } else {
        format!(": {}", causes.join(", "))
    };
    format!("{free} of {} could hold it now{causes}", why.nodes)
}

fn ahead(ahead: &Ahead) -> String {
    let (Some(first), Some(because)) = (ahead.first.first(), &ahead.because) else {
        return "nothing".to_owned();
    };
    let tasks = if ahead.tasks == 1 { "task" } else { "tasks" };
    format!("{} {tasks}, first {}: {because}", ahead.tasks, named(first))
}

fn named(other: &Other) -> String {
    format!("{} of tenant {}", other.name, other.tenant)
}
