//! What a process gives up or takes on before it becomes the container's program. Runs in the child.

use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction, sigprocmask};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Uid, chdir, setgid, setgroups, setuid};
use plenum_shim::config::{Rlimit, RlimitResource, User};
use plenum_shim::state::{Stage, StartFailure};
use std::path::Path;

/// Limits first (some need the privilege), then the directory, then the user.
///
/// The directory is entered before the privilege is given up, so that a user gets into a directory of their
/// own that lies in one they may not pass; where the privilege does not help (a file server), after it.
pub(crate) fn assume(rlimits: &[Rlimit], user: Option<&User>, cwd: &Path) -> Result<(), StartFailure> {
    for limit in rlimits {
        set_limit(limit)?;
    }
    let entered = chdir(cwd);
    if let Some(user) = user {
        become_user(user)?;
    }
    umask(Mode::from_bits_truncate(0o022));
    entered.or_else(|_| chdir(cwd)).map_err(|error| {
        let what = format!("cannot enter working directory {}", cwd.display());
        StartFailure::new(Stage::Directory, &what, &error.into())
    })
}

fn become_user(user: &User) -> Result<(), StartFailure> {
    let as_is = nix::unistd::getuid().as_raw() == user.uid
        && nix::unistd::getgid().as_raw() == user.gid
        && !nix::unistd::geteuid().is_root();
    // Somebody who may not change identity may still ask for their own.
    if as_is {
        return Ok(());
    }
    let groups: Vec<Gid> = user.groups.iter().copied().map(Gid::from_raw).collect();
    setgroups(&groups)
        .and_then(|()| setgid(Gid::from_raw(user.gid)))
        .and_then(|()| setuid(Uid::from_raw(user.uid)))
        .map_err(|error| {
            StartFailure::new(
                Stage::User,
                &format!("cannot become user {}", user.uid),
                &error.into(),
            )
        })
}

fn set_limit(limit: &Rlimit) -> Result<(), StartFailure> {
    setrlimit(resource(limit.resource), limit.soft, limit.hard).map_err(|error| {
        StartFailure::new(
            Stage::Limit,
            &format!("cannot set limit {:?}", limit.resource),
            &error.into(),
        )
    })
}

fn resource(resource: RlimitResource) -> Resource {
    match resource {
        RlimitResource::As => Resource::RLIMIT_AS,
        RlimitResource::Core => Resource::RLIMIT_CORE,
        RlimitResource::Cpu => Resource::RLIMIT_CPU,
        RlimitResource::Data => Resource::RLIMIT_DATA,
        RlimitResource::Fsize => Resource::RLIMIT_FSIZE,
        RlimitResource::Locks => Resource::RLIMIT_LOCKS,
        RlimitResource::Memlock => Resource::RLIMIT_MEMLOCK,
        RlimitResource::Msgqueue => Resource::RLIMIT_MSGQUEUE,
        RlimitResource::Nice => Resource::RLIMIT_NICE,
        RlimitResource::Nofile => Resource::RLIMIT_NOFILE,
        RlimitResource::Nproc => Resource::RLIMIT_NPROC,
        RlimitResource::Rss => Resource::RLIMIT_RSS,
        RlimitResource::Rtprio => Resource::RLIMIT_RTPRIO,
        RlimitResource::Rttime => Resource::RLIMIT_RTTIME,
        RlimitResource::Sigpending => Resource::RLIMIT_SIGPENDING,
        RlimitResource::Stack => Resource::RLIMIT_STACK,
    }
}

/// The shim blocks every signal and Rust ignores SIGPIPE; a program expects neither.
pub(crate) fn reset_signals() {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    for signal in Signal::iterator().filter(|signal| !matches!(signal, Signal::SIGKILL | Signal::SIGSTOP)) {
        // SAFETY: the default action runs no code of this process.
        let _ = unsafe { sigaction(signal, &default) };
    }
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
}

/// Dies with its parent: what nobody watches must not run on.
///
/// To be called after the identity has changed, which clears it.
pub(crate) fn die_with_parent() {
    // SAFETY: a plain system call with integers.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) };
}
