//! Bytes in and out: logs, exec, attach, stats. No task is spawned: the stream that is returned drives both
//! directions, so dropping it ends both.

use crate::failure::{status, text};
use crate::{DockerRuntime, NAME, end};
use async_trait::async_trait;
use bollard::Docker;
use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::exec::{CreateExecOptions, ResizeExecOptions, StartExecOptions, StartExecResults};
use bollard::models::{ContainerBlkioStatEntry, ContainerNetworkStats};
use bollard::query_parameters::{
    AttachContainerOptions, LogsOptions, ResizeContainerTTYOptions, StatsOptions, TopOptions,
};
use futures::future::{pending, ready};
use futures::stream::{self, BoxStream};
use futures::{FutureExt as _, Stream, StreamExt as _};
use jiff::Timestamp;
use plenum_contract::runtime::{ContainerKey, RuntimeError, RuntimeIo};
use plenum_contract::streams::{
    ExecRequest, LogLine, LogQuery, LogSource, Output, ProcessTable, Stats, StreamError, StreamInput,
    StreamOutput, WindowSize,
};
use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

/// Between two looks for an exit code.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// So many looks: what the daemon does not know after a second it does not learn.
const LOOKS: u32 = 50;

type Sink = Pin<Box<dyn AsyncWrite + Send>>;

#[async_trait]
impl RuntimeIo for DockerRuntime {
    async fn logs(&self, key: &ContainerKey, query: LogQuery) -> Result<StreamOutput, StreamError> {
        let docker = self.docker().await.map_err(unavailable)?.clone();
        self.inspect(key).await.map_err(unavailable)?;
        let name = self.name_of(key);
        let since = query.since.unwrap_or(0).saturating_mul(1_000_000);
        match query.tail {
            // The daemon counts the lines of both streams before it leaves one out.
            Some(tail) if query.stdout != query.stderr => {
                let (last, newest) = last_lines(&docker, &name, &query, since, tail).await?;
                let last = stream::iter(last.into_iter().map(|l| Ok(Output::Log(l))));
                if !query.follow {
                    return Ok(last.boxed());
                }
                let after = newest.map_or(since, |n| n + 1);
                let rest = lines(&docker, &name, &LogQuery { tail: None, ..query }, after);
                Ok(last.chain(rest.map(|item| item.map(Output::Log))).boxed())
            }
            _ => Ok(lines(&docker, &name, &query, since)
                .map(|item| item.map(Output::Log))
                .boxed()),
        }
    }

    async fn exec(
        &self,
        key: &ContainerKey,
        request: ExecRequest,
        input: BoxStream<'static, StreamInput>,
    ) -> Result<StreamOutput, StreamError> {
        let docker = self.docker().await.map_err(unavailable)?.clone();
        let tty = request.tty;
        let options = CreateExecOptions {
            attach_stdin: Some(request.stdin),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            tty: Some(tty.is_some()),
            env: Some(request.env.iter().map(|(k, v)| format!("{k}={v}")).collect()),
            cmd: Some(request.argv),
            user: request.user,
            working_dir: request.workdir,
            ..CreateExecOptions::default()
        };
        let created = docker
            .create_exec(&self.name_of(key), options)
            .await
            .map_err(|e| refused(&e))?;
        let start = StartExecOptions {
            tty: tty.is_some(),
            ..StartExecOptions::default()
        };
        let started = docker
            .start_exec(&created.id, Some(start))
            .await
            .map_err(|e| refused(&e))?;
        let StartExecResults::Attached { output, input: sink } = started else {
            return Err(StreamError::Failed {
                why: "the daemon detached an attached exec".to_owned(),
            });
        };
        let resizer = (docker.clone(), created.id.clone());
        let resize = move |size: WindowSize| {
            let (docker, id) = resizer.clone();
            async move {
                let options = ResizeExecOptions {
                    height: size.rows,
                    width: size.cols,
                };
                let _ = docker.resize_exec(&id, options).await;
            }
        };
        let first = stream::iter(tty.map(StreamInput::Resize));
        let code = async move { code_of_exec(&docker, &created.id).await };
        Ok(both(output, sink, first.chain(input).boxed(), resize, code))
    }

    async fn attach(
        &self,
        key: &ContainerKey,
        input: BoxStream<'static, StreamInput>,
    ) -> Result<StreamOutput, StreamError> {
        let docker = self.docker().await.map_err(unavailable)?.clone();
        let name = self.name_of(key);
        let inspected = self.inspect(key).await.map_err(unavailable)?;
        if end::state(&inspected) == end::State::Ended {
            return Err(StreamError::State {
                why: "the container is not running".to_owned(),
            });
        }
        let options = AttachContainerOptions {
            stream: true,
            stdin: inspected.config.and_then(|c| c.open_stdin) == Some(true),
            stdout: true,
            stderr: true,
            ..AttachContainerOptions::default()
        };
        let attached = docker
            .attach_container(&name, Some(options))
            .await
            .map_err(|e| refused(&e))?;
        let resizer = (docker.clone(), name.clone());
        let resize = move |size: WindowSize| {
            let (docker, name) = resizer.clone();
            async move {
                let options = ResizeContainerTTYOptions {
                    h: i32::from(size.rows),
                    w: i32::from(size.cols),
                };
                let _ = docker.resize_container_tty(&name, options).await;
            }
        };
        let code = async move { code_of_container(&docker, &name).await };
        Ok(both(attached.output, attached.input, input, resize, code))
    }

    async fn stats(&self, key: &ContainerKey) -> Result<Stats, StreamError> {
        let inspected = self.inspect(key).await.map_err(unavailable)?;
        if end::state(&inspected) != end::State::Running {
            return Err(StreamError::State {
                why: "the container is not running".to_owned(),
            });
        }
        let limit = inspected.host_config.and_then(|h| h.memory).filter(|m| *m > 0);
        let docker = self.docker().await.map_err(unavailable)?;
        let options = StatsOptions {
            stream: false,
            one_shot: true,
        };
        let read = docker
            .stats(&self.name_of(key), Some(options))
            .boxed()
            .next()
            .await;
        let read = read.ok_or_else(|| StreamError::Unavailable {
            why: "no stats".to_owned(),
        })?;
        let read = read.map_err(|e| broken(&e))?;
        let networks = read.networks.unwrap_or_default();
        let count = |of: fn(&ContainerNetworkStats) -> Option<u64>| networks.values().filter_map(of).sum();
        let (received_bytes, sent_bytes) = (count(|n| n.rx_bytes), count(|n| n.tx_bytes));
        let disks = read.blkio_stats.and_then(|b| b.io_service_bytes_recursive);
        let disks = disks.unwrap_or_default();
        let moved = |op: &str| {
            let same =
                |e: &&ContainerBlkioStatEntry| e.op.as_deref().is_some_and(|o| o.eq_ignore_ascii_case(op));
            disks.iter().filter(same).filter_map(|e| e.value).sum()
        };
        let memory = read.memory_stats.unwrap_or_default();
        let counters = memory.stats.unwrap_or_default();
        // Page cache that can be dropped is not used: `total_inactive_file` on cgroup v1, `inactive_file` on v2.
        let cache = counters
            .get("total_inactive_file")
            .or_else(|| counters.get("inactive_file"));
        Ok(Stats {
            cpu_nanos: read
                .cpu_stats
                .and_then(|c| c.cpu_usage)
                .and_then(|u| u.total_usage)
                .unwrap_or(0),
            memory_bytes: memory
                .usage
                .unwrap_or(0)
                .saturating_sub(cache.copied().unwrap_or(0)),
            memory_limit_bytes: limit.and_then(|m| u64::try_from(m).ok()),
            pids: read.pids_stats.and_then(|p| p.current).unwrap_or(0),
            at_nanos: nanos(Timestamp::now()),
            received_bytes,
            sent_bytes,
            read_bytes: moved("read"),
            written_bytes: moved("write"),
        })
    }

    async fn top(&self, key: &ContainerKey, arguments: &str) -> Result<ProcessTable, StreamError> {
        let docker = self.docker().await.map_err(unavailable)?;
        let ps_args = if arguments.is_empty() { "-ef" } else { arguments };
        let options = TopOptions {
            ps_args: ps_args.to_owned(),
        };
        let answer = docker.top_processes(&self.name_of(key), Some(options)).await;
        let answer = answer.map_err(|e| refused(&e))?;
        Ok(ProcessTable {
            titles: answer.titles.unwrap_or_default(),
            processes: answer.processes.unwrap_or_default(),
        })
    }
}

/// The lines of a log that were written at or after `since`, in Unix nanoseconds.
fn lines(
    docker: &Docker,
    name: &str,
    query: &LogQuery,
    since: u64,
) -> BoxStream<'static, Result<LogLine, StreamError>> {
    let options = LogsOptions {
        follow: query.follow,
        stdout: query.stdout,
        stderr: query.stderr,
        // Whole seconds here; the rest is cut below.
        since: i32::try_from(since / 1_000_000_000).unwrap_or(i32::MAX),
        timestamps: true,
        tail: query.tail.map_or_else(|| "all".to_owned(), |n| n.to_string()),
        ..LogsOptions::default()
    };
    let lines = docker
        .logs(name, Some(options))
        .map(|item| item.map(line).map_err(|e| broken(&e)));
    lines
        .filter(move |item| ready(item.as_ref().map_or(true, |l| l.at_nanos >= since)))
        .boxed()
}

/// The last `tail` lines that are there, and when the newest of them was written.
async fn last_lines(
    docker: &Docker,
    name: &str,
    query: &LogQuery,
    since: u64,
    tail: u64,
) -> Result<(VecDeque<LogLine>, Option<u64>), StreamError> {
    let all = LogQuery {
        follow: false,
        tail: None,
        ..query.clone()
    };
    let mut lines = lines(docker, name, &all, since);
    let (mut last, mut newest) = (VecDeque::new(), None);
    while let Some(line) = lines.next().await.transpose()? {
        newest = newest.max(Some(line.at_nanos));
        last.push_back(line);
        if last.len() as u64 > tail {
            last.pop_front();
        }
    }
    Ok((last, newest))
}

/// The exit code of an exec whose output has ended: the daemon may learn of it a little later.
async fn code_of_exec(docker: &Docker, id: &str) -> Result<Output, StreamError> {
    for _ in 0..LOOKS {
        let exec = docker.inspect_exec(id).await.map_err(|e| broken(&e))?;
        if exec.running != Some(true) {
            let code = exec.exit_code.and_then(|c| i32::try_from(c).ok());
            return code.map(|code| Output::Exit { code }).ok_or_else(no_code);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    Err(no_code())
}

/// The exit code of a container whose attached output has ended.
async fn code_of_container(docker: &Docker, name: &str) -> Result<Output, StreamError> {
    for _ in 0..LOOKS {
        let inspected = docker
            .inspect_container(name, None)
            .await
            .map_err(|e| broken(&e))?;
        if end::state(&inspected) == end::State::Ended {
            return end::exit(&inspected)
                .code
                .map(|code| Output::Exit { code })
                .ok_or_else(no_code);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    Err(no_code())
}

fn no_code() -> StreamError {
    StreamError::Unavailable {
        why: format!("runtime {NAME}: the stream ended and the process did not"),
    }
}

/// Output as it comes while input is carried in, then the exit code.
fn both<R, F>(
    output: Pin<Box<dyn Stream<Item = Result<LogOutput, Error>> + Send>>,
    sink: Sink,
    input: BoxStream<'static, StreamInput>,
    resize: R,
    code: impl Future<Output = Result<Output, StreamError>> + Send + 'static,
) -> StreamOutput
where
    R: Fn(WindowSize) -> F + Send + 'static,
    F: Future<Output = ()> + Send,
{
    let output = output
        .map(|item| Some(item.map(bytes).map_err(|e| broken(&e))))
        .chain(stream::iter([None]));
    // It never completes, so the output alone says when it is over.
    let carry = async move {
        carry(input, sink, resize).await;
        pending().await
    };
    let merged = stream::select(output, carry.into_stream());
    let until_end = merged.take_while(|item| ready(item.is_some())).filter_map(ready);
    until_end.chain(code.into_stream()).boxed()
}

async fn carry<R, F>(mut input: BoxStream<'static, StreamInput>, mut sink: Sink, resize: R)
where
    R: Fn(WindowSize) -> F,
    F: Future<Output = ()>,
{
    while let Some(item) = input.next().await {
        match item {
            StreamInput::Data(data) => {
                // A process that does not read any more is no fault: its exit tells.
                if sink.write_all(&data).await.is_err() || sink.flush().await.is_err() {
                    return;
                }
            }
            StreamInput::Resize(size) => resize(size).await,
            StreamInput::Eof => {
                let _ = sink.shutdown().await;
            }
        }
    }
    let _ = sink.shutdown().await;
}

fn bytes(output: LogOutput) -> Output {
    match output {
        LogOutput::StdErr { message } => Output::Stderr(message),
        LogOutput::StdOut { message } | LogOutput::StdIn { message } | LogOutput::Console { message } => {
            Output::Stdout(message)
        }
    }
}

/// One entry of a log, which starts with its time: `2026-01-02T03:04:05.678901234Z text`.
fn line(output: LogOutput) -> LogLine {
    let source = match output {
        LogOutput::StdErr { .. } => LogSource::Stderr,
        LogOutput::StdOut { .. } | LogOutput::StdIn { .. } | LogOutput::Console { .. } => LogSource::Stdout,
    };
    let mut message = output.into_bytes();
    let space = message.iter().position(|b| *b == b' ').unwrap_or(0);
    let at = std::str::from_utf8(&message[..space])
        .ok()
        .and_then(|t| t.parse::<Timestamp>().ok());
    let bytes = if at.is_some() {
        message.split_off(space + 1)
    } else {
        message
    };
    LogLine {
        at_nanos: at.map_or(0, nanos),
        source,
        bytes,
    }
}

fn nanos(at: Timestamp) -> u64 {
    u64::try_from(at.as_nanosecond()).unwrap_or(0)
}

fn refused(e: &Error) -> StreamError {
    match status(e) {
        Some(404) => StreamError::NotFound { what: text(e) },
        Some(409) => StreamError::State {
            why: "the container is not running".to_owned(),
        },
        Some(_) => StreamError::Failed { why: text(e) },
        None => broken(e),
    }
}

fn broken(e: &Error) -> StreamError {
    StreamError::Unavailable {
        why: format!("runtime {NAME}: {}", text(e)),
    }
}

fn unavailable(e: RuntimeError) -> StreamError {
    match e {
        RuntimeError::NotFound { key } => StreamError::NotFound {
            what: format!("container {key}"),
        },
        RuntimeError::Refused { why, .. } => StreamError::Failed { why },
        RuntimeError::Failed { .. } => StreamError::Unavailable { why: e.to_string() },
    }
}
