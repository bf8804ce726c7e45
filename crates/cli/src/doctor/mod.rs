//! `plenum doctor`: is everything there that Plenum needs, and if not, what to do. A line per check.

mod machine;
mod server;

use crate::failure::{Done, Failure};
use crate::global::GlobalArgs;
use crate::output;
use crate::output::table::{Cell, Column, Table};
use crate::session::Session;
use serde::Serialize;
use std::process::ExitCode;

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Ok,
    Warn,
    Fail,
}

impl Verdict {
    fn text(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        }
    }
}

/// A check: what was found, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) verdict: Verdict,
    pub(crate) found: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) fix: String,
}

impl Check {
    pub(crate) fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self {
            name,
            verdict: Verdict::Ok,
            found: found.into(),
            fix: String::new(),
        }
    }

    pub(crate) fn warn(name: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            name,
            verdict: Verdict::Warn,
            found: found.into(),
            fix: fix.into(),
        }
    }

    pub(crate) fn fail(name: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            name,
            verdict: Verdict::Fail,
            found: found.into(),
            fix: fix.into(),
        }
    }
}

pub(crate) async fn run(global: &GlobalArgs) -> Done {
    let checks = checks(global).await?;
    output::list(
        global,
        "checks",
        &checks,
        |c| c.name.to_owned(),
        |c| c.name.to_owned(),
        table,
    )?;
    let failed = checks.iter().any(|c| c.verdict == Verdict::Fail);
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

async fn checks(global: &GlobalArgs) -> Result<Vec<Check>, Failure> {
    let session = Session::open(global)?;
    let (server, answers) = server::reachable(&session).await;
    let mut checks = vec![server];
    if answers {
        checks.push(server::nodes(&session).await);
        checks.push(server::schedulers(&session).await);
        checks.push(server::clock(&session).await);
    }
    checks.push(machine::disk(&crate::contexts::data_dir()));
    checks.push(machine::docker());
    checks.push(machine::cgroups());
    checks.push(machine::open_files());
    if !answers {
        checks.push(machine::ports());
    }
    Ok(checks)
}

fn table(checks: &[Check]) -> Table {
    const COLUMNS: &[Column] = &[
        Column::new("STATE", 9),
        Column::new("CHECK", 9),
        Column::new("FOUND", 8),
        Column::new("FIX", 7),
    ];
    Table::new(
        COLUMNS,
        checks.iter().map(|c| {
            vec![
                Cell::text(c.verdict.text()),
                Cell::text(c.name),
                Cell::text(&c.found),
                Cell::text(&c.fix),
            ]
        }),
    )
}
