//! The command tree: what operates Plenum stands here, what uses it comes from the CLI crate.

use clap::{Args, Parser, Subcommand};
use plenum_cli::{GlobalArgs, UserCommand};
use std::path::PathBuf;

/// One machine pool, every orchestrator.
#[derive(Debug, Parser)]
#[command(
    name = "plenum",
    version,
    about,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// A command.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(flatten)]
    Operate(OperateCommand),
    #[command(flatten)]
    Use(UserCommand),
}

/// Commands that run a part of Plenum.
#[derive(Debug, Subcommand)]
pub(crate) enum OperateCommand {
    /// Bring up broker, agents and doors on this machine
    Up(UpArgs),
    /// Stop what `plenum up` runs, and every task it left running
    Down(DownArgs),
    /// Run the broker with the API as a process of its own
    Broker(BrokerArgs),
    /// Run the agent of this node as a process of its own
    Agent(AgentArgs),
    /// The orchestrators that share the pool, and running one as a process of its own
    #[command(subcommand)]
    Scheduler(SchedulerCommand),
    /// Look at the configuration without starting anything
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Look after stored data
    #[command(subcommand)]
    Store(StoreCommand),
}

/// What all parts take.
#[derive(Debug, Clone, Args)]
pub(crate) struct PartArgs {
    /// Directory of all data [default: /var/lib/plenum as root, else ~/.plenum]
    #[arg(long, env = "PLENUM_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Configuration file [default: config.toml in the data directory, if there is one]
    #[arg(long, env = "PLENUM_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Set one key of the configuration (may be repeated)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// `plenum up`
#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    pub(crate) part: PartArgs,
    /// Agents on this machine, each with an equal share of it [default: one per core, at most 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=254))]
    pub(crate) nodes: Option<u32>,
    /// Let every door listen on any free port
    #[arg(long)]
    pub(crate) free_ports: bool,
}

/// `plenum down`
#[derive(Debug, Args)]
pub(crate) struct DownArgs {
    #[command(flatten)]
    pub(crate) part: PartArgs,
}

/// `plenum broker`
#[derive(Debug, Args)]
pub(crate) struct BrokerArgs {
    #[command(flatten)]
    pub(crate) part: PartArgs,
    /// Where the API listens; loopback only
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<String>,
    /// The same on any address: anybody who reaches it can start processes on every node
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with = "listen")]
    pub(crate) insecure_listen: Option<String>,
}

/// `plenum agent`
#[derive(Debug, Args)]
pub(crate) struct AgentArgs {
    #[command(flatten)]
    pub(crate) part: PartArgs,
    /// Where the broker is (http://10.0.0.1:7717)
    #[arg(long, value_name = "URL")]
    pub(crate) broker: Option<String>,
    /// The node's name [default: the host name]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The address on which ports of tasks are published [default: that of the route to the broker]
    #[arg(long)]
    pub(crate) address: Option<String>,
    /// Attributes for placement rules (may be repeated)
    #[arg(long = "attribute", value_name = "KEY=VALUE")]
    pub(crate) attributes: Vec<String>,
    /// Taints that keep off tasks which do not bear them (may be repeated)
    #[arg(long = "taint", value_name = "KEY=VALUE:EFFECT")]
    pub(crate) taints: Vec<String>,
}

/// Schedulers as processes, and the list of those that run.
#[derive(Debug, Subcommand)]
pub(crate) enum SchedulerCommand {
    #[command(flatten)]
    Use(plenum_cli::SchedulerCommand),
    /// Run the Kubernetes adapter, the embedded API server, or both
    Kubernetes(SchedulerRunArgs),
    /// Run the Marathon scheduler with its door
    Marathon(SchedulerRunArgs),
    /// Run the Docker scheduler with its door
    Swarm(SchedulerRunArgs),
}

/// `plenum scheduler KIND`
#[derive(Debug, Args)]
pub(crate) struct SchedulerRunArgs {
    #[command(flatten)]
    pub(crate) part: PartArgs,
    /// Where the broker is (http://10.0.0.1:7717)
    #[arg(long, value_name = "URL")]
    pub(crate) broker: String,
    /// Where its door listens; loopback only
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<String>,
    /// The same on any address: anybody who reaches it can start processes on every node
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with = "listen")]
    pub(crate) insecure_listen: Option<String>,
}

/// `plenum config`
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Check the configuration and say what is wrong with it
    Check(PartArgs),
    /// Print the configuration with every key, as it would be used
    Show(PartArgs),
}

/// `plenum store`
#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Read all stored data and say what is damaged; nothing is changed
    Check(PartArgs),
    /// Replay the ledger, and sum up after every record what was held on each node
    Audit(PartArgs),
}
