//! Progress on standard error: one line that changes on a terminal, else a line whenever something changed.

use std::io::{self, IsTerminal, Write};

/// What was last shown.
#[derive(Default)]
pub(crate) struct Progress {
    last: String,
    drawn: bool,
}

impl Progress {
    /// Shows where the work stands, if that is news.
    pub(crate) fn show(&mut self, line: String) {
        if line == self.last {
            return;
        }
        let mut err = io::stderr().lock();
        // Nobody is helped when progress that cannot be shown ends the command.
        let _shown = if io::stderr().is_terminal() {
            let width = terminal_size::terminal_size().map_or(80, |(w, _)| usize::from(w.0));
            let cut: String = line.chars().take(width.saturating_sub(1)).collect();
            self.drawn = true;
            write!(err, "\r\x1b[K{cut}").and_then(|()| err.flush())
        } else {
            writeln!(err, "{line}")
        };
        self.last = line;
    }

    /// Leaves the line.
    pub(crate) fn end(&self) {
        if self.drawn {
            eprintln!();
        }
    }
}
