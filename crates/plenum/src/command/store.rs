//! `plenum store`: look at what a broker that does not run has stored. `check` reads every byte; `audit` replays the
//! ledger and sums up, after every record, what was held on each node. Nothing is changed.

use super::settings;
use crate::args::{PartArgs, StoreCommand};
use crate::failure::Failure;
use crate::layout;
use plenum_contract::ledger_log::LedgerLog as _;
use plenum_model::code;
use plenum_store::DataDir;
use std::path::{Path, PathBuf};

/// Runs it.
///
/// # Errors
/// `DAMAGED` when something does not read back; what stands in the way of looking.
pub(crate) fn run(command: &StoreCommand) -> Result<(), Failure> {
    match command {
        StoreCommand::Check(args) => check(&stored(args)?),
        StoreCommand::Audit(args) => audit(&stored(args)?),
    }
}

/// Where the data of a broker is.
fn stored(args: &PartArgs) -> Result<PathBuf, Failure> {
    let (dir, _) = settings(args)?;
    let stored = layout::broker(&dir);
    if stored.is_dir() {
        return Ok(stored);
    }
    let message = format!("{} holds no data of a broker", dir.display());
    Err(Failure::say(code::NOT_FOUND, message).hint("--data DIR"))
}

fn check(stored: &Path) -> Result<(), Failure> {
    let report = plenum_store::check(stored)?;
    println!("{report}");
    if report.is_sound() {
        return Ok(());
    }
    let message = format!("stored data in {} does not read back", stored.display());
    Err(Failure::say(code::DAMAGED, message))
}

fn audit(stored: &Path) -> Result<(), Failure> {
    let loaded = DataDir::open(stored)?.ledger_log()?.load()?;
    let audit = plenum_broker::audit::audit(&loaded).map_err(|e| Failure::new(code::DAMAGED, &e))?;
    for violation in &audit.violations {
        println!("{violation}");
    }
    if !audit.violations.is_empty() {
        let message = format!("the ledger in {} promised a node twice", stored.display());
        return Err(Failure::say(code::DAMAGED, message));
    }
    println!(
        "{} records, nodes summed up {} times: none was promised twice",
        audit.records, audit.checks
    );
    Ok(())
}
