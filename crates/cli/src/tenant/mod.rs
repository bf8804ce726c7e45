//! `plenum tenant`.

mod tree;
mod usage;

use crate::failure::{Done, Failure};
use crate::output;
use crate::output::table::{Cell, Column, Table};
use crate::output::text::{self, parse_amounts};
use crate::session::Session;
use clap::{Args, Subcommand};
use plenum_client::v1::amounts::Amounts;
use plenum_client::v1::tenant::{Tenant, TenantSettings};
use plenum_model::code;
use std::process::ExitCode;

/// The teams that share the pool.
#[derive(Debug, Subcommand)]
pub enum TenantCommand {
    /// List all tenants
    #[command(alias = "ls")]
    List,
    /// Show who has how much of its guarantee, borrows, lends and waits, as a tree
    Tree,
    /// Show resource by resource what a tenant and those below it use, of what is theirs and of the pool
    Usage {
        /// Its path; all tenants without it
        path: Option<String>,
    },
    /// Create or change a tenant; what is not named stays as it is
    Set(SetArgs),
}

/// What to set.
#[derive(Debug, Args)]
pub struct SetArgs {
    /// Its path (`web/checkout`)
    pub path: String,
    /// Its weight against its siblings
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub weight: Option<u32>,
    /// What it can always have (`cpu=2,memory=4GiB`)
    #[arg(long, value_name = "AMOUNTS", value_parser = parse_amounts)]
    pub guarantee: Option<Amounts>,
    /// What it can never exceed; what is not named has no limit
    #[arg(long, value_name = "AMOUNTS", value_parser = parse_amounts)]
    pub limit: Option<Amounts>,
}

const COLUMNS: &[Column] = &[
    Column::new("TENANT", 9),
    Column::new("WEIGHT", 3).right(),
    Column::new("TASKS", 5).right(),
    Column::new("USED", 8),
    Column::new("GUARANTEE", 6),
    Column::new("LIMIT", 6),
    Column::new("PENDING", 4),
];

pub(crate) async fn run(command: &TenantCommand, session: &Session<'_>) -> Done {
    match command {
        TenantCommand::List => print(session, &session.client.tenants().await?, table)?,
        TenantCommand::Tree => {
            let mut all = session.client.tenants().await?;
            all.sort_by(|a, b| a.path.split('/').cmp(b.path.split('/')));
            print(session, &all, tree::table)?;
        }
        TenantCommand::Usage { path } => {
            let usages = usage::usages(path.as_deref(), session).await?;
            let tenant = |u: &usage::Usage| u.tenant.clone();
            output::list(session.global, "usages", &usages, tenant, tenant, usage::table)?;
        }
        TenantCommand::Set(args) => {
            if args.weight.is_none() && args.guarantee.is_none() && args.limit.is_none() {
                return Err(
                    Failure::usage("there is nothing to set").hint("--weight, --guarantee or --limit")
                );
            }
            let settings = changed(args, existing(args, session).await?);
            let tenant = session.client.set_tenant(&args.path, &settings).await?;
            output::one(session.global, "tenant", &tenant, &tenant.path, |t| {
                format!(
                    "{}  weight {}  guarantee {}  limit {}\n",
                    t.path,
                    t.weight,
                    text::amounts(&t.guarantee),
                    text::amounts(&t.limit)
                )
            })?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print(session: &Session<'_>, all: &[Tenant], table: fn(&[Tenant]) -> Table) -> Result<(), Failure> {
    let path = |t: &Tenant| t.path.clone();
    output::list(session.global, "tenants", all, path, path, table)
}

/// The rest of a path below `top`.
fn below<'p>(top: &str, path: &'p str) -> Option<&'p str> {
    path.strip_prefix(top)?.strip_prefix('/')
}

async fn existing(args: &SetArgs, session: &Session<'_>) -> Result<TenantSettings, Failure> {
    match session.client.tenant(&args.path).await {
        Ok(t) => Ok(TenantSettings {
            weight: t.weight,
            guarantee: t.guarantee,
            limit: t.limit,
        }),
        Err(e) if e.body().code == code::NOT_FOUND.to_string() => Ok(TenantSettings::default()),
        Err(e) => Err(e.into()),
    }
}

fn changed(args: &SetArgs, was: TenantSettings) -> TenantSettings {
    TenantSettings {
        weight: args.weight.unwrap_or(was.weight),
        guarantee: args.guarantee.clone().unwrap_or(was.guarantee),
        limit: args.limit.clone().unwrap_or(was.limit),
    }
}

pub(crate) fn table(tenants: &[Tenant]) -> Table {
    Table::new(
        COLUMNS,
        tenants.iter().map(|t| {
            vec![
                Cell::text(&t.path),
                Cell::count(t.weight),
                Cell::count(t.tasks),
                Cell::text(text::amounts(&t.used)),
                Cell::text(text::amounts(&t.guarantee)),
                Cell::text(text::amounts(&t.limit)),
                Cell::text(text::amounts(&t.pending)),
            ]
        }),
    )
}
