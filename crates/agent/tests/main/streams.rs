//! Streams that the agent carries between a caller and a container.

use crate::fake_broker::Carried;
use crate::{Machine, assignment, id, until};
use bytes::Bytes;
use futures::StreamExt;
use plenum_contract::streams::*;
use plenum_model::claim::Desired;
use plenum_model::phase::Phase;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn open(m: &Machine, stream: u64, task: u64, request: StreamRequest) -> Carried {
    m.broker.open(stream, id(task), request);
    until("carried", || m.broker.is_carried(stream)).await;
    m.broker.carried(stream).unwrap()
}

#[tokio::test]
async fn logs_stats_exec_and_errors_reach_the_caller() {
    let m = Machine::new();
    let agent = m.agent().await;
    m.broker.want(assignment(1, 1, Desired::Running, vec![]));
    until("running", || m.broker.phase(id(1)) == Phase::Running).await;

    let mut logs = open(&m, 1, 1, StreamRequest::Logs(LogQuery::default())).await;
    let Some(Ok(Output::Log(line))) = logs.output.next().await else {
        panic!("no line")
    };
    assert_eq!(line.bytes, "main\n");
    assert!(logs.output.next().await.is_none());

    let mut exec = open(&m, 2, 1, StreamRequest::Exec(ExecRequest::default())).await;
    exec.input
        .send(StreamInput::Data(Bytes::from_static(b"hi")))
        .await
        .unwrap();
    assert_eq!(
        exec.output.next().await.unwrap().unwrap(),
        Output::Stdout(Bytes::from_static(b"hi"))
    );
    exec.input.send(StreamInput::Eof).await.unwrap();
    assert_eq!(
        exec.output.next().await.unwrap().unwrap(),
        Output::Exit { code: 7 }
    );

    let mut stats = open(&m, 3, 1, StreamRequest::Stats { container: None }).await;
    assert!(matches!(
        stats.output.next().await,
        Some(Ok(Output::Stats(Stats { pids: 3, .. })))
    ));

    let mut attach = open(
        &m,
        4,
        1,
        StreamRequest::Attach {
            container: Some("main".into()),
        },
    )
    .await;
    assert!(matches!(
        attach.output.next().await,
        Some(Err(StreamError::State { .. }))
    ));
    for (stream, task, container) in [(5, 1, Some("side".to_owned())), (6, 9, None)] {
        let mut missing = open(&m, stream, task, StreamRequest::Attach { container }).await;
        assert!(matches!(
            missing.output.next().await,
            Some(Err(StreamError::NotFound { .. }))
        ));
    }
    agent.stop().await;
}

#[tokio::test]
async fn a_signal_reaches_the_process_and_leaves_what_is_wanted_alone() {
    let m = Machine::new();
    let agent = m.agent().await;
    m.broker.want(assignment(1, 1, Desired::Running, vec![]));
    until("running", || m.broker.phase(id(1)) == Phase::Running).await;
    let ask = StreamRequest::Signal {
        container: None,
        name: "SIGTERM".into(),
    };
    let mut sent = open(&m, 1, 1, ask).await;
    assert!(sent.output.next().await.is_none());
    until("ended", || m.broker.phase(id(1)).is_terminal()).await;
    assert_eq!(
        m.broker.phase(id(1)),
        Phase::Failed,
        "it ended by itself, nobody asked the task to stop"
    );
    agent.stop().await;
}

#[tokio::test]
async fn a_forwarded_port_carries_bytes_both_ways_and_an_unknown_one_is_refused() {
    let m = Machine::new();
    let agent = m.agent().await;
    let probe = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = probe.local_addr().unwrap().port();
    drop(probe);
    m.broker.want(assignment(1, 1, Desired::Running, vec![port]));
    until("running", || m.broker.phase(id(1)) == Phase::Running).await;
    let server = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let mut carried = open(&m, 1, 1, StreamRequest::PortForward { port }).await;
    let (mut socket, _) = server.accept().await.unwrap();
    carried
        .input
        .send(StreamInput::Data(Bytes::from_static(b"ping")))
        .await
        .unwrap();
    carried.input.send(StreamInput::Eof).await.unwrap();
    let mut got = Vec::new();
    socket.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"ping");
    socket.write_all(b"pong").await.unwrap();
    drop(socket);
    assert_eq!(
        carried.output.next().await.unwrap().unwrap(),
        Output::Stdout(Bytes::from_static(b"pong"))
    );
    assert!(carried.output.next().await.is_none());
    let mut unknown = open(&m, 2, 1, StreamRequest::PortForward { port: 1 }).await;
    assert!(matches!(
        unknown.output.next().await,
        Some(Err(StreamError::NotFound { .. }))
    ));
    agent.stop().await;
}
