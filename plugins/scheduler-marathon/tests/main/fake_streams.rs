//! Streams of a pool in memory: every task wrote the same log, and every process gives back its input.

use crate::fake::Fake;
use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use plenum_contract::pool::Pool;
use plenum_contract::streams::{
    LogLine, LogQuery, LogSource, Output, StreamEnds, StreamError, StreamInput, StreamRequest, Streams,
};
use plenum_model::ids::TaskId;
use tokio::sync::mpsc;

/// What every task wrote to its standard output; to the other one it wrote nothing.
const WRITTEN: [&str; 3] = ["one\n", "{\"two\":2}\n", "thrée\n"];

#[async_trait]
impl Streams for Fake {
    async fn open(&self, task: TaskId, request: StreamRequest) -> Result<StreamEnds, StreamError> {
        let known = self.tasks(Default::default()).await.unwrap().tasks;
        if !known.iter().any(|t| t.id() == task) {
            let what = format!("task {task}");
            return Err(StreamError::NotFound { what });
        }
        let (input, given) = mpsc::channel(4);
        let output = match request {
            StreamRequest::Logs(query) => logs(&query),
            StreamRequest::Exec(request) if request.argv[0] == "cat" => echo(given),
            StreamRequest::Exec(request) => {
                let why = format!("command not found: {}", request.argv[0]);
                stream::iter([Err(StreamError::Failed { why })]).boxed()
            }
            other => unreachable!("the door does not ask for {other:?}"),
        };
        Ok(StreamEnds { input, output })
    }
}

fn logs(query: &LogQuery) -> plenum_contract::streams::StreamOutput {
    let written = if query.stdout { &WRITTEN[..] } else { &[] };
    let last = query.tail.map_or(written.len(), |n| usize::try_from(n).unwrap());
    let lines = written
        .iter()
        .enumerate()
        .skip(written.len().saturating_sub(last));
    let lines: Vec<_> = lines
        .map(|(n, text)| {
            Ok(Output::Log(LogLine {
                at_nanos: (n as u64 + 1) * 1_000_000,
                source: LogSource::Stdout,
                bytes: Bytes::from_static(text.as_bytes()),
            }))
        })
        .filter(|line| {
            let Ok(Output::Log(line)) = line else { return true };
            query.since.is_none_or(|since| line.at_nanos >= since * 1_000_000)
        })
        .collect();
    stream::iter(lines).boxed()
}

fn echo(given: mpsc::Receiver<StreamInput>) -> plenum_contract::streams::StreamOutput {
    stream::unfold(Some(given), |given| async move {
        let mut given = given?;
        match given.recv().await? {
            StreamInput::Data(bytes) => Some((Ok(Output::Stdout(bytes)), Some(given))),
            StreamInput::Resize(size) => {
                let said = format!("{}x{}", size.rows, size.cols);
                Some((Ok(Output::Stderr(Bytes::from(said))), Some(given)))
            }
            StreamInput::Eof => Some((Ok(Output::Exit { code: 7 }), None)),
        }
    })
    .boxed()
}
