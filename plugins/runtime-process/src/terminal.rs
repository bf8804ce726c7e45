//! A pseudo-terminal whose outer end is read and written without blocking.

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::libc;
use nix::pty::{OpenptyResult, openpty};
use nix::sys::termios::Termios;
use plenum_contract::streams::WindowSize;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The outer end.
#[derive(Debug)]
pub(crate) struct Terminal {
    end: AsyncFd<OwnedFd>,
}

/// Makes a terminal: both ends, the inner one for the program. To be called within the async runtime.
pub(crate) fn open(size: WindowSize) -> io::Result<(Terminal, OwnedFd)> {
    let OpenptyResult { master, slave } = openpty(&window(size), None::<&Termios>)?;
    for end in [&master, &slave] {
        fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    }
    let flags = OFlag::from_bits_retain(fcntl(&master, FcntlArg::F_GETFL)?);
    fcntl(&master, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    // SAFETY: an `OwnedFd` keeps its number open for as long as it lives, and it lives in the registration.
    let end = unsafe { AsyncFd::register(master)? };
    Ok((Terminal { end }, slave))
}

impl Terminal {
    /// Reads some output; 0 when nobody has the inner end open any more.
    pub(crate) async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self
            .end
            .async_io(Interest::READABLE, |end| Ok(nix::unistd::read(end, buffer)?))
            .await;
        match read {
            Err(error) if error.raw_os_error() == Some(libc::EIO) => Ok(0),
            other => other,
        }
    }

    /// Writes all of `bytes`.
    pub(crate) async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let write = |end: &OwnedFd| Ok(nix::unistd::write(end, bytes)?);
            let written = self.end.async_io(Interest::WRITABLE, write).await?;
            bytes = bytes.get(written..).unwrap_or_default();
        }
        Ok(())
    }

    /// Gives it another size.
    pub(crate) fn resize(&self, size: WindowSize) -> io::Result<()> {
        let size = window(size);
        // SAFETY: the handle is open and TIOCSWINSZ reads one `winsize`.
        match unsafe { libc::ioctl(self.end.get_ref().as_raw_fd(), libc::TIOCSWINSZ, &raw const size) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
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
