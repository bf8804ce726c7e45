//! Byte streams: what is asked, what goes in, what comes out.

use super::enums::WireEnum;
use crate::malformed::{Malformed, maybe, need, small};
use crate::proto::model::v1 as wire;
use crate::status::WireError;
use plenum_contract::streams::{
    CheckResult, ExecRequest, Health, LogLine, LogQuery, LogSource, Output, ProcessTable, Stats, StreamError,
    StreamInput, StreamRequest, WindowSize,
};
use tonic::Code;

impl From<&StreamRequest> for wire::StreamRequest {
    fn from(request: &StreamRequest) -> Self {
        use wire::stream_request::Request as R;
        let request = match request {
            StreamRequest::Logs(query) => R::Logs(query.into()),
            StreamRequest::Exec(exec) => R::Exec(exec.into()),
            StreamRequest::Attach { container } => R::Attach(wire::Attach {
                container: container.clone(),
            }),
            StreamRequest::PortForward { port } => R::PortForward((*port).into()),
            StreamRequest::Stats { container } => R::Stats(wire::StatsQuery {
                container: container.clone(),
            }),
            StreamRequest::Top { container, arguments } => R::Top(wire::TopQuery {
                container: container.clone(),
                arguments: arguments.clone(),
            }),
            StreamRequest::Health { container } => R::Health(wire::HealthQuery {
                container: container.clone(),
            }),
            StreamRequest::Signal { container, name } => R::Signal(wire::Signal {
                container: container.clone(),
                name: name.clone(),
            }),
        };
        Self {
            request: Some(request),
        }
    }
}

impl TryFrom<wire::StreamRequest> for StreamRequest {
    type Error = Malformed;
    fn try_from(request: wire::StreamRequest) -> Result<Self, Malformed> {
        use wire::stream_request::Request as R;
        Ok(match need(request.request, "request")? {
            R::Logs(query) => Self::Logs(query.into()),
            R::Exec(exec) => Self::Exec(exec.try_into()?),
            R::Attach(attach) => Self::Attach {
                container: attach.container,
            },
            R::PortForward(port) => Self::PortForward {
                port: small(port, "port_forward")?,
            },
            R::Stats(stats) => Self::Stats {
                container: stats.container,
            },
            R::Top(top) => Self::Top {
                container: top.container,
                arguments: top.arguments,
            },
            R::Health(health) => Self::Health {
                container: health.container,
            },
            R::Signal(signal) => Self::Signal {
                container: signal.container,
                name: signal.name,
            },
        })
    }
}

impl From<&LogQuery> for wire::LogQuery {
    fn from(query: &LogQuery) -> Self {
        Self {
            container: query.container.clone(),
            follow: query.follow,
            tail: query.tail,
            since: query.since,
            stdout: query.stdout,
            stderr: query.stderr,
            previous: query.previous,
        }
    }
}

impl From<wire::LogQuery> for LogQuery {
    fn from(query: wire::LogQuery) -> Self {
        Self {
            container: query.container,
            follow: query.follow,
            tail: query.tail,
            since: query.since,
            stdout: query.stdout,
            stderr: query.stderr,
            previous: query.previous,
        }
    }
}

impl From<&ExecRequest> for wire::ExecRequest {
    fn from(exec: &ExecRequest) -> Self {
        let var = |(name, value): &(String, String)| wire::EnvVar {
            name: name.clone(),
            value: value.clone(),
        };
        Self {
            container: exec.container.clone(),
            argv: exec.argv.clone(),
            env: exec.env.iter().map(var).collect(),
            user: exec.user.clone(),
            workdir: exec.workdir.clone(),
            tty: exec.tty.map(wire::WindowSize::from),
            stdin: exec.stdin,
        }
    }
}

impl TryFrom<wire::ExecRequest> for ExecRequest {
    type Error = Malformed;
    fn try_from(exec: wire::ExecRequest) -> Result<Self, Malformed> {
        Ok(Self {
            container: exec.container,
            argv: exec.argv,
            env: exec.env.into_iter().map(|var| (var.name, var.value)).collect(),
            user: exec.user,
            workdir: exec.workdir,
            tty: maybe(exec.tty)?,
            stdin: exec.stdin,
        })
    }
}

impl From<WindowSize> for wire::WindowSize {
    fn from(size: WindowSize) -> Self {
        Self {
            rows: size.rows.into(),
            cols: size.cols.into(),
        }
    }
}

impl TryFrom<wire::WindowSize> for WindowSize {
    type Error = Malformed;
    fn try_from(size: wire::WindowSize) -> Result<Self, Malformed> {
        Ok(Self {
            rows: small(size.rows, "rows")?,
            cols: small(size.cols, "cols")?,
        })
    }
}

impl From<StreamInput> for wire::StreamInput {
    fn from(input: StreamInput) -> Self {
        use wire::stream_input::Input as I;
        let input = match input {
            StreamInput::Data(bytes) => I::Data(bytes),
            StreamInput::Resize(size) => I::Resize(size.into()),
            StreamInput::Eof => I::Eof(()),
        };
        Self { input: Some(input) }
    }
}

impl TryFrom<wire::StreamInput> for StreamInput {
    type Error = Malformed;
    fn try_from(input: wire::StreamInput) -> Result<Self, Malformed> {
        use wire::stream_input::Input as I;
        Ok(match need(input.input, "input")? {
            I::Data(bytes) => Self::Data(bytes),
            I::Resize(size) => Self::Resize(size.try_into()?),
            I::Eof(()) => Self::Eof,
        })
    }
}

/// One thing that comes from a container, or why nothing more comes.
pub(crate) fn output(output: Result<Output, StreamError>) -> wire::StreamOutput {
    use wire::stream_output::Output as O;
    let output = match output {
        Ok(Output::Log(line)) => O::Log(wire::LogLine {
            at_nanos: line.at_nanos,
            source: line.source.number(),
            line: line.bytes,
        }),
        Ok(Output::Stdout(bytes)) => O::Stdout(bytes),
        Ok(Output::Stderr(bytes)) => O::Stderr(bytes),
        Ok(Output::Exit { code }) => O::Exit(code),
        Ok(Output::Stats(stats)) => O::Stats((&stats).into()),
        Ok(Output::Image(image)) => O::Image((*image).into()),
        Ok(Output::Processes(table)) => O::Processes(table.into()),
        Ok(Output::Health(health)) => O::Health(health.into()),
        Err(error) => O::Error((&error).into()),
    };
    wire::StreamOutput { output: Some(output) }
}

/// What came from a container, or why nothing more comes.
pub(crate) fn read_output(output: wire::StreamOutput) -> Result<Result<Output, StreamError>, Malformed> {
    use wire::stream_output::Output as O;
    Ok(Ok(match need(output.output, "output")? {
        O::Log(line) => Output::Log(LogLine {
            at_nanos: line.at_nanos,
            source: LogSource::from_number(line.source)?,
            bytes: line.line,
        }),
        O::Stdout(bytes) => Output::Stdout(bytes),
        O::Stderr(bytes) => Output::Stderr(bytes),
        O::Exit(code) => Output::Exit { code },
        O::Stats(stats) => Output::Stats(stats.into()),
        O::Image(image) => Output::Image(Box::new(image.try_into()?)),
        O::Processes(table) => Output::Processes(table.into()),
        O::Health(health) => Output::Health(health.into()),
        O::Error(error) => return Ok(Err(error.try_into()?)),
    }))
}

impl From<&Stats> for wire::Stats {
    fn from(stats: &Stats) -> Self {
        Self {
            cpu_nanos: stats.cpu_nanos,
            memory_bytes: stats.memory_bytes,
            memory_limit_bytes: stats.memory_limit_bytes,
            pids: stats.pids,
            at_nanos: stats.at_nanos,
            received_bytes: stats.received_bytes,
            sent_bytes: stats.sent_bytes,
            read_bytes: stats.read_bytes,
            written_bytes: stats.written_bytes,
        }
    }
}

impl From<wire::Stats> for Stats {
    fn from(stats: wire::Stats) -> Self {
        Self {
            cpu_nanos: stats.cpu_nanos,
            memory_bytes: stats.memory_bytes,
            memory_limit_bytes: stats.memory_limit_bytes,
            pids: stats.pids,
            at_nanos: stats.at_nanos,
            received_bytes: stats.received_bytes,
            sent_bytes: stats.sent_bytes,
            read_bytes: stats.read_bytes,
            written_bytes: stats.written_bytes,
        }
    }
}

impl From<ProcessTable> for wire::ProcessTable {
    fn from(table: ProcessTable) -> Self {
        let process = |cells| wire::Process { cells };
        Self {
            titles: table.titles,
            processes: table.processes.into_iter().map(process).collect(),
        }
    }
}

impl From<wire::ProcessTable> for ProcessTable {
    fn from(table: wire::ProcessTable) -> Self {
        Self {
            titles: table.titles,
            processes: table.processes.into_iter().map(|p| p.cells).collect(),
        }
    }
}

impl From<Health> for wire::Health {
    fn from(health: Health) -> Self {
        let result = |r: CheckResult| wire::CheckResult {
            began: r.began,
            ended: r.ended,
            code: r.code,
            output: r.output,
        };
        Self {
            failing: health.failing,
            results: health.results.into_iter().map(result).collect(),
        }
    }
}

impl From<wire::Health> for Health {
    fn from(health: wire::Health) -> Self {
        let result = |r: wire::CheckResult| CheckResult {
            began: r.began,
            ended: r.ended,
            code: r.code,
            output: r.output,
        };
        Self {
            failing: health.failing,
            results: health.results.into_iter().map(result).collect(),
        }
    }
}

impl From<&StreamError> for wire::StreamError {
    fn from(error: &StreamError) -> Self {
        use wire::stream_error::Error as E;
        let error = match error {
            StreamError::NotFound { what } => E::NotFound(what.clone()),
            StreamError::State { why } => E::State(why.clone()),
            StreamError::NotSupported { what, runtime } => E::NotSupported(wire::StreamNotSupported {
                what: what.clone(),
                runtime: runtime.clone(),
            }),
            StreamError::Unavailable { why } => E::Unavailable(why.clone()),
            StreamError::Failed { why } => E::Failed(why.clone()),
        };
        Self { error: Some(error) }
    }
}

impl TryFrom<wire::StreamError> for StreamError {
    type Error = Malformed;
    fn try_from(error: wire::StreamError) -> Result<Self, Malformed> {
        use wire::stream_error::Error as E;
        Ok(match need(error.error, "error")? {
            E::NotFound(what) => Self::NotFound { what },
            E::State(why) => Self::State { why },
            E::NotSupported(not) => Self::NotSupported {
                what: not.what,
                runtime: not.runtime,
            },
            E::Unavailable(why) => Self::Unavailable { why },
            E::Failed(why) => Self::Failed { why },
        })
    }
}

impl WireError for StreamError {
    type Message = wire::StreamError;

    fn code(&self) -> Code {
        match self {
            Self::NotFound { .. } => Code::NotFound,
            Self::State { .. } => Code::FailedPrecondition,
            Self::NotSupported { .. } => Code::Unimplemented,
            Self::Unavailable { .. } => Code::Unavailable,
            Self::Failed { .. } => Code::Internal,
        }
    }

    fn message(&self) -> wire::StreamError {
        self.into()
    }

    fn read(error: wire::StreamError) -> Result<Self, Malformed> {
        error.try_into()
    }

    fn unavailable(why: String) -> Self {
        Self::Unavailable { why }
    }

    fn refused(field: &str, why: String) -> Self {
        Self::Failed {
            why: format!("refused at {field}: {why}"),
        }
    }
}
