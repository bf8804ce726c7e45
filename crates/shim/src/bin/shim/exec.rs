//! One more program inside a running container: joins its cgroups and namespaces, runs, passes the exit code
//! on, and ends what it started when the agent or the container ends.

use crate::identity::{assume, die_with_parent, reset_signals};
use crate::launch::become_subreaper;
use crate::program;
use crate::reap::end_the_rest;
use crate::stdio::take_terminal;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getppid, setsid};
use plenum_shim::cgroup;
use plenum_shim::config::{Config, ExecConfig};
use plenum_shim::files::{self, CONFIG, STATUS};
use plenum_shim::procfs;
use plenum_shim::state::{ProcessId, Stage, StartFailure, Status};
use std::convert::Infallible;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::process::ExitCode;

/// As shells have it: the program is not there.
const NOT_FOUND: u8 = 127;
/// As shells have it: the program is there but does not run.
const NOT_RUN: u8 = 126;
/// As shells have it: ended by the signal that is added.
const SIGNALLED: i32 = 128;

/// `plenum-shim exec DIR FILE`.
pub(crate) fn run(dir: &Path, order: &Path) -> ExitCode {
    match begin(dir, order) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => ExitCode::from(explain(&failure)),
    }
}

fn explain(failure: &StartFailure) -> u8 {
    eprintln!("{failure}");
    if failure.errno == Some(libc::ENOENT) && failure.stage == Stage::Exec {
        NOT_FOUND
    } else {
        NOT_RUN
    }
}

fn refuse(message: &str) -> StartFailure {
    StartFailure {
        stage: Stage::Prepare,
        errno: None,
        message: message.to_owned(),
    }
}

fn begin(dir: &Path, order: &Path) -> Result<u8, StartFailure> {
    let unreadable = |error: io::Error| StartFailure::new(Stage::Prepare, "cannot read the order", &error);
    let name = order.to_string_lossy();
    let exec: ExecConfig = files::read_json(dir, &name)
        .map_err(unreadable)?
        .ok_or_else(|| refuse("there is no such order"))?;
    let _ = std::fs::remove_file(dir.join(order));
    let config: Config = files::read_json(dir, CONFIG)
        .map_err(unreadable)?
        .ok_or_else(|| refuse("there is no such container"))?;
    let status: Option<Status> = files::read_json(dir, STATUS).map_err(unreadable)?;
    let main = status
        .and_then(|status| status.main)
        .ok_or_else(|| refuse("the container is not started"))?;
    let watched = Watched::open(main)?;
    // Where the end of the container reaches all it ever started, what the program leaves running may stay.
    let leftovers_stay = config.namespaces.pid || !config.cgroups.is_empty();
    if !leftovers_stay {
        become_subreaper()
            .map_err(|error| StartFailure::new(Stage::Prepare, "cannot become a reaper", &error))?;
    }
    join(&config, main)?;
    // SAFETY: there is one thread, so nothing of the parent's state is torn in the child.
    match unsafe { fork() }.map_err(|error| StartFailure::new(Stage::Exec, "cannot fork", &error.into()))? {
        ForkResult::Parent { child } => {
            let code = watched.wait_for(child);
            if !leftovers_stay {
                end_the_rest(None, &[]);
            }
            Ok(code)
        }
        ForkResult::Child => {
            let Err(failure) = become_program(&config, &exec);
            let code = explain(&failure);
            // SAFETY: ends this process without running what the parent registered for its own end.
            unsafe { libc::_exit(code.into()) };
        }
    }
}

/// Those with whose end the program must end, too.
struct Watched {
    agent: OwnedFd,
    container: OwnedFd,
}

impl Watched {
    fn open(main: ProcessId) -> Result<Self, StartFailure> {
        let failed =
            |error: io::Error| StartFailure::new(Stage::Prepare, "cannot watch the container", &error);
        let agent = pidfd(getppid()).map_err(failed)?;
        let container = pidfd(Pid::from_raw(main.pid)).map_err(|_| refuse("the container has ended"))?;
        // Only now: the handle is of the process that has this number, whoever it is.
        if procfs::is_alive(main) {
            Ok(Self { agent, container })
        } else {
            Err(refuse("the container has ended"))
        }
    }

    fn wait_for(&self, child: Pid) -> u8 {
        let Ok(program) = pidfd(child) else {
            return reap(child);
        };
        let mut handles = [&program, &self.agent, &self.container]
            .map(|handle| PollFd::new(handle.as_fd(), PollFlags::POLLIN));
        while poll(&mut handles, PollTimeout::NONE).is_err() {}
        if let [program, _, _] = &handles
            && !program.any().unwrap_or(true)
        {
            let _ = kill(child, Signal::SIGKILL);
        }
        reap(child)
    }
}

fn reap(child: Pid) -> u8 {
    loop {
        match waitpid(child, None::<WaitPidFlag>) {
            Ok(WaitStatus::Exited(_, code)) => return u8::try_from(code).unwrap_or(u8::MAX),
            Ok(WaitStatus::Signaled(_, signal, _)) => {
                return u8::try_from(SIGNALLED + signal as i32).unwrap_or(u8::MAX);
            }
            Err(nix::Error::EINTR) | Ok(_) => {}
            Err(_) => return NOT_RUN,
        }
    }
}

fn pidfd(pid: Pid) -> io::Result<OwnedFd> {
    // SAFETY: plain integers; the result is a new handle (closed on exec) that nobody else owns.
    unsafe {
        let handle = libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0);
        match i32::try_from(handle) {
            Ok(handle) if handle >= 0 => Ok(OwnedFd::from_raw_fd(handle)),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// Cgroups first: their paths are the machine's. A new pid namespace holds for the children only.
fn join(config: &Config, main: ProcessId) -> Result<(), StartFailure> {
    let wanted = config.namespaces;
    let spaces = [
        (wanted.pid, "pid", CloneFlags::CLONE_NEWPID),
        (wanted.uts, "uts", CloneFlags::CLONE_NEWUTS),
        (wanted.mount, "mnt", CloneFlags::CLONE_NEWNS),
    ];
    let failed = |what: &str, error: io::Error| StartFailure::new(Stage::Namespace, what, &error);
    let mut handles = Vec::new();
    for (_, name, kind) in spaces.into_iter().filter(|(wanted, _, _)| *wanted) {
        let handle = File::open(format!("/proc/{}/ns/{name}", main.pid))
            .map_err(|error| failed("cannot open the container's namespaces", error))?;
        handles.push((handle, kind));
    }
    for cgroup in &config.cgroups {
        cgroup::join(cgroup).map_err(|error| {
            StartFailure::new(
                Stage::Cgroup,
                &format!("cannot join cgroup {}", cgroup.display()),
                &error,
            )
        })?;
    }
    for (handle, kind) in handles {
        setns(handle, kind)
            .map_err(|error| failed("cannot enter the container's namespaces", error.into()))?;
    }
    Ok(())
}

fn become_program(config: &Config, exec: &ExecConfig) -> Result<Infallible, StartFailure> {
    let stdio = |error: io::Error| StartFailure::new(Stage::Stdio, "cannot take the terminal", &error);
    setsid().map_err(|error| stdio(error.into()))?;
    if exec.terminal {
        take_terminal(io::stdin().as_fd()).map_err(stdio)?;
    }
    if let Some(score) = config.oom_score_adj {
        std::fs::write("/proc/self/oom_score_adj", score.to_string())
            .map_err(|error| StartFailure::new(Stage::Limit, "cannot set oom_score_adj", &error))?;
    }
    let user = exec.user.as_ref().or(config.user.as_ref());
    assume(&config.rlimits, user, exec.cwd.as_deref().unwrap_or(&config.cwd))?;
    die_with_parent();
    reset_signals();
    let mut env = config.env.clone();
    env.extend(exec.env.clone());
    program::run(&exec.argv, &env)
}
