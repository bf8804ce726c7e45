//! A command line that is not understood, in the one shape of errors.

use crate::failure::Failure;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::process::ExitCode;

/// Prints help and versions as they were asked for (exit code 0), and everything else as a usage error (2).
#[must_use]
pub fn usage_error(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A reader that has gone (`--help | head`) wants no more.
            let _printed = error.print();
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _printed = error.print();
            ExitCode::from(2)
        }
        _ => {
            let failure = failure(error);
            eprintln!("{failure}");
            failure.code()
        }
    }
}

fn failure(error: &clap::Error) -> Failure {
    let text = error.to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let message = text
        .split("\n\n")
        .next()
        .unwrap_or(text)
        .trim()
        .replace("\n  ", "\n          ");
    let failure = Failure::usage(message);
    match near(error) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure.hint(usage(text).unwrap_or_else(|| "plenum help".to_owned())),
    }
}

/// The nearest known word, as clap found it.
fn near(error: &clap::Error) -> Option<String> {
    let kinds = [
        ContextKind::SuggestedSubcommand,
        ContextKind::SuggestedArg,
        ContextKind::SuggestedValue,
    ];
    kinds.into_iter().find_map(|kind| match error.get(kind)? {
        ContextValue::String(one) => Some(one.clone()),
        ContextValue::Strings(many) => many.first().cloned(),
        ContextValue::StyledStr(one) => Some(one.to_string()),
        _ => None,
    })
}

/// How the command is written.
fn usage(text: &str) -> Option<String> {
    let usage = text.split("Usage: ").nth(1)?;
    usage.lines().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::UserCommand;
    use clap::Parser;

    #[derive(Debug, Parser)]
    #[command(name = "plenum")]
    struct Tree {
        #[command(flatten)]
        _global: crate::GlobalArgs,
        #[command(subcommand)]
        _command: UserCommand,
    }

    fn refused(line: &str) -> String {
        failure(&Tree::try_parse_from(line.split(' ')).unwrap_err()).to_string()
    }

    #[test]
    fn what_is_not_understood_has_one_shape_and_the_nearest_word() {
        assert_eq!(
            refused("plenum nod list"),
            "error[PLN-1001]: unrecognized subcommand 'nod'\n  try     did you mean `node`?"
        );
        let text = refused("plenum run --nam x");
        assert!(
            text.contains("unexpected argument '--nam'") && text.contains("did you mean `--name`?"),
            "{text}"
        );
        let text = refused("plenum ps -o xml");
        assert!(text.starts_with("error[PLN-1001]: invalid value 'xml'"), "{text}");
        let text = refused("plenum run --mem lots --name x");
        assert!(text.contains("is not a size"), "{text}");
        let text = refused("plenum why");
        assert!(
            text.contains("<NAME>") && text.contains("try     plenum why"),
            "{text}"
        );
    }
}
