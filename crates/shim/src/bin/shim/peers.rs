//! The clients of the control socket: their bytes in and out. What they ask for is decided in `serve`.

use plenum_shim::logs::record::Stream;
use plenum_shim::wire::{Attach, Frame, MAX_REQUEST, Reply, Request};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Output is not read from the container while an attached client has more than this to take ...
const ENOUGH: usize = 256 << 10;
/// ... unless it takes nothing for so long: then the client goes, not the container's progress.
const STALL: Duration = Duration::from_secs(10);
/// Answers to requests are small; who does not take them within this many turns of the socket is gone.
pub(crate) const MAX_PEERS: usize = 128;

/// What a client is here for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Has not said yet.
    Asking,
    /// Will be told the end.
    Waiting,
    /// Has joined some streams.
    Attached(Attach),
    /// Takes its last bytes and goes.
    Leaving,
}

/// One client.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) stream: UnixStream,
    pub(crate) role: Role,
    input: Vec<u8>,
    output: Vec<u8>,
    /// Since when it has taken nothing although it could.
    stalled: Option<Instant>,
    gone: bool,
}

impl Peer {
    pub(crate) fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let (input, output) = (Vec::new(), Vec::new());
        Ok(Self {
            stream,
            role: Role::Asking,
            input,
            output,
            stalled: None,
            gone: false,
        })
    }

    /// Reads what is there; `false` when nothing more will come.
    pub(crate) fn receive(&mut self) -> bool {
        let mut buffer = [0; 16 << 10];
        match self.stream.read(&mut buffer) {
            Ok(0) => self.gone = true,
            Ok(read) => self.input.extend_from_slice(&buffer[..read]),
            Err(error) if would_block(&error) => {}
            Err(_) => self.gone = true,
        }
        !self.gone
    }

    /// The request, once it is whole.
    pub(crate) fn request(&mut self) -> Option<Result<Request, String>> {
        let Some(end) = self.input.iter().position(|&byte| byte == b'\n') else {
            let too_long = self.input.len() > MAX_REQUEST;
            return too_long.then(|| Err("the request is too long".to_owned()));
        };
        let line: Vec<u8> = self.input.drain(..=end).collect();
        Some(serde_json::from_slice(&line).map_err(|error| format!("not a request: {error}")))
    }

    /// The next whole frame of an attached client.
    pub(crate) fn frame(&mut self) -> Option<Frame> {
        Frame::decode(&mut self.input).unwrap_or_else(|_| {
            self.gone = true;
            None
        })
    }

    pub(crate) fn reply(&mut self, reply: &Reply, role: Role) {
        self.output.extend(serde_json::to_vec(reply).unwrap_or_default());
        self.output.push(b'\n');
        self.role = role;
        self.send();
    }

    pub(crate) fn show(&mut self, stream: Stream, bytes: &[u8]) {
        let Role::Attached(to) = self.role else { return };
        let (frame, wanted) = match stream {
            Stream::Stdout => (Frame::Stdout(bytes.to_vec()), to.stdout),
            Stream::Stderr => (Frame::Stderr(bytes.to_vec()), to.stderr),
        };
        if wanted {
            self.push(&frame);
        }
    }

    pub(crate) fn push(&mut self, frame: &Frame) {
        frame.encode(&mut self.output);
        self.send();
    }

    /// Writes what the client takes.
    pub(crate) fn send(&mut self) {
        let mut sent = 0;
        while sent < self.output.len() && !self.gone {
            match self.stream.write(&self.output[sent..]) {
                Ok(written) => sent += written,
                Err(error) if would_block(&error) => break,
                Err(_) => self.gone = true,
            }
        }
        self.output.drain(..sent);
        if self.output.is_empty() {
            self.stalled = None;
        } else if sent > 0 || self.stalled.is_none() {
            self.stalled = Some(Instant::now());
        }
    }

    pub(crate) fn has_output(&self) -> bool {
        !self.output.is_empty() && !self.gone
    }

    pub(crate) fn is_behind(&self) -> bool {
        self.output.len() > ENOUGH && !self.gone
    }

    /// When it will count as stalled.
    pub(crate) fn patience_ends(&self) -> Option<Instant> {
        self.stalled.map(|since| since + STALL)
    }

    /// Whether there is a reason to keep the connection.
    pub(crate) fn stays(&self, now: Instant) -> bool {
        let finished = self.role == Role::Leaving && self.output.is_empty();
        !self.gone && !finished && self.patience_ends().is_none_or(|end| now < end)
    }
}

fn would_block(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}
