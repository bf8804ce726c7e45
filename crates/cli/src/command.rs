//! The user's commands, and what carries each out.

use crate::apply::{self, ApplyArgs};
use crate::completion::{self, CompletionArgs};
use crate::context::{self, ContextCommand};
use crate::delete::{self, DeleteArgs};
use crate::events::{self, EventArgs};
use crate::explain::{self, ExplainArgs};
use crate::failure::Done;
use crate::global::GlobalArgs;
use crate::node::{self, NodeCommand};
use crate::run::{self, RunArgs};
use crate::scheduler::{self, SchedulerCommand};
use crate::session::Session;
use crate::simulate::{self, SimulateArgs};
use crate::task::{self, TaskCommand};
use crate::tenant::{self, TenantCommand};
use crate::why::{self, WhyArgs};
use crate::{doctor, ps, version};
use clap::Subcommand;
use std::process::ExitCode;

/// What users do with a running Plenum.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Start something, as an app of the Marathon door
    Run(RunArgs),
    /// Show what runs, over all orchestrators
    Ps,
    /// Make what a file says true
    Apply(ApplyArgs),
    /// Remove an app with all its tasks
    Delete(DeleteArgs),
    /// Say what keeps a task from running, and what would help
    Why(WhyArgs),
    /// Say what would happen if a node were lost, a tenant changed, or more were claimed; nothing is touched
    Simulate(Box<SimulateArgs>),
    /// Show what happened, over all orchestrators
    Events(EventArgs),
    /// The tasks of all orchestrators
    #[command(subcommand)]
    Task(TaskCommand),
    /// The machines of the pool
    #[command(subcommand)]
    Node(NodeCommand),
    /// The teams that share the pool
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// The orchestrators that share the pool; the binary puts it beside the commands that run one
    #[command(skip)]
    Scheduler(SchedulerCommand),
    /// Look for what is missing or wrong
    Doctor,
    /// Tell more about the code of an error
    Explain(ExplainArgs),
    /// Which Plenum is meant
    #[command(subcommand)]
    Context(ContextCommand),
    /// Show the versions of command and server
    Version,
    /// Print a completion script
    Completion(CompletionArgs),
}

/// Carries out a command and prints why it failed, if it did. `tree` is the whole command line, for completion.
pub async fn execute(command: UserCommand, global: &GlobalArgs, tree: fn() -> clap::Command) -> ExitCode {
    match carry_out(&command, global, tree).await {
        Ok(code) => code,
        Err(failure) => {
            failure.print(global.output);
            failure.code()
        }
    }
}

async fn carry_out(command: &UserCommand, global: &GlobalArgs, tree: fn() -> clap::Command) -> Done {
    let session = || Session::open(global);
    match command {
        UserCommand::Run(args) => Box::pin(run::run(args, &session()?)).await,
        UserCommand::Ps => ps::run(&session()?).await,
        UserCommand::Apply(args) => Box::pin(apply::run(args, &session()?)).await,
        UserCommand::Delete(args) => Box::pin(delete::run(args, &session()?)).await,
        UserCommand::Why(args) => why::run(args, &session()?).await,
        UserCommand::Simulate(args) => simulate::run(args, &session()?).await,
        UserCommand::Events(args) => events::run(args, &session()?).await,
        UserCommand::Task(command) => Box::pin(task::run(command, &session()?)).await,
        UserCommand::Node(command) => node::run(command, &session()?).await,
        UserCommand::Tenant(command) => tenant::run(command, &session()?).await,
        UserCommand::Scheduler(command) => scheduler::run(command, &session()?).await,
        UserCommand::Doctor => Box::pin(doctor::run(global)).await,
        UserCommand::Explain(args) => explain::run(args, global),
        UserCommand::Context(command) => context::run(command, global),
        UserCommand::Version => version::run(global).await,
        UserCommand::Completion(args) => completion::run(args, tree()),
    }
}
