//! How answers are printed: data on standard output, in the format that was asked for. Progress and messages go to
//! standard error.

pub(crate) mod progress;
pub(crate) mod table;
pub(crate) mod text;

use crate::failure::Failure;
use crate::global::GlobalArgs;
use clap::ValueEnum;
use plenum_model::code;
use serde::Serialize;
use std::io::{self, IsTerminal, Write};
use table::Table;

/// How an answer is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table, as wide as the terminal
    #[default]
    Table,
    /// A table with all columns, however wide
    Wide,
    /// JSON
    Json,
    /// YAML
    Yaml,
    /// Names only, one a line
    Name,
}

/// The version of what `-o json` and `-o yaml` print.
const VERSION: &str = "v1";

#[derive(Serialize)]
struct Items<'a, T> {
    version: &'static str,
    kind: &'static str,
    items: &'a [T],
}

#[derive(Serialize)]
struct Item<'a, T> {
    version: &'static str,
    kind: &'static str,
    item: &'a T,
}

/// Prints a list: as a table, as its names, or whole.
pub(crate) fn list<T: Serialize>(
    global: &GlobalArgs,
    kind: &'static str,
    items: &[T],
    name: impl Fn(&T) -> String,
    id: impl Fn(&T) -> String,
    table: impl FnOnce(&[T]) -> Table,
) -> Result<(), Failure> {
    if global.quiet {
        return lines(items.iter().map(id));
    }
    match global.output {
        Format::Name => lines(items.iter().map(name)),
        Format::Json | Format::Yaml => whole(
            global.output,
            &Items {
                version: VERSION,
                kind,
                items,
            },
        ),
        Format::Table | Format::Wide => print(&table(items).render(global, width())?),
    }
}

/// Prints one thing: as text, as its name, or whole.
pub(crate) fn one<T: Serialize>(
    global: &GlobalArgs,
    kind: &'static str,
    item: &T,
    name: &str,
    text: impl FnOnce(&T) -> String,
) -> Result<(), Failure> {
    if global.quiet {
        return lines([name.to_owned()].into_iter());
    }
    match global.output {
        Format::Name => lines([name.to_owned()].into_iter()),
        Format::Json | Format::Yaml => whole(
            global.output,
            &Item {
                version: VERSION,
                kind,
                item,
            },
        ),
        Format::Table | Format::Wide => print(&text(item)),
    }
}

/// Prints what a change touched: its names, or whole.
pub(crate) fn names<T: Serialize>(
    global: &GlobalArgs,
    kind: &'static str,
    items: &[T],
    name: impl Fn(&T) -> String,
) -> Result<(), Failure> {
    match global.output {
        Format::Json | Format::Yaml if !global.quiet => whole(
            global.output,
            &Items {
                version: VERSION,
                kind,
                items,
            },
        ),
        Format::Json | Format::Yaml | Format::Table | Format::Wide | Format::Name => {
            lines(items.iter().map(name))
        }
    }
}

/// Refuses a format that a stream of lines does not have.
pub(crate) fn lines_only(global: &GlobalArgs) -> Result<(), Failure> {
    match global.output {
        Format::Table | Format::Wide | Format::Json => Ok(()),
        Format::Yaml | Format::Name => {
            Err(Failure::usage("what comes line by line is printed as text or as JSON").at("--output"))
        }
    }
}

/// One line of JSON.
pub(crate) fn json_line<T: Serialize>(item: &T) -> Result<(), Failure> {
    print(&(to_json(item, false)? + "\n"))
}

fn whole<T: Serialize>(format: Format, value: &T) -> Result<(), Failure> {
    if format == Format::Yaml {
        let text =
            serde_yaml_ng::to_string(value).map_err(|e| Failure::new(code::INTERNAL, e.to_string()))?;
        return print(&text);
    }
    print(&(to_json(value, true)? + "\n"))
}

fn to_json<T: Serialize>(value: &T, pretty: bool) -> Result<String, Failure> {
    let text = if pretty {
        serde_json::to_string_pretty(value)
    } else {
        serde_json::to_string(value)
    };
    text.map_err(|e| Failure::new(code::INTERNAL, e.to_string()))
}

fn lines(names: impl Iterator<Item = String>) -> Result<(), Failure> {
    print(&names.fold(String::new(), |all, name| all + &name + "\n"))
}

/// Writes to standard output. A reader that has gone (`| head`) wants no more, and that is no failure.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    bytes(text.as_bytes())
}

/// Writes bytes to standard output, as [`print`].
pub(crate) fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(e) => Err(Failure::new(
            code::INTERNAL,
            format!("cannot write to standard output: {e}"),
        )),
        Ok(()) => Ok(()),
    }
}

/// The width that lines may have; none: whatever they need.
fn width() -> Option<usize> {
    if !io::stdout().is_terminal() {
        return None;
    }
    terminal_size::terminal_size().map(|(width, _)| usize::from(width.0))
}
