//! The standard streams of a container: pipes or a terminal, and which end is whose.

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::pty::{OpenptyResult, openpty};
use nix::sys::termios::Termios;
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout, pipe2};
use plenum_shim::config::{Config, Stdin, User, WindowSize};
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// The shim's ends, none of which blocks.
#[derive(Debug)]
pub(crate) struct Outer {
    pub(crate) stdin: Option<Arc<OwnedFd>>,
    pub(crate) stdout: Option<Arc<OwnedFd>>,
    pub(crate) stderr: Option<OwnedFd>,
    /// Whether stdin and stdout are one terminal.
    pub(crate) terminal: bool,
}

/// The container's ends.
#[derive(Debug)]
pub(crate) struct Inner {
    stdin: OwnedFd,
    stdout: OwnedFd,
    stderr: OwnedFd,
    terminal: bool,
}

/// Makes both ends.
pub(crate) fn open(config: &Config) -> io::Result<(Outer, Inner)> {
    match config.terminal {
        Some(size) => open_terminal(size, config.stdin, config.user.as_ref()),
        None => open_pipes(config.stdin),
    }
}

fn open_terminal(size: WindowSize, stdin: Stdin, user: Option<&User>) -> io::Result<(Outer, Inner)> {
    let OpenptyResult { master, slave } = openpty(&window(size), None::<&Termios>)?;
    for end in [&master, &slave] {
        fcntl(end, FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC))?;
    }
    if let Some(user) = user {
        nix::unistd::fchown(&slave, Some(user.uid.into()), None)?;
    }
    do_not_block(&master)?;
    let master = Arc::new(master);
    let stdin = match stdin {
        Stdin::Closed => None,
        Stdin::Open | Stdin::Once => Some(Arc::clone(&master)),
    };
    let inner = Inner {
        stdin: slave.try_clone()?,
        stdout: slave.try_clone()?,
        stderr: slave,
        terminal: true,
    };
    Ok((
        Outer {
            stdin,
            stdout: Some(master),
            stderr: None,
            terminal: true,
        },
        inner,
    ))
}

fn open_pipes(stdin: Stdin) -> io::Result<(Outer, Inner)> {
    let (in_inner, in_outer) = match stdin {
        Stdin::Closed => (OpenOptions::new().read(true).open("/dev/null")?.into(), None),
        Stdin::Open | Stdin::Once => {
            let (inner, outer) = pipe2(OFlag::O_CLOEXEC)?;
            do_not_block(&outer)?;
            (inner, Some(Arc::new(outer)))
        }
    };
    let (out_outer, out_inner) = pipe2(OFlag::O_CLOEXEC)?;
    let (err_outer, err_inner) = pipe2(OFlag::O_CLOEXEC)?;
    do_not_block(&out_outer)?;
    do_not_block(&err_outer)?;
    let outer = Outer {
        stdin: in_outer,
        stdout: Some(Arc::new(out_outer)),
        stderr: Some(err_outer),
        terminal: false,
    };
    Ok((
        outer,
        Inner {
            stdin: in_inner,
            stdout: out_inner,
            stderr: err_inner,
            terminal: false,
        },
    ))
}

impl Inner {
    /// In the child, after it has begun a session of its own: these become its standard streams.
    pub(crate) fn install(&self) -> io::Result<()> {
        dup2_stdin(&self.stdin)?;
        dup2_stdout(&self.stdout)?;
        dup2_stderr(&self.stderr)?;
        if self.terminal {
            take_terminal(io::stdin().as_fd())?;
        }
        Ok(())
    }
}

/// Makes `terminal` the controlling one of the calling session leader.
pub(crate) fn take_terminal(terminal: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the handle is open for the length of the call and TIOCSCTTY takes an integer.
    match unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSCTTY, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Tells a terminal its size; its foreground processes get SIGWINCH.
pub(crate) fn resize(terminal: &OwnedFd, size: WindowSize) -> io::Result<()> {
    let size = window(size);
    // SAFETY: the handle is open and TIOCSWINSZ reads one `winsize`.
    match unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn window(size: WindowSize) -> libc::winsize {
    libc::winsize {
        ws_row: size.rows,
        ws_col: size.cols,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

fn do_not_block(end: &OwnedFd) -> io::Result<()> {
    fcntl(end, FcntlArg::F_SETFL(OFlag::O_NONBLOCK | get_flags(end)?))?;
    Ok(())
}

fn get_flags(end: &OwnedFd) -> io::Result<OFlag> {
    Ok(OFlag::from_bits_retain(fcntl(end, FcntlArg::F_GETFL)?))
}
