//! `plenum-bench`: what Plenum does per second, and what others do. One subcommand per file; each returns
//! rows, which are printed as a table and, if asked for, written as JSON.

mod core;
mod docker;
mod doors;
mod eventually;
mod fleet;
mod house;
mod http;
mod kubernetes;
mod report;
mod ring;
mod store;
mod times;
mod usage;

use clap::{Parser, Subcommand};
use report::{Failed, Report};
use std::path::PathBuf;
use std::process::ExitCode;

/// As `plenum` itself has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures Plenum. Build with --release; anything else measures the compiler.
#[derive(Parser)]
#[command(name = "plenum-bench", version)]
struct Arguments {
    #[command(subcommand)]
    what: What,
    /// Also write the rows to this file, as JSON.
    #[arg(long, global = true, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Subcommand)]
enum What {
    /// Durable 300-byte records from 1 and 64 writers: Plenum's stores, redb and fjall.
    Store(store::Arguments),
    /// The whole way of a task over gRPC and disk: claimed, placed, assigned, running, seen.
    Ring(ring::Arguments),
    /// Deciding alone: pools filled and churned, how the cost grows with them, and a full scan beside it.
    Core(core::Arguments),
    /// Docker services side by side with a real swarm: until replicas run, and how fast lists are read.
    Docker(docker::Arguments),
    /// Pods through the Kubernetes door on simulated nodes: created to Running, and how fast the API answers.
    Kubernetes(kubernetes::Arguments),
    /// Thousands of tasks in each door: how fast each tool's lists are answered, and what one task more costs.
    Doors(doors::Arguments),
}

impl What {
    /// Whether a missed target is a failure. Of what goes through doors it is not: a busy machine misses it, too, and
    /// then the figure says so.
    fn fails_on_a_miss(&self) -> bool {
        match self {
            Self::Store(_) | Self::Ring(_) | Self::Core(_) | Self::Docker(_) => true,
            Self::Kubernetes(_) | Self::Doors(_) => false,
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(met) if met => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(failed) => {
            eprintln!("plenum-bench: {failed}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every target was met that must be.
fn run(arguments: &Arguments) -> Result<bool, Failed> {
    let report = Report {
        rows: match &arguments.what {
            What::Store(arguments) => store::run(arguments)?,
            What::Ring(arguments) => ring::run(arguments)?,
            What::Core(arguments) => core::run(arguments)?,
            What::Docker(arguments) => docker::run(arguments)?,
            What::Kubernetes(arguments) => kubernetes::run(arguments)?,
            What::Doors(arguments) => doors::run(arguments)?,
        },
    };
    print!("{report}");
    if let Some(path) = &arguments.json {
        report.write(path)?;
    }
    Ok(report.met() || !arguments.what.fails_on_a_miss())
}
