//! The smallest binary around the user's commands: what the real one does beside its own. The tests run it.

use clap::{CommandFactory, Parser, Subcommand};
use plenum_cli::{GlobalArgs, SchedulerCommand, UserCommand, execute, usage_error};
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(
    name = "plenum",
    version,
    subcommand_required = true,
    arg_required_else_help = true
)]
struct Arguments {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Use(UserCommand),
    /// The orchestrators that share the pool
    #[command(subcommand)]
    Scheduler(SchedulerCommand),
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(e) => return usage_error(&e),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("{e}");
            return ExitCode::FAILURE;
        }
    };
    let command = match arguments.command {
        Command::Use(command) => command,
        Command::Scheduler(command) => UserCommand::Scheduler(command),
    };
    runtime.block_on(execute(command, &arguments.global, Arguments::command))
}
