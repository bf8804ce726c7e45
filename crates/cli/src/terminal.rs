//! The terminal of whoever runs the command: raw while a session has it, as it was afterwards.

use nix::sys::termios::{self, SetArg, Termios};
use plenum_client::v1::stream::WindowSize;
use std::io::{self, IsTerminal};

/// The terminal in raw mode. Dropping it restores what was, also when the command fails.
pub(crate) struct Raw(Termios);

impl Raw {
    /// Takes over standard input, when it is a terminal.
    pub(crate) fn enter() -> io::Result<Option<Self>> {
        let stdin = io::stdin();
        if !stdin.is_terminal() {
            return Ok(None);
        }
        let was = termios::tcgetattr(&stdin)?;
        let mut raw = was.clone();
        termios::cfmakeraw(&mut raw);
        termios::tcsetattr(&stdin, SetArg::TCSANOW, &raw)?;
        Ok(Some(Self(was)))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // The terminal may have gone with its window; then nothing is to be restored.
        let _restored = termios::tcsetattr(io::stdin(), SetArg::TCSADRAIN, &self.0);
    }
}

/// The size of the terminal; of 24 lines and 80 characters where there is none to ask.
pub(crate) fn size() -> WindowSize {
    match terminal_size::terminal_size() {
        Some((width, height)) => WindowSize {
            rows: height.0,
            cols: width.0,
        },
        None => WindowSize { rows: 24, cols: 80 },
    }
}
