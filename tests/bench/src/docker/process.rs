//! Processes inside a network namespace: started, watched, ended by their pid.

use super::net::Net;
use crate::report::Failed;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// One that runs; ended when dropped.
pub(super) struct Process {
    child: Child,
    log: PathBuf,
    /// How long it may take to end in order.
    patience: Duration,
}

/// What to start.
pub(super) struct Start<'s> {
    pub(super) program: &'s Path,
    pub(super) args: Vec<String>,
    pub(super) log: PathBuf,
    pub(super) patience: Duration,
}

impl Process {
    /// Starts it in namespace `node` of `net`, with mounts of its own, so that none of them outlives it.
    pub(super) fn start(net: &Net, node: u8, start: Start<'_>) -> Result<Self, Failed> {
        let what = start.program.display().to_string();
        let out = File::create(&start.log).map_err(Failed::in_(&what))?;
        let err = out.try_clone().map_err(Failed::in_(&what))?;
        // Each wrapper becomes what it starts: the child's pid is the program's. The first sees to it that it ends
        // even if this process is killed.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "TERM", "nsenter"])
            .arg(format!("--net={}", net.path(node).display()))
            .args(["unshare", "--mount"])
            .arg(start.program)
            .args(&start.args)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            // Ctrl-C is for the benchmark alone, which ends the rest in order.
            .process_group(0)
            .spawn()
            .map_err(Failed::in_(&what))?;
        Ok(Self {
            child,
            log: start.log,
            patience: start.patience,
        })
    }

    /// Fails with the end of its log if it has ended by itself.
    pub(super) fn check(&mut self) -> Result<(), Failed> {
        let Ok(Some(status)) = self.child.try_wait() else {
            return Ok(());
        };
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let mut last: Vec<&str> = log.lines().rev().take(5).collect();
        last.reverse();
        Err(Failed::Measured {
            what: self.log.display().to_string(),
            why: format!("ended with {status}: {}", last.join("\n")),
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap_or(i32::MAX));
        let deadline = Instant::now() + self.patience;
        // Not reaped before, so the pid is still its own.
        if matches!(self.child.try_wait(), Ok(None)) && kill(pid, Signal::SIGTERM).is_ok() {
            while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        // Has ended already in the usual case.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command to its end.
pub(super) fn run(program: &str, args: &[&str]) -> Result<(), Failed> {
    let out = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .map_err(Failed::in_(program))?;
    if out.status.success() {
        return Ok(());
    }
    Err(Failed::Measured {
        what: format!("{program} {}", args.join(" ")),
        why: String::from_utf8_lossy(&out.stderr).trim().to_owned(),
    })
}
