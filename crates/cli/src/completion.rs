//! `plenum completion SHELL`: works without a server.

use crate::failure::Done;
use crate::output;
use clap::Args;
use clap_complete::Shell;
use std::process::ExitCode;

/// For which shell.
#[derive(Debug, Args)]
pub struct CompletionArgs {
    /// The shell
    pub shell: Shell,
}

pub(crate) fn run(args: &CompletionArgs, mut tree: clap::Command) -> Done {
    let name = tree.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut tree, name, &mut script);
    output::bytes(&script)?;
    Ok(ExitCode::SUCCESS)
}
