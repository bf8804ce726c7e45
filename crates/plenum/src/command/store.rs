//! `plenum store check`: read everything that is stored, change nothing.

use super::settings;
use crate::args::StoreCommand;
use crate::failure::Failure;
use crate::layout;
use plenum_model::code;

/// Runs it.
///
/// # Errors
/// `DAMAGED` when something does not read back; what stands in the way of looking.
pub(crate) fn run(command: &StoreCommand) -> Result<(), Failure> {
    let StoreCommand::Check(args) = command;
    let (dir, _) = settings(args)?;
    let stored = layout::broker(&dir);
    if !stored.is_dir() {
        let message = format!("{} holds no data of a broker", dir.display());
        return Err(Failure::say(code::NOT_FOUND, message).hint("--data DIR"));
    }
    let report = plenum_store::check(stored)?;
    println!("{report}");
    if report.is_sound() {
        return Ok(());
    }
    Err(Failure::say(
        code::DAMAGED,
        format!("stored data in {} does not read back", dir.display()),
    ))
}
