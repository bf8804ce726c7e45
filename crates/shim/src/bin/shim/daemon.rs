//! From a process that the agent started to one that nobody's end ends: own session, own directory, the
//! lock, nothing inherited. The first process stays only to pass on whether the command runs.

use crate::launch;
use crate::serve::Serve;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{ForkResult, chdir, dup2_stdin, dup2_stdout, fork, pipe2, setsid};
use plenum_shim::cgroup;
use plenum_shim::client::whole_file_lock;
use plenum_shim::config::Config;
use plenum_shim::files::{self, CONFIG, EXIT, LOCK, LOGS, SOCKET, STATUS};
use plenum_shim::logs::writer::LogWriter;
use plenum_shim::procfs;
use plenum_shim::state::{Exit, Outcome, Stage, StartFailure, Status};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::ExitCode;

/// What the agent reads: the status, or why there is none.
type Answer = Result<Status, StartFailure>;

/// `plenum-shim run DIR`.
pub(crate) fn run(dir: &Path) -> ExitCode {
    let Ok((answer, ready)) = pipe2(nix::fcntl::OFlag::O_CLOEXEC) else {
        return ExitCode::FAILURE;
    };
    // SAFETY: there is one thread, so nothing of the parent's state is torn in the child.
    match unsafe { fork() } {
        Ok(ForkResult::Parent { .. }) => {
            drop(ready);
            let mut text = Vec::new();
            let passed_on = File::from(answer)
                .read_to_end(&mut text)
                .and_then(|_| io::stdout().write_all(&text));
            if passed_on.is_ok() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Ok(ForkResult::Child) => {
            drop(answer);
            detach_and_serve(dir, File::from(ready));
            ExitCode::SUCCESS
        }
        Err(_) => ExitCode::FAILURE,
    }
}

fn detach_and_serve(dir: &Path, ready: File) {
    let (config, lock) = match detach(dir).and_then(|()| claim()) {
        Ok(claimed) => claimed,
        // Nothing is written: the directory may be another shim's.
        Err(failure) => return tell(ready, &Err(failure)),
    };
    match begin(&config) {
        Ok((serve, status)) => {
            tell(ready, &Ok(status));
            serve.run();
        }
        Err(failure) => {
            let exit = Exit {
                outcome: Outcome::NotStarted {
                    failure: failure.clone(),
                },
                started_at_ms: None,
                finished_at_ms: procfs::now_ms(),
                dropped_log_bytes: 0,
            };
            if let Err(error) = files::write_json(Path::new("."), EXIT, &exit) {
                eprintln!("cannot write the exit status: {error}");
            }
            let _ = std::fs::remove_file(SOCKET);
            tell(ready, &Err(failure));
        }
    }
    // Held to here: whoever finds the lock free finds the exit status.
    drop(lock);
}

fn tell(mut ready: File, answer: &Answer) {
    // An agent that is gone learns it from the files.
    let _ = serde_json::to_vec(answer).map(|text| ready.write_all(&text));
}

fn failure(what: &'static str) -> impl Fn(io::Error) -> StartFailure {
    move |error| StartFailure::new(Stage::Prepare, what, &error)
}

/// Leaves everything of the agent behind; from here on, paths are relative to the container's directory.
fn detach(dir: &Path) -> Result<(), StartFailure> {
    let io = failure("cannot leave the agent's session");
    chdir(dir).map_err(|error| failure("cannot enter the container's directory")(error.into()))?;
    setsid().map_err(|error| io(error.into()))?;
    umask(Mode::from_bits_truncate(0o077));
    // Only a kill ends a shim: an orderly shutdown of the machine must find the exit status written.
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None).map_err(|error| io(error.into()))?;
    let null = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")
        .map_err(&io)?;
    dup2_stdin(&null)
        .and_then(|()| dup2_stdout(&null))
        .map_err(|error| io(error.into()))?;
    Ok(())
}

/// Reads the order and makes this directory this shim's.
fn claim() -> Result<(Config, OwnedFd), StartFailure> {
    let here = Path::new(".");
    let lock = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(LOCK)
        .map_err(failure("cannot open the lock"))?;
    let taken = |why: &str| StartFailure {
        stage: Stage::Prepare,
        errno: None,
        message: why.to_owned(),
    };
    fcntl(&lock, FcntlArg::F_OFD_SETLK(&whole_file_lock()))
        .map_err(|_| taken("another shim runs in this directory"))?;
    if here.join(STATUS).exists() || here.join(EXIT).exists() {
        return Err(taken("this directory has served a start already"));
    }
    let config: Option<Config> =
        files::read_json(here, CONFIG).map_err(failure("cannot read the container's order"))?;
    let config = config.ok_or_else(|| taken("there is no order in this directory"))?;
    Ok((config, lock.into()))
}

fn begin(config: &Config) -> Result<(Serve, Status), StartFailure> {
    if let Some(why) = config.contradiction() {
        return Err(StartFailure {
            stage: Stage::Prepare,
            errno: None,
            message: why.to_owned(),
        });
    }
    for cgroup in &config.shim_cgroups {
        cgroup::join(cgroup).map_err(|error| {
            StartFailure::new(
                Stage::Cgroup,
                &format!("shim cannot join cgroup {}", cgroup.display()),
                &error,
            )
        })?;
    }
    launch::become_subreaper().map_err(failure("cannot become the reaper of the container"))?;
    // Best effort: without the privilege it is as likely to be chosen as any other small process.
    let _ = std::fs::write("/proc/self/oom_score_adj", "-999");
    let log = LogWriter::create(Path::new(LOGS), config.log).map_err(failure("cannot begin the log"))?;
    let listener = UnixListener::bind(SOCKET).map_err(failure("cannot open the control socket"))?;
    listener
        .set_nonblocking(true)
        .map_err(failure("cannot open the control socket"))?;
    let me = procfs::identify(std::process::id().cast_signed()).map_err(failure("cannot read /proc"))?;
    let status = Status {
        shim: me,
        main: None,
        boot_id: procfs::boot_id(),
        started_at_ms: None,
    };
    let mut serve = Serve::new(config.clone(), status, log, listener)
        .map_err(failure("cannot watch for the end of processes"))?;
    if config.hold {
        serve.write_status().map_err(failure("cannot write the status"))?;
    } else {
        serve.start()?;
    }
    let status = serve.status().clone();
    Ok((serve, status))
}
