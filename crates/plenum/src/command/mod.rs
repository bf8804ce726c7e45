//! The commands that run a part of Plenum, one file each, and what they share: the configuration, the end by a
//! signal.

pub(crate) mod agent;
pub(crate) mod broker;
pub(crate) mod config;
pub(crate) mod down;
pub(crate) mod scheduler;
pub(crate) mod store;
pub(crate) mod up;

use crate::args::PartArgs;
use crate::catalog;
use crate::config::Layers;
use crate::failure::Failure;
use crate::layout;
use plenum_model::code;
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};

/// The data directory and the configuration without flags of the command itself.
///
/// # Errors
/// What is wrong with the configuration.
pub(crate) fn settings(args: &PartArgs) -> Result<(PathBuf, Layers), Failure> {
    let given = args.data.clone().filter(|dir| !dir.as_os_str().is_empty());
    let dir = given.unwrap_or_else(layout::default_dir);
    // Tasks get their directories by these paths and run in others.
    let dir = std::path::absolute(&dir)
        .map_err(|e| Failure::say(code::CONFIG, format!("data directory `{}`: {e}", dir.display())))?;
    let mut layers = catalog::defaults();
    match &args.config {
        Some(path) => layers.file(path, true)?,
        None => layers.file(&dir.join("config.toml"), false)?,
    }
    layers.environment(std::env::vars())?;
    for pair in &args.set {
        let Some((key, value)) = pair.split_once('=') else {
            return Err(Failure::say(
                code::CONFIG,
                format!("--set takes KEY=VALUE, not `{pair}`"),
            ));
        };
        layers.set(key.trim(), value, "--set")?;
    }
    Ok((dir, layers))
}

/// Returns when the process is asked to end.
///
/// # Errors
/// When the system does not let signals be caught.
pub(crate) async fn asked_to_end() -> Result<(), Failure> {
    let failed = |e: std::io::Error| Failure::new(code::INTERNAL, &e);
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_data_directory_is_made_absolute() {
        let args = PartArgs {
            data: Some("some/where".into()),
            config: None,
            set: Vec::new(),
        };
        let (dir, _) = settings(&args).unwrap();
        assert_eq!(dir, std::env::current_dir().unwrap().join("some/where"));
    }
}
