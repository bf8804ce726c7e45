//! `plenum events`: one timeline over all orchestrators.

use crate::failure::{Done, Failure};
use crate::output;
use crate::output::Format;
use crate::output::table::{Cell, Column, Table};
use crate::session::Session;
use clap::Args;
use futures::StreamExt;
use plenum_client::ClientError;
use plenum_client::v1::event::Event;
use std::process::ExitCode;
use std::time::Duration;

/// Between two attempts to reach a server that went away.
const AGAIN: Duration = Duration::from_secs(1);

/// Which events.
#[derive(Debug, Args)]
pub struct EventArgs {
    /// Go on as more happens
    #[arg(short = 'f', long)]
    pub follow: bool,
    /// Only those after this one (its CURSOR)
    #[arg(long, value_name = "CURSOR")]
    pub after: Option<u64>,
}

const COLUMNS: &[Column] = &[
    Column::new("TIME", 8),
    Column::new("TYPE", 9),
    Column::new("OBJECT", 9).cut_to(18),
    Column::new("NODE", 4),
    Column::new("ACTOR", 3),
    Column::new("MESSAGE", 7).cut_to(16),
    Column::new("CURSOR", 1).right().wide(),
];

pub(crate) async fn run(args: &EventArgs, session: &Session<'_>) -> Done {
    if args.follow {
        output::lines_only(session.global)?;
    }
    let past = session.client.past_events(args.after).await?;
    let last = past.last().map(|e| e.cursor).or(args.after);
    let id = |e: &Event| e.cursor.to_string();
    if args.follow && session.global.output == Format::Json {
        past.iter().try_for_each(output::json_line)?;
    } else {
        output::list(session.global, "events", &past, id, id, table)?;
    }
    if args.follow {
        follow(last, session).await?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints events as they come, for ever; a server that went away is waited for, and nothing is missed.
async fn follow(mut last: Option<u64>, session: &Session<'_>) -> Result<(), Failure> {
    loop {
        let broken = match session.client.events(last).await {
            Ok(mut events) => loop {
                match events.next().await {
                    Some(Ok(event)) => {
                        last = Some(event.cursor);
                        print(&event, session)?;
                    }
                    Some(Err(e)) => break e.to_string(),
                    None => break "the server ended the stream".to_owned(),
                }
            },
            Err(e @ ClientError::Unreachable { .. }) => e.to_string(),
            Err(e) => return Err(e.into()),
        };
        eprintln!("{broken}; trying again");
        tokio::time::sleep(AGAIN).await;
    }
}

fn print(event: &Event, session: &Session<'_>) -> Result<(), Failure> {
    if session.global.output == Format::Json {
        return output::json_line(event);
    }
    let node = event.node.as_deref().unwrap_or("-");
    let line: String = format!(
        "{}  {}  {}  {node}  {}  {}",
        time(event),
        event.kind,
        event.object,
        event.actor,
        event.message
    )
    .chars()
    .map(|c| if c.is_control() { ' ' } else { c })
    .collect();
    output::print(&(line + "\n"))
}

/// To the second; the milliseconds are in the JSON.
fn time(event: &Event) -> String {
    event.at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub(crate) fn table(events: &[Event]) -> Table {
    #[allow(clippy::cast_precision_loss, reason = "an order of cursors for people")]
    let row = |e: &Event| {
        vec![
            Cell::text(time(e)),
            Cell::text(&e.kind),
            Cell::text(&e.object),
            Cell::text(e.node.clone().unwrap_or_default()),
            Cell::text(&e.actor),
            Cell::text(&e.message),
            Cell::keyed(e.cursor.to_string(), e.cursor as f64),
        ]
    };
    Table::new(COLUMNS, events.iter().map(row))
}
