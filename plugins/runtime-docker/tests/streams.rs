//! Bytes in and out, beyond the suite of all runtimes.

use crate::{on, plan, start};
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream;
use plenum_contract::runtime::{ContainerKey, Runtime as _, RuntimeIo as _};
use plenum_contract::streams::{
    ExecRequest, LogQuery, Output, StreamError, StreamInput, StreamOutput, WindowSize,
};
use runtime_docker::DockerRuntime;
use std::time::Duration;

async fn all(output: StreamOutput) -> (String, Option<i32>) {
    let read = async {
        let (mut text, mut code) = (Vec::new(), None);
        let mut output = output;
        while let Some(piece) = output.next().await {
            match piece.unwrap() {
                Output::Log(line) => text.extend_from_slice(&line.bytes),
                Output::Stdout(bytes) | Output::Stderr(bytes) => text.extend_from_slice(&bytes),
                Output::Exit { code: c } => code = Some(c),
                Output::Stats(_) | Output::Image(_) | Output::Processes(_) | Output::Health(_) => {}
            }
        }
        (String::from_utf8(text).unwrap(), code)
    };
    tokio::time::timeout(Duration::from_secs(60), read).await.unwrap()
}

/// Waits until a container has written something.
pub(crate) async fn logged(runtime: &DockerRuntime, key: &ContainerKey, words: &str) {
    let mut log = runtime
        .logs(
            key,
            LogQuery {
                follow: true,
                ..LogQuery::default()
            },
        )
        .await
        .unwrap();
    while let Some(Ok(Output::Log(line))) = log.next().await {
        if String::from_utf8_lossy(&line.bytes).contains(words) {
            return;
        }
    }
    panic!("never wrote {words}");
}

async fn clean(runtime: &DockerRuntime, key: &ContainerKey) {
    runtime.signal(key, "SIGKILL").await.unwrap();
    runtime.wait(key).await.unwrap();
    runtime.remove(key).await.unwrap();
}

#[tokio::test]
async fn the_last_lines_of_one_stream_are_counted_without_the_other() {
    let Some((runtime, dir)) = on("tail") else { return };
    let script = "echo a; echo b; echo c; echo x >&2; echo y >&2; echo z >&2";
    let plan = plan(&dir, script);
    start(&runtime, &plan).await;
    runtime.wait(&plan.key).await.unwrap();
    for (stdout, stderr, wanted) in [(true, false, "b\nc\n"), (false, true, "y\nz\n")] {
        for follow in [false, true] {
            let query = LogQuery {
                tail: Some(2),
                stdout,
                stderr,
                follow,
                ..LogQuery::default()
            };
            let (text, _) = all(runtime.logs(&plan.key, query).await.unwrap()).await;
            assert_eq!(text, wanted);
        }
    }
    runtime.remove(&plan.key).await.unwrap();
    let gone = runtime.logs(&plan.key, LogQuery::default()).await.err();
    assert!(matches!(gone, Some(StreamError::NotFound { .. })), "{gone:?}");
}

#[tokio::test]
async fn an_exec_with_a_terminal_has_its_size_and_its_code() {
    let Some((runtime, dir)) = on("tty") else { return };
    let plan = plan(&dir, "sleep 100");
    start(&runtime, &plan).await;
    let request = ExecRequest {
        argv: ["sh", "-c", "sleep 0.5; stty size; read x; echo got $x; exit 3"]
            .map(str::to_owned)
            .into(),
        tty: Some(WindowSize { rows: 33, cols: 111 }),
        stdin: true,
        ..ExecRequest::default()
    };
    let input = stream::iter([StreamInput::Data(Bytes::from_static(b"hello\n"))]).chain(stream::pending());
    let output = runtime.exec(&plan.key, request, input.boxed()).await.unwrap();
    let (text, code) = all(output).await;
    assert!(text.contains("33 111") && text.contains("got hello"), "{text}");
    assert_eq!(code, Some(3));
    clean(&runtime, &plan.key).await;
}

#[tokio::test]
async fn attaching_carries_input_to_its_end_and_gives_the_code() {
    let Some((runtime, dir)) = on("attach") else {
        return;
    };
    let mut plan = plan(&dir, "cat; echo end; exit 4");
    plan.stdin = true;
    start(&runtime, &plan).await;
    let input = [StreamInput::Data(Bytes::from_static(b"hi\n")), StreamInput::Eof];
    let input = stream::iter(input).chain(stream::pending());
    let output = runtime.attach(&plan.key, input.boxed()).await.unwrap();
    assert_eq!(all(output).await, ("hi\nend\n".to_owned(), Some(4)));
    runtime.wait(&plan.key).await.unwrap();
    let ended = runtime.attach(&plan.key, stream::pending().boxed()).await.err();
    assert!(matches!(ended, Some(StreamError::State { .. })), "{ended:?}");
    let ended = runtime.stats(&plan.key).await.err();
    assert!(matches!(ended, Some(StreamError::State { .. })), "{ended:?}");
    runtime.remove(&plan.key).await.unwrap();
}
