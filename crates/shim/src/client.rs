//! The agent's side: start a shim, find it again, talk to it.

use crate::cgroup;
use crate::config::{Config, ExecConfig, WindowSize};
use crate::files::{self, CONFIG, EXIT, LOCK, SHIM_LOG, SOCKET, STATUS};
use crate::procfs;
use crate::state::{Exit, StartFailure, Status};
use crate::wire::{Attach, MAX_PAYLOAD, Reply, Request};
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::stat::Mode;
use std::fs::{DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A shim whose lock is held but which has not said who it runs is between two lines of its own code. This
/// is how long it is waited for: only a machine that hangs needs more.
const SETTLE: Duration = Duration::from_secs(5);

/// Why a call to a shim failed.
#[derive(Debug, thiserror::Error)]
pub enum ShimError {
    /// The command could not be started; the container has ended.
    #[error(transparent)]
    NotStarted(#[from] StartFailure),
    /// The shim says no.
    #[error("{0}")]
    Refused(String),
    /// There is no shim (any more); [`recover`] says what became of the container.
    #[error("no shim runs in `{dir}`")]
    Gone {
        /// The container's directory.
        dir: PathBuf,
    },
    /// The system says no.
    #[error("cannot {op} in `{dir}`")]
    Io {
        /// What was attempted.
        op: &'static str,
        /// The container's directory.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn failed<'a>(op: &'static str, dir: &'a Path) -> impl Fn(io::Error) -> ShimError + 'a {
    move |source| ShimError::Io {
        op,
        dir: dir.to_owned(),
        source,
    }
}

/// What is found in a container's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovered {
    /// Its shim lives; `main` of the status is absent while it is held.
    Alive(Status),
    /// It has ended and nothing of it runs.
    Ended(Exit),
    /// No shim, no exit status. What is left of its processes, if it has a cgroup, can be in there.
    Gone {
        /// The last that was known, if it ever got so far.
        last: Option<Status>,
        /// Whether the machine was started anew since: then surely nothing runs.
        rebooted: bool,
    },
}

/// Writes the order into `dir` (made if needed, for its owner only) and starts the shim `binary` there.
/// When it returns, the command runs, or is held if the order says so; it no longer depends on the caller.
///
/// # Errors
/// `NotStarted` when the command could not be run; then the directory holds an exit status that says so.
pub fn launch(binary: &Path, dir: &Path, config: &Config) -> Result<Status, ShimError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(failed("make the directory", dir))?;
    files::write_json(dir, CONFIG, config).map_err(failed("write the order", dir))?;
    let complaints = File::create(dir.join(SHIM_LOG)).map_err(failed("open the shim's log", dir))?;
    let output = Command::new(binary)
        .arg("run")
        .arg(dir)
        .env_clear()
        .stdin(Stdio::null())
        .stderr(complaints)
        // Ctrl-C in the agent's terminal must not hit it in the moment before it has its own session.
        .process_group(0)
        .output()
        .map_err(failed("run the shim", dir))?;
    match serde_json::from_slice::<Result<Status, StartFailure>>(&output.stdout) {
        Ok(answer) => Ok(answer?),
        Err(source) => Err(failed("start the shim", dir)(source.into())),
    }
}

/// Looks what became of the container in `dir`, whoever started it and whenever.
///
/// # Errors
/// Only what the system said; a directory without anything is [`Recovered::Gone`].
pub fn recover(dir: &Path) -> Result<Recovered, ShimError> {
    let deadline = Instant::now() + SETTLE;
    loop {
        // The lock first: a shim that ends between the two looks has written its exit before it let go.
        let alive = is_locked(dir).map_err(failed("test the lock", dir))?;
        if let Some(exit) = files::read_json(dir, EXIT).map_err(failed("read the exit status", dir))? {
            return Ok(Recovered::Ended(exit));
        }
        let last: Option<Status> = files::read_json(dir, STATUS).map_err(failed("read the status", dir))?;
        match last {
            Some(status) if alive => return Ok(Recovered::Alive(status)),
            None if alive && Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
            last => {
                let rebooted = last
                    .as_ref()
                    .is_some_and(|status| status.boot_id != procfs::boot_id());
                return Ok(Recovered::Gone { last, rebooted });
            }
        }
    }
}

/// Ends what a container left behind whose shim was killed ([`Recovered::Gone`], not rebooted): what is in
/// `cgroups`, and the rest of the session of its command. Without a cgroup or a pid namespace, a process that
/// has begun a session of its own cannot be found.
pub fn sweep(last: &Status, cgroups: &[PathBuf]) {
    let deadline = Instant::now() + SETTLE;
    loop {
        let session = last.main.map(procfs::orphans_of_session).unwrap_or_default();
        for &pid in &session {
            let _ =
                nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
        }
        cgroup::kill(cgroups);
        let clean = session.is_empty() && cgroup::processes(cgroups).is_empty();
        if clean || Instant::now() > deadline {
            return;
        }
        thread::sleep(Duration::from_millis(2));
    }
}

fn is_locked(dir: &Path) -> io::Result<bool> {
    let file = match File::options().read(true).write(true).open(dir.join(LOCK)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let mut lock = whole_file_lock();
    fcntl(&file, FcntlArg::F_OFD_GETLK(&mut lock))?;
    Ok(i32::from(lock.l_type) != libc::F_UNLCK)
}

/// The one lock of a container's directory, to be taken with `F_OFD_SETLK`.
pub fn whole_file_lock() -> libc::flock {
    libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

/// Starts what is held. Repeating it changes nothing.
///
/// # Errors
/// `NotStarted` as for [`launch`].
pub fn start(dir: &Path) -> Result<(), ShimError> {
    done(dir, &Request::Start)
}

/// Sends the signal with this number to the command.
///
/// # Errors
/// `Refused` for a number that is no signal, or while it is held.
pub fn signal(dir: &Path, signal: i32) -> Result<(), ShimError> {
    done(dir, &Request::Signal { signal })
}

/// Ends every process of the container, or cancels it while it is held.
///
/// # Errors
/// `Gone` when there is nothing to kill any more.
pub fn kill(dir: &Path) -> Result<(), ShimError> {
    done(dir, &Request::Kill)
}

/// Tells the terminal its new size.
///
/// # Errors
/// `Refused` when it has none.
pub fn resize(dir: &Path, size: WindowSize) -> Result<(), ShimError> {
    done(dir, &Request::Resize(size))
}

/// Waits for the end and gives it; at once if it has ended already.
///
/// # Errors
/// `Gone` when the shim is away without an exit status.
pub fn wait(dir: &Path) -> Result<Exit, ShimError> {
    match call(dir, &Request::Wait) {
        Ok((Reply::Ended(exit), _)) => Ok(exit),
        Ok((Reply::Done | Reply::NotStarted(_) | Reply::Refused(_), _)) | Err(ShimError::Gone { .. }) => {
            let found = files::read_json(dir, EXIT).map_err(failed("read the exit status", dir))?;
            found.ok_or_else(|| ShimError::Gone { dir: dir.to_owned() })
        }
        Err(error) => Err(error),
    }
}

/// The asynchronous half of [`wait`]: a stream that becomes readable, or ends, when the container has ended.
/// It may be made non-blocking; what can be read is one line with a [`Reply::Ended`]. If it just ends, call
/// [`recover`].
///
/// # Errors
/// `Gone` when no shim runs any more, as after [`Recovered::Ended`].
pub fn watch(dir: &Path) -> Result<UnixStream, ShimError> {
    ask(dir, &Request::Wait)
}

/// Joins the streams of the container. On the stream that is returned both sides send
/// [`crate::wire::Frame`]s; it may be made non-blocking and given to an async runtime.
///
/// # Errors
/// `Refused` for input that is not open.
pub fn attach(dir: &Path, streams: Attach) -> Result<UnixStream, ShimError> {
    match call(dir, &Request::Attach(streams))? {
        (Reply::Refused(why), _) => Err(ShimError::Refused(why)),
        (Reply::Done | Reply::Ended(_) | Reply::NotStarted(_), stream) => Ok(stream),
    }
}

fn done(dir: &Path, request: &Request) -> Result<(), ShimError> {
    match call(dir, request)?.0 {
        Reply::Done | Reply::Ended(_) => Ok(()),
        Reply::NotStarted(failure) => Err(failure.into()),
        Reply::Refused(why) => Err(ShimError::Refused(why)),
    }
}

/// Connects and asks.
fn ask(dir: &Path, request: &Request) -> Result<UnixStream, ShimError> {
    let mut stream = match connect(dir) {
        Ok(stream) => stream,
        Err(error) => {
            return Err(match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => gone(dir),
                _ => failed("connect to the shim", dir)(error),
            });
        }
    };
    let io = failed("talk to the shim", dir);
    let mut line = serde_json::to_vec(request).map_err(|error| io(error.into()))?;
    line.push(b'\n');
    match stream.write_all(&line) {
        Ok(()) => Ok(stream),
        Err(error) if hung_up(&error) => Err(gone(dir)),
        Err(error) => Err(io(error)),
    }
}

/// Asks, reads the reply and not one byte more.
fn call(dir: &Path, request: &Request) -> Result<(Reply, UnixStream), ShimError> {
    let mut stream = ask(dir, request)?;
    let io = failed("talk to the shim", dir);
    let (mut reply, mut byte) = (Vec::new(), [0]);
    loop {
        match stream.read(&mut byte) {
            Ok(0) => return Err(gone(dir)),
            Ok(_) if byte == *b"\n" => break,
            Ok(_) if reply.len() > MAX_PAYLOAD => return Err(io(io::ErrorKind::InvalidData.into())),
            Ok(_) => reply.extend(byte),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if hung_up(&error) => return Err(gone(dir)),
            Err(error) => return Err(io(error)),
        }
    }
    let reply = serde_json::from_slice(&reply).map_err(|error| io(error.into()))?;
    Ok((reply, stream))
}

fn gone(dir: &Path) -> ShimError {
    ShimError::Gone { dir: dir.to_owned() }
}

fn hung_up(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
    )
}

fn connect(dir: &Path) -> io::Result<UnixStream> {
    // A socket's path may have 107 bytes, the directory's may be longer: go through a handle of it.
    let handle = open(
        dir,
        OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC,
        Mode::empty(),
    )?;
    UnixStream::connect(format!("/proc/self/fd/{}/{SOCKET}", handle.as_raw_fd()))
}

/// A command that runs `exec` inside the running container in `dir`; the caller gives it its standard streams
/// (with a terminal: the terminal's inner end for all three) and waits for it. Its exit code is that of
/// `exec`'s program, 128 plus the number of the signal that ended it, 127 when there is no such program and
/// 126 when nothing could be run for another reason, which stands on its standard error then. It ends what
/// it runs when the caller's process or the container ends.
///
/// # Errors
/// What the system said.
pub fn exec_command(binary: &Path, dir: &Path, exec: &ExecConfig) -> Result<Command, ShimError> {
    // In a file, not in the arguments, which every user of the machine can read.
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let name = format!("exec-{}-{number}.json", std::process::id());
    files::write_json(dir, &name, exec).map_err(failed("write the exec order", dir))?;
    let mut command = Command::new(binary);
    command.arg("exec").arg(dir).arg(name).env_clear();
    Ok(command)
}
