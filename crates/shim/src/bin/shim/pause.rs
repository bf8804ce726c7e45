//! A process that does nothing, so that the namespaces it was started in stay while other processes come and go.

use nix::sys::signal::{SigSet, Signal};
use std::process::ExitCode;

/// Waits to be asked to stop. As the first process of a namespace it would not hear of it by default.
pub(crate) fn run() -> ExitCode {
    let mut asked = SigSet::empty();
    asked.add(Signal::SIGTERM);
    asked.add(Signal::SIGINT);
    match asked.thread_block().and_then(|()| asked.wait()) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("plenum-shim cannot wait for a signal: {error}");
            ExitCode::FAILURE
        }
    }
}
