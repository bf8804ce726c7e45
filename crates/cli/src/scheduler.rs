//! `plenum scheduler list`. Running a scheduler is the business of the binary.

use crate::failure::Done;
use crate::output;
use crate::output::table::{Cell, Column, Table};
use crate::output::text;
use crate::session::Session;
use clap::Subcommand;
use plenum_client::v1::scheduler::Scheduler;
use std::process::ExitCode;

/// The orchestrators that share the pool.
#[derive(Debug, Subcommand)]
pub enum SchedulerCommand {
    /// List all schedulers
    #[command(alias = "ls")]
    List,
}

const COLUMNS: &[Column] = &[
    Column::new("SCHEDULER", 9),
    Column::new("KIND", 3),
    Column::new("STATE", 8),
    Column::new("TASKS", 7).right(),
    Column::new("PENDING", 6).right(),
    Column::new("CPU HELD/ASKED", 5).right(),
    Column::new("MEM HELD/ASKED", 4).right(),
    Column::new("SHARE", 5).right(),
];

pub(crate) async fn run(command: &SchedulerCommand, session: &Session<'_>) -> Done {
    match command {
        SchedulerCommand::List => {
            let all = session.client.schedulers().await?;
            output::list(
                session.global,
                "schedulers",
                &all,
                |s| s.name.clone(),
                |s| s.name.clone(),
                table,
            )?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn table(schedulers: &[Scheduler]) -> Table {
    Table::new(COLUMNS, schedulers.iter().map(row))
}

#[allow(clippy::cast_precision_loss, reason = "an order of amounts for people")]
fn row(s: &Scheduler) -> Vec<Cell> {
    let both = |held: u64, asked: u64, show: fn(u64) -> String| {
        Cell::keyed(format!("{} / {}", show(held), show(asked)), held as f64)
    };
    vec![
        Cell::text(&s.name),
        Cell::text(&s.kind),
        Cell::text(&s.state),
        Cell::count(s.tasks),
        Cell::count(s.pending),
        both(s.held.cpu_millis, s.asked.cpu_millis, text::cpu),
        both(s.held.memory_bytes, s.asked.memory_bytes, text::bytes),
        Cell::keyed(format!("{:.1} %", s.share * 100.0), s.share),
    ]
}
