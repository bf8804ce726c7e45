//! The life of a shim after its start: one thread, one `poll`, asleep while nothing happens.
//!
//! held --start--> running --the command ends--> ended: the rest is killed, the output read to its end, the
//! exit written, the clients told.

use crate::input::Input;
use crate::launch::{Launched, launch};
use crate::peers::{MAX_PEERS, Peer, Role};
use crate::reap::{collect, end_the_rest, kill_all};
use crate::stdio::{Outer, resize};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;
use plenum_shim::config::{Config, Stdin};
use plenum_shim::files::{self, EXIT, SOCKET, STATUS};
use plenum_shim::logs::record::{Stream, Timestamp};
use plenum_shim::logs::writer::LogWriter;
use plenum_shim::procfs;
use plenum_shim::state::{Exit, Outcome, Stage, StartFailure, Status};
use plenum_shim::wire::{Frame, Reply, Request};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The beginning of a line (a prompt) reaches the log when it was not ended for this long.
const LINE_PATIENCE: Duration = Duration::from_secs(1);
/// How long a client may take to read the end after the container has ended.
const FAREWELL: Duration = Duration::from_secs(5);
/// How often the exit status is tried again on a disk that is full.
const RETRY: Duration = Duration::from_secs(1);

/// One container and its clients.
#[derive(Debug)]
pub(crate) struct Serve {
    config: Config,
    status: Status,
    phase: Phase,
    signals: SignalFd,
    listener: UnixListener,
    peers: Vec<Peer>,
    log: Option<LogWriter>,
    flush_at: Option<Instant>,
    /// Whether the exit is on disk. Nobody hears of it before: what was told must survive.
    kept: bool,
    input: Input,
    terminal: Option<Arc<OwnedFd>>,
    stdout: Option<Arc<OwnedFd>>,
    stderr: Option<OwnedFd>,
    buffer: Vec<u8>,
}

#[derive(Debug)]
enum Phase {
    Held,
    Running { main: Pid, init: Option<Pid> },
    Ended(Exit),
}

/// What a turn found ready.
#[derive(Debug, Clone, Copy)]
enum Source {
    Child,
    Listener,
    Stdout,
    Stderr,
    Stdin,
    Peer(usize),
}

impl Serve {
    pub(crate) fn new(
        config: Config,
        status: Status,
        log: LogWriter,
        listener: UnixListener,
    ) -> io::Result<Self> {
        let mut child = SigSet::empty();
        child.add(Signal::SIGCHLD);
        let signals = SignalFd::with_flags(&child, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let input = Input::new(config.stdin != Stdin::Closed, config.terminal.is_some());
        Ok(Self {
            config,
            status,
            phase: Phase::Held,
            signals,
            listener,
            peers: Vec::new(),
            log: Some(log),
            flush_at: None,
            kept: false,
            input,
            terminal: None,
            stdout: None,
            stderr: None,
            buffer: vec![0; 64 << 10],
        })
    }

    pub(crate) fn status(&self) -> &Status {
        &self.status
    }

    pub(crate) fn write_status(&self) -> io::Result<()> {
        files::write_json(Path::new("."), STATUS, &self.status)
    }

    /// Starts the command. After an error nothing of it is left.
    pub(crate) fn start(&mut self) -> Result<(), StartFailure> {
        let Launched { main, init, stdio } = launch(&self.config)?;
        let Outer {
            stdin,
            stdout,
            stderr,
            terminal,
        } = stdio;
        self.phase = Phase::Running { main, init };
        // It is this shim's child and not awaited yet, so it has its entry even if it has ended already.
        let recorded = procfs::identify(main.as_raw()).and_then(|id| {
            self.status.main = Some(id);
            self.status.started_at_ms = Some(procfs::now_ms());
            self.write_status()
        });
        if let Err(error) = recorded {
            kill_all(main, init, &self.config.cgroups);
            end_the_rest(init, &self.config.cgroups);
            return Err(StartFailure::new(
                Stage::Prepare,
                "cannot write the status",
                &error,
            ));
        }
        self.terminal = stdout.clone().filter(|_| terminal);
        self.stdout = stdout;
        self.stderr = stderr;
        self.input.connect(stdin);
        self.input.pump();
        Ok(())
    }

    /// Until the container has ended and everybody knows.
    pub(crate) fn run(mut self) {
        let exit = loop {
            if let Phase::Ended(exit) = &self.phase {
                break exit.clone();
            }
            self.turn(None);
        };
        while let Err(error) = files::write_json(Path::new("."), EXIT, &exit) {
            eprintln!("cannot write the exit status, trying again: {error}");
            self.turn(Some(Instant::now() + RETRY));
        }
        self.kept = true;
        // Who comes now finds the exit status.
        let _ = std::fs::remove_file(SOCKET);
        for peer in &mut self.peers {
            match peer.role {
                Role::Waiting => peer.reply(&Reply::Ended(exit.clone()), Role::Leaving),
                Role::Attached(_) => {
                    peer.push(&Frame::Ended(exit.clone()));
                    peer.role = Role::Leaving;
                }
                Role::Asking | Role::Leaving => {}
            }
        }
        let deadline = Instant::now() + FAREWELL;
        while self.peers.iter().any(Peer::has_output) && Instant::now() < deadline {
            self.turn(Some(deadline));
        }
    }

    /// Sleeps until something happens (or `until`), and does what follows from it.
    fn turn(&mut self, until: Option<Instant>) {
        for source in self.wait_for_events(until) {
            match source {
                Source::Child => self.on_child(),
                Source::Listener => self.accept(),
                Source::Stdout => self.copy(Stream::Stdout),
                Source::Stderr => self.copy(Stream::Stderr),
                Source::Stdin => self.input.pump(),
                Source::Peer(index) => self.on_peer(index),
            }
        }
        let now = Instant::now();
        if self.flush_at.is_some_and(|at| at <= now) {
            self.flush_at = None;
            if let Some(log) = &mut self.log {
                log.flush(Timestamp::now());
            }
        }
        let once = self.config.stdin == Stdin::Once;
        for peer in self.peers.extract_if(.., |peer| !peer.stays(now)) {
            if once && matches!(peer.role, Role::Attached(to) if to.stdin) {
                self.input.close();
            }
        }
    }

    fn wait_for_events(&self, until: Option<Instant>) -> Vec<Source> {
        let mut sources = vec![Source::Child];
        let mut handles = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        let mut add = |source, handle, flags| {
            sources.push(source);
            handles.push(PollFd::new(handle, flags));
        };
        if self.peers.len() < MAX_PEERS {
            add(Source::Listener, self.listener.as_fd(), PollFlags::POLLIN);
        }
        if !self.peers.iter().any(Peer::is_behind) {
            if let Some(stdout) = &self.stdout {
                add(Source::Stdout, stdout.as_fd(), PollFlags::POLLIN);
            }
            if let Some(stderr) = &self.stderr {
                add(Source::Stderr, stderr.as_fd(), PollFlags::POLLIN);
            }
        }
        if let Some(stdin) = self.input.wants() {
            add(Source::Stdin, stdin, PollFlags::POLLOUT);
        }
        for (index, peer) in self.peers.iter().enumerate() {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::POLLIN, !self.input.is_full());
            flags.set(PollFlags::POLLOUT, peer.has_output());
            add(Source::Peer(index), peer.stream.as_fd(), flags);
        }
        let stalls = self.peers.iter().filter_map(Peer::patience_ends).min();
        let wake = [until, self.flush_at, stalls].into_iter().flatten().min();
        if poll(&mut handles, timeout(wake)).is_err() {
            return Vec::new();
        }
        let ready = |handle: &PollFd<'_>| handle.any().unwrap_or(true);
        sources
            .into_iter()
            .zip(&handles)
            .filter(|(_, handle)| ready(handle))
            .map(|(source, _)| source)
            .collect()
    }

    fn on_child(&mut self) {
        while let Ok(Some(_)) = self.signals.read_signal() {}
        let Phase::Running { main, init } = self.phase else {
            collect(None);
            return;
        };
        if let (Some(outcome), _) = collect(Some(main)) {
            let finished_at_ms = procfs::now_ms();
            end_the_rest(init, &self.config.cgroups);
            self.end(outcome, finished_at_ms);
        }
    }

    /// All processes are gone: what they wrote is in the pipes, and no more will come.
    fn end(&mut self, outcome: Outcome, finished_at_ms: u64) {
        while self.stdout.is_some() && self.copy_once(Stream::Stdout) {}
        while self.stderr.is_some() && self.copy_once(Stream::Stderr) {}
        (self.stdout, self.stderr, self.terminal, self.flush_at) = (None, None, None, None);
        self.input.connect(None);
        let dropped_log_bytes = self.log.take().map_or(0, |log| log.close(Timestamp::now()));
        let started_at_ms = self.status.started_at_ms;
        self.phase = Phase::Ended(Exit {
            outcome,
            started_at_ms,
            finished_at_ms,
            dropped_log_bytes,
        });
    }

    fn copy(&mut self, stream: Stream) {
        self.copy_once(stream);
    }

    /// Copies one buffer of output to the log and the clients; `false` when there was nothing.
    fn copy_once(&mut self, stream: Stream) -> bool {
        let read = match (stream, &self.stdout, &self.stderr) {
            (Stream::Stdout, Some(from), _) => nix::unistd::read(from, &mut self.buffer),
            (Stream::Stderr, _, Some(from)) => nix::unistd::read(from, &mut self.buffer),
            (Stream::Stdout, None, _) | (Stream::Stderr, _, None) => return false,
        };
        let bytes = match read {
            Ok(read) if read > 0 => self.buffer.get(..read).unwrap_or_default(),
            Err(nix::Error::EAGAIN | nix::Error::EINTR) => return false,
            // The end; a terminal says EIO when its last user has closed it.
            Ok(_) | Err(_) => {
                match stream {
                    Stream::Stdout => self.stdout = None,
                    Stream::Stderr => self.stderr = None,
                }
                return false;
            }
        };
        if let Some(log) = &mut self.log {
            log.push(stream, bytes, Timestamp::now());
            self.flush_at = log.has_pending().then(|| Instant::now() + LINE_PATIENCE);
        }
        for peer in &mut self.peers {
            peer.show(stream, bytes);
        }
        true
    }

    fn accept(&mut self) {
        if let Ok((stream, _)) = self.listener.accept()
            && let Ok(peer) = Peer::new(stream)
        {
            self.peers.push(peer);
        }
    }

    fn on_peer(&mut self, index: usize) {
        let Some(peer) = self.peers.get_mut(index) else {
            return;
        };
        peer.send();
        if !self.input.is_full() && !peer.receive() {
            return;
        }
        if peer.role == Role::Asking
            && let Some(request) = peer.request()
        {
            self.answer(index, request);
        }
        while let Some(peer) = self
            .peers
            .get_mut(index)
            .filter(|peer| matches!(peer.role, Role::Attached(_)))
            && let Some(frame) = peer.frame()
        {
            match (frame, peer.role) {
                (Frame::Stdin(bytes), Role::Attached(to)) if to.stdin => self.input.push(&bytes),
                (Frame::CloseStdin, Role::Attached(to)) if to.stdin => self.input.close(),
                (Frame::Resize(size), _) => {
                    let _ = self.terminal.as_ref().map(|terminal| resize(terminal, size));
                }
                (
                    Frame::Stdin(_)
                    | Frame::CloseStdin
                    | Frame::Stdout(_)
                    | Frame::Stderr(_)
                    | Frame::Ended(_),
                    _,
                ) => peer.role = Role::Leaving,
            }
        }
    }

    fn answer(&mut self, index: usize, request: Result<Request, String>) {
        let (reply, role) = match request {
            Ok(request) => self.decide(request),
            Err(why) => (Some(Reply::Refused(why)), Role::Leaving),
        };
        let Some(peer) = self.peers.get_mut(index) else {
            return;
        };
        match reply {
            Some(reply) => peer.reply(&reply, role),
            None => peer.role = role,
        }
    }

    /// Does what is asked; no reply yet for those who wait.
    fn decide(&mut self, request: Request) -> (Option<Reply>, Role) {
        let done = (Some(Reply::Done), Role::Leaving);
        let refused = |why: &str| (Some(Reply::Refused(why.to_owned())), Role::Leaving);
        match (request, &self.phase) {
            (Request::Wait, Phase::Ended(exit)) if self.kept => {
                (Some(Reply::Ended(exit.clone())), Role::Leaving)
            }
            (Request::Wait, Phase::Held | Phase::Running { .. } | Phase::Ended(_)) => (None, Role::Waiting),
            (Request::Start, Phase::Held) => match self.start() {
                Ok(()) => done,
                Err(failure) => {
                    self.end(
                        Outcome::NotStarted {
                            failure: failure.clone(),
                        },
                        procfs::now_ms(),
                    );
                    (Some(Reply::NotStarted(failure)), Role::Leaving)
                }
            },
            (Request::Kill, Phase::Held) => {
                self.end(Outcome::Cancelled, procfs::now_ms());
                done
            }
            (Request::Signal { .. }, Phase::Held) => refused("the container is not started"),
            (Request::Kill, Phase::Running { main, init }) => {
                kill_all(*main, *init, &self.config.cgroups);
                done
            }
            (Request::Signal { signal }, Phase::Running { main, .. }) => {
                // SAFETY: plain integers; the process is this one's child and not awaited yet.
                if (1..=64).contains(&signal) && unsafe { libc::kill(main.as_raw(), signal) } == 0 {
                    done
                } else {
                    refused("there is no such signal")
                }
            }
            (Request::Resize(size), Phase::Running { .. }) => match &self.terminal {
                Some(terminal) if resize(terminal, size).is_ok() => done,
                Some(_) | None => refused("the container has no terminal"),
            },
            (Request::Resize(size), Phase::Held) if self.config.terminal.is_some() => {
                self.config.terminal = Some(size);
                done
            }
            (Request::Resize(_), Phase::Held) => refused("the container has no terminal"),
            (Request::Attach(to), Phase::Held | Phase::Running { .. }) => {
                if to.stdin && !self.input.is_open() {
                    refused("standard input of the container is not open")
                } else {
                    (Some(Reply::Done), Role::Attached(to))
                }
            }
            (Request::Attach(_) | Request::Resize(_), Phase::Ended(_)) => refused("the container has ended"),
            (Request::Start | Request::Kill | Request::Signal { .. }, _) => done,
        }
    }
}

fn timeout(wake: Option<Instant>) -> PollTimeout {
    let Some(wake) = wake else {
        return PollTimeout::NONE;
    };
    // One more, or the last fraction of a millisecond would be spent awake.
    let millis = wake.saturating_duration_since(Instant::now()).as_millis() + 1;
    PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)
}
