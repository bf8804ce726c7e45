//! `plenum why`: what keeps a task from running, and what would help.

use crate::failure::Done;
use crate::output;
use crate::output::text;
use crate::session::Session;
use clap::Args;
use plenum_client::v1::why::Explanation;
use std::fmt::Write as _;
use std::process::ExitCode;

/// What is to be explained.
#[derive(Debug, Args)]
pub struct WhyArgs {
    /// A task's name or id, the start of one, or the name of a workload
    pub name: String,
    /// What one node says
    #[arg(long)]
    pub node: Option<String>,
}

pub(crate) async fn run(args: &WhyArgs, session: &Session<'_>) -> Done {
    let mut explanation = session.client.why(&args.name).await?;
    if let Some(node) = &args.node {
        explanation.nodes.retain(|n| n.node == *node);
    }
    let each = args.node.is_some();
    output::one(
        session.global,
        "explanation",
        &explanation,
        &explanation.task.id,
        |e| describe(e, each),
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Nodes that are listed one by one without being asked for.
const FEW: usize = 5;

fn describe(e: &Explanation, each_node: bool) -> String {
    let task = &e.task;
    let mut out = format!(
        "{}  {} {}   wants {}   tenant {}\n",
        task.name,
        task.state,
        text::age(task.started_at.unwrap_or(task.claimed_at)),
        text::amounts(&task.charge),
        task.tenant
    );
    let mut line = |key: &str, value: &str| {
        // Writing to a string cannot fail.
        let _written = writeln!(out, "  {key:<11}{value}");
    };
    let Some(why) = &e.why else {
        line("verdict", &e.verdict);
        return out;
    };
    match &why.limit {
        Some(l) => line(
            "limit",
            &format!(
                "tenant {} reached its {} limit ({} of {})    <- blocks",
                l.tenant,
                l.resource,
                text::quantity(&l.resource, l.used),
                text::quantity(&l.resource, l.limit)
            ),
        ),
        None => line("limit", "none is reached"),
    }
    let free = e.nodes.iter().filter(|n| n.cause.is_none()).count();
    let causes = why
        .by
        .iter()
        .map(|c| format!("{} {}", c.nodes, c.cause))
        .collect::<Vec<_>>()
        .join(", ");
    let blocks = if free == 0 && why.limit.is_none() {
        "    <- blocks"
    } else {
        ""
    };
    let causes = if causes.is_empty() {
        String::new()
    } else {
        format!(": {causes}")
    };
    if !each_node {
        line(
            "nodes",
            &format!("{free} of {} could hold it now{causes}{blocks}", why.nodes),
        );
    }
    if each_node || e.nodes.len() <= FEW {
        for n in &e.nodes {
            let cause = n.cause.as_deref().unwrap_or("could hold it now");
            let detail = if n.detail.is_empty() {
                String::new()
            } else {
                format!(" ({})", n.detail)
            };
            line("", &format!("{}: {cause}{detail}", n.node));
        }
    }
    for holder in &e.holders {
        line(
            "held by",
            &format!("{}: {}", holder.scheduler, text::amounts(&holder.held)),
        );
    }
    match e.ahead {
        0 => line("ahead", "nothing"),
        n => line("ahead", &format!("{n} tasks are placed before it")),
    }
    if let Some(fix) = &e.fix {
        line("would fix", fix);
    }
    out
}
