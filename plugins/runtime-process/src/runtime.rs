//! The verbs. Each looks at the container's directory, does one step, and says what stands in the way; all
//! that blocks runs on the blocking pool, and waiting for the end is a socket that becomes readable.

use crate::abilities::Abilities;
use crate::blocking::{FlowError, NAME, RunError, blocking, chain, failed};
use crate::cgroups::hierarchy;
use crate::cgroups::tree::Tree;
use crate::exit::{Evidence, explain, refusal, vanished};
use crate::order::{self, Order, refused};
use crate::record::{self, Record};
use crate::{attach, exec, logs, signals, stats, top};
use async_trait::async_trait;
use futures::stream::BoxStream;
use plenum_contract::runtime::{
    ContainerKey, ContainerNames, ContainerPlan, Found, FoundState, Runtime, RuntimeError, RuntimeIo,
};
use plenum_contract::streams::{
    ExecRequest, LogQuery, ProcessTable, Stats, StreamError, StreamInput, StreamOutput,
};
use plenum_model::node::RuntimeFacts;
use plenum_model::task::{Exit, ExitReason};
use plenum_shim::client::{self, Recovered, ShimError};
use plenum_shim::logs::reader::LogReader;
use plenum_shim::logs::record::Stream;
use plenum_shim::state::{self, Outcome, Status};
use plenum_shim::wire::Reply;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

/// How long a container that was killed may take to be gone when it is removed.
const DYING: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(5);

/// What it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// A directory of its own, made if needed. Containers found in it are taken over.
    pub dir: PathBuf,
    /// The name of its cgroups below the mounts (`plenum/node-1`), different for each agent of a machine.
    pub cgroup: PathBuf,
}

/// Containers that are processes of this machine. Clones share everything.
#[derive(Debug, Clone)]
pub struct ProcessRuntime {
    engine: Arc<Engine>,
}

/// What the verbs work with.
#[derive(Debug)]
pub(crate) struct Engine {
    containers: PathBuf,
    pub(crate) shim: PathBuf,
    pub(crate) tree: Tree,
    pub(crate) can: Abilities,
    /// Making a container and clearing away what belongs to none exclude each other.
    clearing: Mutex<()>,
}

impl ProcessRuntime {
    /// Finds out what this machine can do and puts the shim in place. Starts nothing that stays.
    ///
    /// # Errors
    /// `Refused` for settings that cannot be, `Failed` when the directory cannot be used.
    pub async fn open(settings: Settings) -> Result<Self, RuntimeError> {
        let engine = blocking("open", move || Engine::open(&settings).map_err(RunError)).await;
        Ok(Self {
            engine: Arc::new(engine.map_err(|RunError(error)| error)?),
        })
    }

    async fn run<T: Send + 'static>(
        &self,
        op: &'static str,
        work: impl FnOnce(&Engine) -> Result<T, RuntimeError> + Send + 'static,
    ) -> Result<T, RuntimeError> {
        let engine = Arc::clone(&self.engine);
        blocking(op, move || work(&engine).map_err(RunError))
            .await
            .map_err(|RunError(error)| error)
    }

    /// As [`Self::run`], for streams.
    async fn serve<T: Send + 'static>(
        &self,
        op: &'static str,
        work: impl FnOnce(&Engine) -> Result<T, StreamError> + Send + 'static,
    ) -> Result<T, StreamError> {
        let engine = Arc::clone(&self.engine);
        blocking(op, move || work(&engine).map_err(FlowError))
            .await
            .map_err(|FlowError(error)| error)
    }
}

#[async_trait]
impl Runtime for ProcessRuntime {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn facts(&self) -> Result<RuntimeFacts, RuntimeError> {
        let version = format!("{} ({})", env!("CARGO_PKG_VERSION"), self.engine.tree.describe());
        Ok(RuntimeFacts {
            version,
            capabilities: self.engine.can.capabilities(),
        })
    }

    async fn prepare(&self, plan: &ContainerPlan) -> Result<(), RuntimeError> {
        let plan = plan.clone();
        self.run("prepare", move |engine| engine.prepare(&plan)).await
    }

    async fn start(&self, key: &ContainerKey) -> Result<(), RuntimeError> {
        let key = key.clone();
        self.run("start", move |engine| engine.start(&key)).await
    }

    async fn wait(&self, key: &ContainerKey) -> Result<Exit, RuntimeError> {
        loop {
            let wanted = key.clone();
            let stream = match self.run("wait", move |engine| engine.watch(&wanted)).await? {
                Watched::Ended(exit) => return Ok(exit),
                Watched::Runs(stream) => stream,
            };
            let ended = read_end(stream).await.map_err(|error| failed("wait", &error))?;
            if let Some(end) = ended {
                let wanted = key.clone();
                return self
                    .run("wait", move |engine| engine.explain(&wanted, &end))
                    .await;
            }
        }
    }

    async fn signal(&self, key: &ContainerKey, signal: &str) -> Result<(), RuntimeError> {
        let (key, signal) = (key.clone(), signal.to_owned());
        self.run("signal", move |engine| engine.signal(&key, &signal))
            .await
    }

    async fn remove(&self, key: &ContainerKey) -> Result<(), RuntimeError> {
        let key = key.clone();
        self.run("remove", move |engine| engine.remove(&key)).await
    }

    async fn recover(&self) -> Result<Vec<Found>, RuntimeError> {
        self.run("recover", Engine::recover).await
    }
}

#[async_trait]
impl RuntimeIo for ProcessRuntime {
    async fn logs(&self, key: &ContainerKey, query: LogQuery) -> Result<StreamOutput, StreamError> {
        let key = key.clone();
        self.serve("read the log", move |engine| logs::open(engine, &key, &query))
            .await
    }

    async fn exec(
        &self,
        key: &ContainerKey,
        request: ExecRequest,
        input: BoxStream<'static, StreamInput>,
    ) -> Result<StreamOutput, StreamError> {
        let key = key.clone();
        let ready = self
            .serve("exec", move |engine| exec::prepare(engine, &key, request))
            .await?;
        exec::run(ready, input)
    }

    async fn attach(
        &self,
        key: &ContainerKey,
        input: BoxStream<'static, StreamInput>,
    ) -> Result<StreamOutput, StreamError> {
        let key = key.clone();
        let stream = self
            .serve("attach", move |engine| attach::connect(engine, &key))
            .await?;
        attach::run(stream, input)
    }

    async fn top(&self, key: &ContainerKey, arguments: &str) -> Result<ProcessTable, StreamError> {
        top::check(arguments)?;
        let key = key.clone();
        self.serve("list the processes", move |engine| top::read(engine, &key))
            .await
    }

    async fn stats(&self, key: &ContainerKey) -> Result<Stats, StreamError> {
        let key = key.clone();
        self.serve("read the usage", move |engine| stats::read(engine, &key))
            .await
    }
}

enum Watched {
    Ended(Exit),
    Runs(std::os::unix::net::UnixStream),
}

/// The exit once the shim says it; none if the shim went without a word.
async fn read_end(stream: std::os::unix::net::UnixStream) -> io::Result<Option<state::Exit>> {
    stream.set_nonblocking(true)?;
    let mut text = Vec::new();
    // A shim that is killed resets the connection.
    let _ = UnixStream::from_std(stream)?.read_to_end(&mut text).await;
    match serde_json::from_slice(&text) {
        Ok(Reply::Ended(exit)) => Ok(Some(exit)),
        Ok(Reply::Done | Reply::NotStarted(_) | Reply::Refused(_)) | Err(_) => {
            // The lock of a process that is being killed may outlive its socket by a moment.
            tokio::time::sleep(PAUSE).await;
            Ok(None)
        }
    }
}

impl Engine {
    fn open(settings: &Settings) -> Result<Self, RuntimeError> {
        let relative = |path: &Path| path.components().all(|part| matches!(part, Component::Normal(_)));
        if settings.cgroup.as_os_str().is_empty() || !relative(&settings.cgroup) {
            let why = format!("`{}` is no relative path for cgroups", settings.cgroup.display());
            return Err(refused(ExitReason::Setup, &why));
        }
        let io = |error: io::Error| failed("open", &format!("{}: {error}", settings.dir.display()));
        let dir = std::path::absolute(&settings.dir).map_err(io)?;
        let containers = dir.join("containers");
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&containers)
            .map_err(io)?;
        let shim = plenum_shim::binary::install(&dir.join("bin")).map_err(io)?;
        let mountinfo = fs::read_to_string("/proc/self/mountinfo").map_err(io)?;
        let tree = Tree::probe(hierarchy::find(&mountinfo), &settings.cgroup);
        let scratch = dir.join("probe");
        clear(&scratch).map_err(io)?;
        let can = Abilities::probe(&shim, &scratch, tree.controllers());
        clear(&scratch).map_err(io)?;
        tracing::debug!(cgroups = tree.describe(), ?can, "runtime process opened");
        Ok(Self {
            containers,
            shim,
            tree,
            can,
            clearing: Mutex::new(()),
        })
    }

    /// The directory and record of a container.
    pub(crate) fn find(&self, key: &ContainerKey) -> io::Result<Option<(PathBuf, Record)>> {
        let dir = self.containers.join(record::name(key));
        Ok(Record::read(&dir)?.map(|record| (dir, record)))
    }

    /// The directory and record of a container that must be there, and what it does.
    fn look(
        &self,
        op: &'static str,
        key: &ContainerKey,
    ) -> Result<(PathBuf, Record, Recovered), RuntimeError> {
        let found = self.find(key).map_err(|error| failed(op, &error))?;
        let (dir, record) = found.ok_or_else(|| RuntimeError::NotFound { key: key.clone() })?;
        let state = client::recover(&dir).map_err(|error| failed(op, &chain(&error)))?;
        match &state {
            // It was being prepared when the agent or the machine went down: as if it had never been.
            Recovered::Gone { last, .. } if last.as_ref().is_none_or(|status| status.main.is_none()) => {
                Err(RuntimeError::NotFound { key: key.clone() })
            }
            Recovered::Gone { .. } | Recovered::Alive(_) | Recovered::Ended(_) => Ok((dir, record, state)),
        }
    }

    fn prepare(&self, plan: &ContainerPlan) -> Result<(), RuntimeError> {
        match self.look("prepare", &plan.key) {
            Ok(_) => return Ok(()),
            Err(RuntimeError::NotFound { .. }) => {}
            Err(other) => return Err(other),
        }
        let io = |error: io::Error| failed("prepare", &error);
        let Order { mut config, owner } = order::make(plan, &self.can)?;
        if let Some(owner) = owner {
            give_away(&plan.sandbox, &owner).map_err(|error| {
                failed(
                    "prepare",
                    &format!("cannot give the sandbox to user {}: {error}", owner.uid),
                )
            })?;
        }
        let unenforced = order::unenforced(plan, &self.can);
        if !unenforced.is_empty() {
            tracing::warn!(key = %plan.key, missing = ?unenforced, "runs without caps this machine cannot enforce");
        }
        let record = Record::new(&plan.key, plan.caps.memory_limit_bytes, plan.stdin);
        let dir = self.containers.join(&record.cgroup);
        let clearing = self.clearing.lock().unwrap_or_else(PoisonError::into_inner);
        self.wipe(&dir, &record.cgroup).map_err(io)?;
        record.write(&dir).map_err(io)?;
        let limited = self.tree.create(&record.cgroup, &plan.caps);
        drop(clearing);
        config.cgroups = self.tree.dirs(&record.cgroup);
        config.shim_cgroups = self.tree.shim_dirs();
        let launched = match limited {
            Ok(()) => {
                client::launch(&self.shim, &dir, &config).map_err(|error| failed("prepare", &chain(&error)))
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                Err(refused(ExitReason::Setup, &error.to_string()))
            }
            Err(error) => Err(failed("prepare", &error)),
        };
        if launched.is_err()
            && let Err(error) = self.wipe(&dir, &record.cgroup)
        {
            tracing::warn!(%error, key = %plan.key, "cannot clear away what could not be prepared");
        }
        launched.map(|_| ())
    }

    fn start(&self, key: &ContainerKey) -> Result<(), RuntimeError> {
        let (dir, _, state) = self.look("start", key)?;
        match state {
            Recovered::Alive(Status { main: None, .. }) => match client::start(&dir) {
                Ok(()) => Ok(()),
                Err(ShimError::NotStarted(failure)) => Err(refusal(failure)),
                Err(error) => Err(failed("start", &chain(&error))),
            },
            Recovered::Ended(state::Exit {
                outcome: Outcome::NotStarted { failure },
                ..
            }) => Err(refusal(failure)),
            Recovered::Alive(_) | Recovered::Ended(_) | Recovered::Gone { .. } => Ok(()),
        }
    }

    fn watch(&self, key: &ContainerKey) -> Result<Watched, RuntimeError> {
        let (dir, record, state) = self.look("wait", key)?;
        match state {
            Recovered::Ended(exit) => Ok(Watched::Ended(self.explained(&dir, &record, &exit))),
            Recovered::Gone { last, rebooted } => {
                Ok(Watched::Ended(self.gone(&record, last.as_ref(), rebooted)))
            }
            Recovered::Alive(_) => match client::watch(&dir) {
                Ok(stream) => Ok(Watched::Runs(stream)),
                // It ended between the two looks.
                Err(ShimError::Gone { .. }) => match client::recover(&dir) {
                    Ok(Recovered::Ended(exit)) => Ok(Watched::Ended(self.explained(&dir, &record, &exit))),
                    Ok(Recovered::Gone { last, rebooted }) => {
                        Ok(Watched::Ended(self.gone(&record, last.as_ref(), rebooted)))
                    }
                    Ok(Recovered::Alive(_)) => Err(failed("wait", "its shim does not answer")),
                    Err(error) => Err(failed("wait", &chain(&error))),
                },
                Err(error) => Err(failed("wait", &chain(&error))),
            },
        }
    }

    fn explain(&self, key: &ContainerKey, exit: &state::Exit) -> Result<Exit, RuntimeError> {
        let found = self.find(key).map_err(|error| failed("wait", &error))?;
        let (dir, record) = found.ok_or_else(|| RuntimeError::NotFound { key: key.clone() })?;
        Ok(self.explained(&dir, &record, exit))
    }

    fn explained(&self, dir: &Path, record: &Record, exit: &state::Exit) -> Exit {
        let last_words = match exit.outcome {
            Outcome::Code { code: 127 } => last_words(dir).unwrap_or_default(),
            Outcome::Code { .. }
            | Outcome::Signal { .. }
            | Outcome::NotStarted { .. }
            | Outcome::Cancelled => None,
        };
        let oom_kills = self.tree.oom_kills(&record.cgroup);
        explain(
            &exit.outcome,
            &Evidence {
                oom_kills,
                memory_limit: record.memory_limit,
                last_words,
            },
        )
    }

    /// Ends what is left of a container whose shim was killed.
    fn gone(&self, record: &Record, last: Option<&Status>, rebooted: bool) -> Exit {
        if let Some(last) = last
            && !rebooted
        {
            client::sweep(last, &self.tree.dirs(&record.cgroup));
        }
        vanished(rebooted)
    }

    fn signal(&self, key: &ContainerKey, signal: &str) -> Result<(), RuntimeError> {
        let number = signals::number(signal)
            .ok_or_else(|| refused(ExitReason::Setup, &format!("there is no signal `{signal}`")))?;
        let (dir, _, state) = self.look("signal", key)?;
        let sent = match state {
            Recovered::Ended(_) | Recovered::Gone { .. } => return Ok(()),
            Recovered::Alive(_) if number == nix::libc::SIGKILL => client::kill(&dir),
            Recovered::Alive(_) => client::signal(&dir, number),
        };
        match sent {
            Ok(()) | Err(ShimError::Gone { .. }) => Ok(()),
            Err(error) => Err(failed("signal", &chain(&error))),
        }
    }

    fn remove(&self, key: &ContainerKey) -> Result<(), RuntimeError> {
        let name = record::name(key);
        let dir = self.containers.join(&name);
        let deadline = Instant::now() + DYING;
        loop {
            match client::recover(&dir).map_err(|error| failed("remove", &chain(&error)))? {
                Recovered::Ended(_) => break,
                Recovered::Gone { last, rebooted } => {
                    if let Some(last) = last.filter(|_| !rebooted) {
                        client::sweep(&last, &self.tree.dirs(&name));
                    }
                    break;
                }
                Recovered::Alive(Status { main: None, .. }) => match client::kill(&dir) {
                    Ok(()) | Err(ShimError::Gone { .. }) => {}
                    Err(error) => return Err(failed("remove", &chain(&error))),
                },
                Recovered::Alive(_) if Instant::now() < deadline => {}
                Recovered::Alive(_) => return Err(failed("remove", "the container is running")),
            }
            thread::sleep(PAUSE);
        }
        self.wipe(&dir, &name).map_err(|error| failed("remove", &error))?;
        self.tree.prune();
        Ok(())
    }

    fn recover(&self) -> Result<Vec<Found>, RuntimeError> {
        let io = |error: io::Error| failed("recover", &error);
        let _clearing = self.clearing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = Vec::new();
        for dir in record::list(&self.containers).map_err(io)? {
            let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let record = match Record::read(&dir) {
                Ok(Some(record)) => record,
                Ok(None) => {
                    self.wipe(&dir, &name).map_err(io)?;
                    continue;
                }
                Err(error) => {
                    tracing::warn!(%error, dir = %dir.display(), "a container's record cannot be read");
                    continue;
                }
            };
            let key = record.key();
            let state = match self.look("recover", &key) {
                Ok((_, _, Recovered::Alive(Status { main: None, .. }))) => FoundState::Prepared,
                Ok((_, _, Recovered::Alive(_))) => FoundState::Running,
                Ok((_, _, Recovered::Ended(exit))) => FoundState::Ended(self.explained(&dir, &record, &exit)),
                Ok((_, _, Recovered::Gone { last, rebooted })) => {
                    FoundState::Ended(self.gone(&record, last.as_ref(), rebooted))
                }
                Err(RuntimeError::NotFound { .. }) => {
                    self.wipe(&dir, &name).map_err(io)?;
                    continue;
                }
                Err(other) => return Err(other),
            };
            found.push(Found {
                key,
                state,
                names: ContainerNames::default(),
            });
        }
        self.clear_foreign_cgroups();
        Ok(found)
    }

    /// Cgroups of containers that are not there: what is in them was never told to anybody.
    fn clear_foreign_cgroups(&self) {
        for name in self.tree.names() {
            if !self.containers.join(&name).exists()
                && let Err(error) = self.tree.remove(&name)
            {
                tracing::warn!(%error, name, "a cgroup of no container cannot be removed");
            }
        }
        self.tree.prune();
    }

    /// Nothing of the container is left: first what it is on this machine, last what says so.
    fn wipe(&self, dir: &Path, name: &str) -> io::Result<()> {
        self.tree.remove(name)?;
        clear(dir)
    }
}

/// The last line on standard error.
fn last_words(dir: &Path) -> io::Result<Option<String>> {
    let reader = LogReader::new(dir);
    let batch = reader.read(reader.tail(1, Some(Stream::Stderr))?, 0)?;
    let last = batch
        .records
        .into_iter()
        .rfind(|record| record.stream == Stream::Stderr);
    Ok(last.map(|record| String::from_utf8_lossy(&record.text).into_owned()))
}

/// Removes a directory; not there is as good. Its shim may be removing its socket at the same time.
fn clear(dir: &Path) -> io::Result<()> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        match fs::remove_dir_all(dir) {
            Ok(()) => return Ok(()),
            Err(_) if !dir.exists() => return Ok(()),
            Err(_) if attempts < 20 => thread::sleep(PAUSE),
            Err(error) => return Err(error),
        }
    }
}

/// The sandbox, with what the agent has put there, belongs to who works in it.
fn give_away(path: &Path, owner: &plenum_shim::config::User) -> io::Result<()> {
    std::os::unix::fs::lchown(path, Some(owner.uid), Some(owner.gid))?;
    if path.symlink_metadata()?.is_dir() {
        for entry in fs::read_dir(path)? {
            give_away(&entry?.path(), owner)?;
        }
    }
    Ok(())
}
