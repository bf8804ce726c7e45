//! From the shim to the container's program: fork, and in the child everything that makes it a container.

use crate::identity::{assume, die_with_parent, reset_signals};
use crate::program;
use crate::stdio::{Inner, Outer, open};
use nix::fcntl::OFlag;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, sigaction};
use nix::unistd::{ForkResult, Pid, fork, pipe2, sethostname, setsid};
use plenum_shim::cgroup;
use plenum_shim::config::{Config, Mount, MountKind};
use plenum_shim::state::{Stage, StartFailure};
use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

/// What came of a start.
#[derive(Debug)]
pub(crate) struct Launched {
    /// The command.
    pub(crate) main: Pid,
    /// Process 1 of its pid namespace, if it has one; ending it ends all in there.
    pub(crate) init: Option<Pid>,
    /// The shim's ends of its streams.
    pub(crate) stdio: Outer,
}

/// Orphans of the container become children of the shim, which so can end and await them all.
pub(crate) fn become_subreaper() -> io::Result<()> {
    nix::sys::prctl::set_child_subreaper(true).map_err(io::Error::from)
}

/// Starts the command of `config`; when it returns, the program itself runs.
pub(crate) fn launch(config: &Config) -> Result<Launched, StartFailure> {
    let stdio_failed = |error: io::Error| StartFailure::new(Stage::Stdio, "cannot open its streams", &error);
    let (outer, inner) = open(config).map_err(stdio_failed)?;
    let (answer, failed) = pipe2(OFlag::O_CLOEXEC).map_err(|error| stdio_failed(error.into()))?;
    let init = if config.namespaces.pid {
        Some(begin_pid_namespace()?)
    } else {
        None
    };
    let fork_failed = |error: nix::Error| StartFailure::new(Stage::Exec, "cannot fork", &error.into());
    // SAFETY: there is one thread, so nothing of the parent's state is torn in the child.
    let forked = unsafe { fork() };
    if let Ok(ForkResult::Child) = forked {
        let Err(failure) = become_container(config, &inner);
        let text = serde_json::to_vec(&failure).unwrap_or_default();
        let _ = File::from(failed).write_all(&text);
        // SAFETY: ends this process without running what the parent registered for its own end.
        unsafe { libc::_exit(127) };
    }
    drop((inner, failed));
    let started = match forked {
        Ok(ForkResult::Parent { child }) => read_failure(File::from(answer)).map_or(Ok(child), Err),
        Ok(ForkResult::Child) | Err(_) => Err(fork_failed(nix::Error::last())),
    };
    match started {
        Ok(main) => Ok(Launched {
            main,
            init,
            stdio: outer,
        }),
        Err(failure) => {
            if let Some(init) = init {
                let _ = kill(init, Signal::SIGKILL);
            }
            Err(failure)
        }
    }
}

/// The pipe closes by itself when the program takes over.
fn read_failure(mut answer: File) -> Option<StartFailure> {
    let mut text = Vec::new();
    match answer.read_to_end(&mut text) {
        Ok(0) => None,
        Ok(_) => Some(serde_json::from_slice(&text).unwrap_or_else(|error| {
            StartFailure::new(
                Stage::Exec,
                "the new process said something unclear",
                &error.into(),
            )
        })),
        Err(error) => Some(StartFailure::new(
            Stage::Exec,
            "cannot hear of the new process",
            &error,
        )),
    }
}

/// All later children of the shim are born in a new pid namespace. Its process 1 is a copy of the shim that
/// does nothing but let the kernel reap orphans: a program as process 1 would be deaf to signals for which it
/// has no handler.
fn begin_pid_namespace() -> Result<Pid, StartFailure> {
    let failed =
        |error: nix::Error| StartFailure::new(Stage::Namespace, "cannot make a pid namespace", &error.into());
    unshare(CloneFlags::CLONE_NEWPID).map_err(failed)?;
    // SAFETY: as above, one thread.
    match unsafe { fork() }.map_err(failed)? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => reap_for_ever(),
    }
}

fn reap_for_ever() -> ! {
    die_with_parent();
    let _ = nix::sys::prctl::set_name(c"plenum-init");
    // SAFETY: plain system calls. Everything is closed, the lock and the pipes too: only its own end matters.
    unsafe {
        libc::close_range(0, libc::c_uint::MAX, 0);
        libc::setsid();
    }
    let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::SA_NOCLDWAIT, SigSet::empty());
    // SAFETY: ignoring runs no code of this process.
    let _ = unsafe { sigaction(Signal::SIGCHLD, &ignore) };
    loop {
        nix::unistd::pause();
    }
}

/// In the child.
fn become_container(config: &Config, stdio: &Inner) -> Result<Infallible, StartFailure> {
    setsid()
        .map_err(io::Error::from)
        .and_then(|_| stdio.install())
        .map_err(|error| StartFailure::new(Stage::Stdio, "cannot take its streams", &error))?;
    for cgroup in &config.cgroups {
        cgroup::join(cgroup).map_err(|error| {
            StartFailure::new(
                Stage::Cgroup,
                &format!("cannot join cgroup {}", cgroup.display()),
                &error,
            )
        })?;
    }
    isolate(config)?;
    if let Some(score) = config.oom_score_adj {
        std::fs::write("/proc/self/oom_score_adj", score.to_string())
            .map_err(|error| StartFailure::new(Stage::Limit, "cannot set oom_score_adj", &error))?;
    }
    assume(&config.rlimits, config.user.as_ref(), &config.cwd)?;
    die_with_parent();
    reset_signals();
    program::run(&config.argv, &config.env)
}

fn isolate(config: &Config) -> Result<(), StartFailure> {
    let wanted = config.namespaces;
    let mut flags = CloneFlags::empty();
    flags.set(CloneFlags::CLONE_NEWNS, wanted.mount);
    flags.set(CloneFlags::CLONE_NEWUTS, wanted.uts);
    let failed = |what: &str, error: nix::Error| StartFailure::new(Stage::Namespace, what, &error.into());
    unshare(flags).map_err(|error| failed("cannot make namespaces", error))?;
    if let Some(name) = &config.hostname {
        sethostname(name).map_err(|error| failed("cannot set the host name", error))?;
    }
    if wanted.mount {
        // Nothing mounted in here may appear outside; what is mounted outside later appears here.
        mount_at(
            None,
            Path::new("/"),
            None,
            MsFlags::MS_REC | MsFlags::MS_SLAVE,
            None,
        )?;
    }
    for mount in &config.mounts {
        apply(mount)?;
    }
    if wanted.pid {
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        mount_at(
            Some(Path::new("proc")),
            Path::new("/proc"),
            Some("proc"),
            flags,
            None,
        )?;
    }
    Ok(())
}

fn apply(wanted: &Mount) -> Result<(), StartFailure> {
    match &wanted.kind {
        MountKind::Bind { source, read_only } => {
            mount_at(
                Some(source),
                &wanted.target,
                None,
                MsFlags::MS_BIND | MsFlags::MS_REC,
                None,
            )?;
            if *read_only {
                let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
                mount_at(None, &wanted.target, None, flags, None)?;
            }
            Ok(())
        }
        MountKind::Tmpfs { size_bytes, mode } => {
            let mut options = format!("mode={mode:o}");
            if let Some(size) = size_bytes {
                options.push_str(&format!(",size={size}"));
            }
            let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
            mount_at(
                Some(Path::new("tmpfs")),
                &wanted.target,
                Some("tmpfs"),
                flags,
                Some(&options),
            )
        }
    }
}

fn mount_at(
    source: Option<&Path>,
    target: &Path,
    kind: Option<&str>,
    flags: MsFlags,
    options: Option<&str>,
) -> Result<(), StartFailure> {
    mount(source, target, kind, flags, options).map_err(|error| {
        let what = match source {
            Some(source) => format!("cannot mount {} at {}", source.display(), target.display()),
            None => format!("cannot change the mount at {}", target.display()),
        };
        StartFailure::new(Stage::Mount, &what, &error.into())
    })
}
