//! The one binary and composition root: it alone knows every part. `args` is the command tree, `config` the
//! configuration, `catalog` the plugins, `part` the parts as this process runs them, `command` what starts
//! them. What users do with a running pool is the CLI crate's.

mod args;
mod catalog;
mod command;
mod config;
mod endpoints;
mod failure;
mod layout;
mod listen;
mod metrics;
mod node_config;
mod nodes;
mod part;
mod telemetry;

use args::{Arguments, Command, OperateCommand, SchedulerCommand};
use clap::Parser as _;
use failure::Failure;
use plenum_cli::UserCommand;
use std::process::ExitCode;

/// What is handed to others over queues is freed by other threads than made it: the system's allocator spends a
/// quarter of a busy control plane's time on that, and gives little of it back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(e) => return plenum_cli::usage_error(&e),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => return failed(&Failure::new(plenum_model::code::INTERNAL, &e)),
    };
    let tree = <Arguments as clap::CommandFactory>::command;
    let user = match arguments.command {
        Command::Use(command) => command,
        Command::Operate(OperateCommand::Scheduler(SchedulerCommand::Use(command))) => {
            UserCommand::Scheduler(command)
        }
        Command::Operate(command) => {
            return match runtime.block_on(operate(command)) {
                Ok(()) => ExitCode::SUCCESS,
                Err(failure) => failed(&failure),
            };
        }
    };
    runtime.block_on(plenum_cli::execute(user, &arguments.global, tree))
}

fn failed(failure: &Failure) -> ExitCode {
    eprintln!("{failure}");
    ExitCode::FAILURE
}

async fn operate(command: OperateCommand) -> Result<(), Failure> {
    match command {
        OperateCommand::Up(args) => Box::pin(command::up::run(&args)).await,
        OperateCommand::Down(args) => command::down::run(&args).await,
        OperateCommand::Broker(args) => command::broker::run(&args).await,
        OperateCommand::Agent(args) => command::agent::run(&args).await,
        OperateCommand::Scheduler(SchedulerCommand::Kubernetes(args)) => {
            command::scheduler::run("kubernetes", &args).await
        }
        OperateCommand::Scheduler(SchedulerCommand::Marathon(args)) => {
            command::scheduler::run("marathon", &args).await
        }
        OperateCommand::Scheduler(SchedulerCommand::Swarm(args)) => {
            command::scheduler::run("swarm", &args).await
        }
        // Carried out by the CLI, see `main`.
        OperateCommand::Scheduler(SchedulerCommand::Use(_)) => Ok(()),
        OperateCommand::Config(args) => command::config::run(&args),
        OperateCommand::Store(args) => command::store::run(&args),
    }
}
