//! `plenum simulate`: what would happen, on a copy of the ledger.

use crate::failure::{Done, Failure};
use crate::output;
use crate::output::text::parse_amounts;
use crate::session::Session;
use clap::Args;
use plenum_client::v1::amounts::Amounts;
use plenum_client::v1::simulate::{SimulateRequest, Simulation, SupposedTenant};
use plenum_model::code;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// What is supposed; all of it together.
#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// A node that is lost for good; who had tasks there claims them anew (may be repeated)
    #[arg(long, value_name = "NODE")]
    pub lose_node: Vec<String>,
    /// A tenant that is created or changed
    #[arg(long, value_name = "PATH")]
    pub tenant: Option<String>,
    /// Its weight
    #[arg(long, value_name = "N", requires = "tenant", value_parser = clap::value_parser!(u32).range(1..))]
    pub weight: Option<u32>,
    /// What it can always have (`cpu=2,memory=4GiB`)
    #[arg(long, value_name = "AMOUNTS", requires = "tenant", value_parser = parse_amounts)]
    pub guarantee: Option<Amounts>,
    /// What it can never exceed
    #[arg(long, value_name = "AMOUNTS", requires = "tenant", value_parser = parse_amounts)]
    pub limit: Option<Amounts>,
    /// More of it, as the body of `POST /v1/simulate`: JSON with `claims`, `tenants`, `lose_nodes`
    #[arg(long, short = 'f', value_name = "FILE")]
    pub file: Option<PathBuf>,
}

pub(crate) async fn run(args: &SimulateArgs, session: &Session<'_>) -> Done {
    let request = request(args)?;
    if request == SimulateRequest::default() {
        let hint = "--lose-node, --tenant with --weight, --guarantee or --limit, or -f";
        return Err(Failure::usage("nothing is supposed").hint(hint));
    }
    let simulation = session.client.simulate(&request).await?;
    output::one(session.global, "simulation", &simulation, "simulation", describe)?;
    Ok(ExitCode::SUCCESS)
}

fn request(args: &SimulateArgs) -> Result<SimulateRequest, Failure> {
    let mut request = match &args.file {
        None => SimulateRequest::default(),
        Some(path) => {
            let bad = |why: String| Failure::new(code::INVALID, format!("`{}`: {why}", path.display()));
            let text = std::fs::read_to_string(path).map_err(|e| bad(e.to_string()))?;
            serde_json::from_str(&text).map_err(|e| {
                bad(format!("it is no request to simulate: {e}"))
                    .hint("JSON: {\"claims\": [{\"name\": \"web\", \"count\": 3, \"charge\": {\"cpu_millis\": 500}}]}")
            })?
        }
    };
    request.lose_nodes.extend(args.lose_node.iter().cloned());
    request
        .tenants
        .extend(args.tenant.iter().map(|path| SupposedTenant {
            path: path.clone(),
            weight: args.weight,
            guarantee: args.guarantee.clone(),
            limit: args.limit.clone(),
        }));
    Ok(request)
}

/// Tasks that are named one by one; of the rest it is said how many they are.
const NAMED: usize = 20;

fn describe(s: &Simulation) -> String {
    let (placed, ended, waits) = (s.placed.len(), s.ended.len(), s.waits.len());
    let mut out = format!(
        "{placed} would be placed, {ended} would end, {waits} would wait; {} wait then in all\n",
        s.waiting
    );
    let mut line = |key: &str, value: &str| {
        // Writing to a string cannot fail.
        let _written = writeln!(out, "  {key:<8}{value}");
    };
    let mut by_node: BTreeMap<&str, usize> = BTreeMap::new();
    for placed in &s.placed {
        *by_node.entry(&placed.node).or_default() += 1;
    }
    for (node, count) in by_node {
        line("on", &format!("{node}: {count}"));
    }
    let named = |count: usize| count.saturating_sub(NAMED);
    for task in s.placed.iter().take(NAMED) {
        line("placed", &format!("{} on {}", task.task.name, task.node));
    }
    for task in s.ended.iter().take(NAMED) {
        let what = format!(
            "{} on {} of tenant {}: {}",
            task.task.name, task.node, task.task.tenant, task.reason
        );
        line("ends", &what);
    }
    for task in s.waits.iter().take(NAMED) {
        let why = task.blocks.as_ref().map_or("", |blocks| blocks.text.as_str());
        line(
            "waits",
            &format!("{} of tenant {}: {why}", task.task.name, task.task.tenant),
        );
    }
    let more = named(placed) + named(ended) + named(waits);
    if more > 0 {
        line("", &format!("and {more} more: -o json has all"));
    }
    let percent = |n: u64| format!("{}.{} %", n / 10, n % 10);
    for change in &s.shares {
        let (before, after) = (percent(change.before_per_mille), percent(change.after_per_mille));
        line("share", &format!("{}: {before} -> {after}", change.tenant));
    }
    out
}
