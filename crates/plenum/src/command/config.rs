//! `plenum config`: look at the configuration without starting anything.

use super::settings;
use crate::args::ConfigCommand;
use crate::failure::Failure;

/// Runs it.
///
/// # Errors
/// What is wrong with the configuration.
pub(crate) fn run(command: &ConfigCommand) -> Result<(), Failure> {
    match command {
        ConfigCommand::Check(args) => {
            let (dir, layers) = settings(args)?;
            crate::catalog::check_runtimes(&layers.config()?.agent.runtimes)?;
            println!("ok  the configuration is acceptable (data in {})", dir.display());
        }
        ConfigCommand::Show(args) => print!("{}", settings(args)?.1.to_toml()),
    }
    Ok(())
}
