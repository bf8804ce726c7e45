//! `plenum ps`: what runs, over all orchestrators.

use crate::failure::Done;
use crate::output;
use crate::output::table::{Cell, Column, Table};
use crate::output::text;
use crate::session::Session;
use plenum_client::v1::workload::Workload;
use std::process::ExitCode;

const COLUMNS: &[Column] = &[
    Column::new("WORKLOAD", 9),
    Column::new("SCHEDULER", 3),
    Column::new("KIND", 2),
    Column::new("READY", 8).right(),
    Column::new("VERSION", 1),
    Column::new("TENANT", 4),
    Column::new("AGE", 5).right(),
    Column::new("PROBLEM", 7),
    Column::new("HELD", 1).wide(),
    Column::new("OUTDATED", 1).right().wide(),
    Column::new("UID", 1).wide(),
];

pub(crate) async fn run(session: &Session<'_>) -> Done {
    let all = session.client.workloads().await?;
    output::list(
        session.global,
        "workloads",
        &all,
        |w| w.id.clone(),
        |w| w.id.clone(),
        table,
    )?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn table(workloads: &[Workload]) -> Table {
    Table::new(COLUMNS, workloads.iter().map(row))
}

fn row(w: &Workload) -> Vec<Cell> {
    let missing = f64::from(w.wanted) - f64::from(w.ready);
    vec![
        Cell::text(w.name.trim_start_matches('/')),
        Cell::text(&w.scheduler),
        Cell::text(&w.kind),
        Cell::keyed(format!("{}/{}", w.ready, w.wanted), missing),
        Cell::text(&w.version),
        Cell::text(&w.tenant),
        age(w.since),
        Cell::text(w.problem.clone().unwrap_or_default()),
        Cell::text(text::amounts(&w.held)),
        Cell::count(w.outdated),
        Cell::text(&w.uid),
    ]
}

/// An age, ordered by how long it is.
#[allow(
    clippy::cast_precision_loss,
    reason = "an order of ages needs no more than 2^53 seconds"
)]
pub(crate) fn age(since: jiff::Timestamp) -> Cell {
    Cell::keyed(text::age(since), text::age_seconds(since) as f64)
}
