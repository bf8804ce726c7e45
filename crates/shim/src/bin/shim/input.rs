//! What attached clients sent for the container's standard input and it has not read yet.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// Clients are not read from while more than this waits: the bound of the queue is this plus one frame each.
const ENOUGH: usize = 64 << 10;

/// The queue in front of standard input.
#[derive(Debug)]
pub(crate) struct Input {
    end: Option<Arc<OwnedFd>>,
    queue: VecDeque<u8>,
    closing: bool,
    terminal: bool,
}

impl Input {
    pub(crate) fn new(open: bool, terminal: bool) -> Self {
        Self {
            end: None,
            queue: VecDeque::new(),
            closing: !open,
            terminal,
        }
    }

    /// The container runs: this is where its input goes.
    pub(crate) fn connect(&mut self, end: Option<Arc<OwnedFd>>) {
        self.end = end;
    }

    /// Whether clients can still send.
    pub(crate) fn is_open(&self) -> bool {
        !self.closing
    }

    /// Whether clients should wait.
    pub(crate) fn is_full(&self) -> bool {
        self.queue.len() >= ENOUGH
    }

    /// What to wait for, if there is anything to write.
    pub(crate) fn wants(&self) -> Option<BorrowedFd<'_>> {
        self.end
            .as_ref()
            .filter(|_| !self.queue.is_empty())
            .map(|end| end.as_fd())
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if !self.closing {
            self.queue.extend(bytes);
        }
        self.pump();
    }

    /// No more will come. A terminal has no end of input that could be sent from outside; it stays open.
    pub(crate) fn close(&mut self) {
        self.closing |= !self.terminal;
        self.pump();
    }

    /// Writes what the container takes.
    pub(crate) fn pump(&mut self) {
        let Some(end) = &self.end else { return };
        while !self.queue.is_empty() {
            match nix::unistd::write(end, self.queue.as_slices().0) {
                Ok(written) => drop(self.queue.drain(..written)),
                Err(nix::Error::EINTR) => {}
                Err(nix::Error::EAGAIN) => return,
                // Nobody reads any more.
                Err(_) => {
                    self.queue.clear();
                    self.closing = true;
                }
            }
        }
        if self.closing {
            self.end = None;
        }
    }
}
