//! `plenum explain CODE`: works without a server.

use crate::failure::{Done, Failure};
use crate::global::GlobalArgs;
use crate::output;
use clap::Args;
use plenum_model::code::{self, Code};
use serde::Serialize;
use std::process::ExitCode;

/// Which code.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The code of an error (`PLN-2003`); left out: all of them
    pub code: Option<String>,
}

#[derive(Serialize)]
struct Shown {
    code: String,
    title: &'static str,
    explain: &'static str,
}

fn shown(code: &Code) -> Shown {
    Shown {
        code: code.to_string(),
        title: code.title,
        explain: code.explain,
    }
}

pub(crate) fn run(args: &ExplainArgs, global: &GlobalArgs) -> Done {
    match &args.code {
        Some(text) => {
            let code = code::find(text).ok_or_else(|| {
                Failure::new(code::NOT_FOUND, format!("there is no code `{text}`"))
                    .hint("plenum explain    (lists all)")
            })?;
            let item = shown(&code);
            output::one(global, "code", &item, &item.code, |c| {
                format!("{}  {}\n\n{}\n", c.code, c.title, wrapped(c.explain))
            })?;
        }
        None => {
            let all: Vec<Shown> = code::ALL.iter().map(shown).collect();
            output::list(
                global,
                "codes",
                &all,
                |c| c.code.clone(),
                |c| c.code.clone(),
                table,
            )?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn table(codes: &[Shown]) -> crate::output::table::Table {
    use crate::output::table::{Cell, Column, Table};
    const COLUMNS: &[Column] = &[Column::new("CODE", 9), Column::new("TITLE", 8)];
    Table::new(
        COLUMNS,
        codes
            .iter()
            .map(|c| vec![Cell::text(&c.code), Cell::text(c.title)]),
    )
}

/// Words in lines of at most 80 characters.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always a line");
        if !line.is_empty() && line.len() + 1 + word.len() > 80 {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join("\n")
}
