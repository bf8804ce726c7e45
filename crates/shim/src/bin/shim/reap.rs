//! The end of a container: every process of it goes, and it is awaited.

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use plenum_shim::cgroup;
use plenum_shim::procfs;
use plenum_shim::state::Outcome;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

/// A process that does not die of SIGKILL hangs in the kernel (a dead file server); longer than this the
/// exit status is not held back for it.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(2);

/// What is left of the shim's children.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Children {
    Some,
    None,
}

/// Collects every child that has ended; tells how `main` did, if it is among them.
pub(crate) fn collect(main: Option<Pid>) -> (Option<Outcome>, Children) {
    let mut outcome = None;
    loop {
        let mut status = 0;
        // Not through nix, which cannot express the real-time signals.
        // SAFETY: writes one integer that is ours.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
        match pid {
            0 => return (outcome, Children::Some),
            -1 if Errno::last() == Errno::EINTR => {}
            -1 => return (outcome, Children::None),
            pid if main == Some(Pid::from_raw(pid)) => outcome = Some(decode(status)),
            _ => {}
        }
    }
}

fn decode(status: i32) -> Outcome {
    if libc::WIFSIGNALED(status) {
        Outcome::Signal {
            signal: libc::WTERMSIG(status),
            core: libc::WCOREDUMP(status),
        }
    } else {
        Outcome::Code {
            code: libc::WEXITSTATUS(status),
        }
    }
}

/// Ends every process of the container, without awaiting it.
pub(crate) fn kill_all(main: Pid, init: Option<Pid>, cgroups: &[PathBuf]) {
    let _ = kill(main, Signal::SIGKILL);
    if let Some(init) = init {
        let _ = kill(init, Signal::SIGKILL);
    }
    cgroup::kill(cgroups);
    if init.is_none() {
        kill_descendants();
    }
}

fn kill_descendants() {
    for pid in procfs::descendants(nix::unistd::getpid().as_raw()) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
}

/// After the command has ended: ends and awaits whatever it left behind.
pub(crate) fn end_the_rest(init: Option<Pid>, cgroups: &[PathBuf]) {
    let deadline = Instant::now() + PATIENCE;
    if let Some(init) = init {
        let _ = kill(init, Signal::SIGKILL);
    }
    loop {
        let (_, children) = collect(None);
        if children == Children::None && cgroup::processes(cgroups).is_empty() {
            return;
        }
        if Instant::now() > deadline {
            eprintln!("processes are left that cannot be killed");
            return;
        }
        cgroup::kill(cgroups);
        if init.is_none() {
            kill_descendants();
        }
        thread::sleep(PAUSE);
    }
}
