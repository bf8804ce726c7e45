//! Logs, exec, stats, events.

use crate::fake::{refusal, refused, serve, some};
use futures::{StreamExt, TryStreamExt};
use plenum_client::LogQuery;
use plenum_client::frame::Frame;
use plenum_client::v1::stream::{ExecStart, LogLine, WindowSize};
use plenum_contract::streams::{LogQuery as Asked, StreamRequest};
use plenum_model::code;

async fn text(server: &crate::fake::Server, query: &LogQuery) -> Vec<u8> {
    let pieces = server.client.logs("web.1", query).await.unwrap();
    pieces
        .try_fold(Vec::new(), |all, piece| async move {
            Ok([all, piece.to_vec()].concat())
        })
        .await
        .unwrap()
}

#[tokio::test]
async fn logs_come_as_they_were_written_or_as_json() {
    let server = serve(some()).await;
    assert_eq!(text(&server, &LogQuery::default()).await, b"one\nt\xffo\n");
    let query = LogQuery {
        format: Some("ndjson".into()),
        ..LogQuery::default()
    };
    let lines = String::from_utf8(text(&server, &query).await).unwrap();
    let lines: Vec<LogLine> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(
        (lines[0].text.as_str(), lines[0].source.as_str()),
        ("one", "stdout")
    );
    assert_eq!(
        (lines[1].text.as_str(), lines[1].source.as_str()),
        ("t\u{fffd}o", "stderr")
    );
    assert_eq!(lines[0].at.to_string(), "2023-11-14T22:13:20Z");
}

#[tokio::test]
async fn what_is_asked_of_a_log_reaches_the_node() {
    let server = serve(some()).await;
    let query = LogQuery {
        container: Some("side".into()),
        follow: false,
        tail: Some(5),
        since: Some("2023-11-14T22:13:20Z".into()),
        source: Some("stderr".into()),
        format: None,
    };
    text(&server, &query).await;
    let asked = Asked {
        container: Some("side".into()),
        follow: false,
        tail: Some(5),
        since: Some(1_700_000_000_000),
        stdout: false,
        stderr: true,
        previous: false,
    };
    assert_eq!(
        *server.streams.asked.lock().unwrap(),
        [StreamRequest::Logs(asked)]
    );
    let bad = LogQuery {
        since: Some("yesterday".into()),
        ..LogQuery::default()
    };
    let refusal = refusal(server.client.logs("web.1", &bad).await.map(drop));
    assert_eq!(refusal, refused(400, code::INVALID, "since"));
}

#[tokio::test]
async fn a_log_that_is_followed_ends_when_the_server_stops() {
    let mut server = serve(some()).await;
    let query = LogQuery {
        follow: true,
        ..LogQuery::default()
    };
    let mut pieces = server.client.logs("web.1", &query).await.unwrap();
    assert_eq!(pieces.next().await.unwrap().unwrap(), "one\n");
    drop(server.stop.take());
    while pieces.next().await.is_some() {}
    server.served.await.unwrap().unwrap();
}

#[tokio::test]
async fn exec_carries_bytes_sizes_and_the_exit_code() {
    let server = serve(some()).await;
    let size = |rows, cols| WindowSize { rows, cols };
    let start = ExecStart {
        argv: vec!["cat".into()],
        tty: Some(size(24, 80)),
        stdin: true,
        ..ExecStart::default()
    };
    let (mut input, mut output) = server.client.exec("web.1", &start).await.unwrap();
    input.send(Frame::Stdin("a\0b".into())).await.unwrap();
    assert_eq!(
        output.next().await.unwrap().unwrap(),
        Frame::Stdout("a\0b".into())
    );
    input.send(Frame::Resize(size(30, 100))).await.unwrap();
    assert_eq!(
        output.next().await.unwrap().unwrap(),
        Frame::Stdout("30x100".into())
    );
    input.send(Frame::Eof).await.unwrap();
    assert_eq!(output.next().await.unwrap().unwrap(), Frame::Exit(0));
    assert!(output.next().await.is_none());
}

#[tokio::test]
async fn an_exec_ends_with_the_code_of_its_process_or_with_why_it_failed() {
    let server = serve(some()).await;
    let start = |argv: &[&str]| ExecStart {
        argv: argv.iter().map(ToString::to_string).collect(),
        ..ExecStart::default()
    };
    let (_input, mut output) = server
        .client
        .exec("web.1", &start(&["exit", "-3"]))
        .await
        .unwrap();
    assert_eq!(
        output.next().await.unwrap().unwrap(),
        Frame::Stderr("going".into())
    );
    assert_eq!(output.next().await.unwrap().unwrap(), Frame::Exit(-3));
    for (argv, code) in [
        (vec!["broken"], code::UNAVAILABLE),
        (vec!["else"], code::CONFLICT),
        (vec![], code::INVALID),
    ] {
        let (_input, mut output) = server.client.exec("web.1", &start(&argv)).await.unwrap();
        let (_, got, _) = refusal(output.next().await.unwrap());
        assert_eq!(got, code.to_string(), "{argv:?}");
    }
    let (status, got, _) = refusal(server.client.exec("nothing", &start(&["cat"])).await.map(drop));
    assert_eq!((status, got), (404, code::NOT_FOUND.to_string()));
}

#[tokio::test]
async fn stats_are_read_once() {
    let server = serve(some()).await;
    let stats = server.client.stats("web.1", None).await.unwrap();
    assert_eq!(
        (
            stats.cpu_nanos,
            stats.memory_bytes,
            stats.memory_limit_bytes,
            stats.pids
        ),
        (5, 6, Some(7), 8)
    );
    assert_eq!(
        refusal(server.client.stats("web.1", Some("side")).await),
        refused(404, code::NOT_FOUND, "")
    );
}

#[tokio::test]
async fn events_go_on_where_a_client_was() {
    let server = serve(some()).await;
    let mut events = server.client.events(Some(8)).await.unwrap();
    for n in [9, 10] {
        assert_eq!(events.next().await.unwrap().unwrap().cursor, n);
    }
    server.pool.events.send_replace(11);
    let event = events.next().await.unwrap().unwrap();
    assert_eq!((event.cursor, event.message.as_str()), (11, "placed\non n1"));

    let response = reqwest::Client::new()
        .get(format!("{}/v1/events", server.address))
        .header("last-event-id", "10")
        .send()
        .await
        .unwrap();
    let first = response.bytes_stream().next().await.unwrap().unwrap();
    let first = String::from_utf8_lossy(&first).into_owned();
    assert!(
        first.contains("id: 11\n") && first.contains("event: task.placed\n"),
        "{first}"
    );
}

#[tokio::test]
async fn what_is_kept_of_the_events_comes_as_a_list_and_what_is_not_is_gone() {
    let server = serve(some()).await;
    let cursors = |events: Vec<plenum_client::v1::event::Event>| {
        events.into_iter().map(|e| e.cursor).collect::<Vec<_>>()
    };
    assert_eq!(
        cursors(server.client.past_events(None).await.unwrap()),
        [4, 5, 6, 7, 8, 9, 10]
    );
    assert_eq!(cursors(server.client.past_events(Some(9)).await.unwrap()), [10]);
    assert_eq!(
        refusal(server.client.past_events(Some(1)).await),
        refused(410, code::COMPACTED, "after")
    );
    let gone = server.client.events(Some(1)).await.map(drop);
    assert_eq!(refusal(gone), refused(410, code::COMPACTED, "after"));
}
