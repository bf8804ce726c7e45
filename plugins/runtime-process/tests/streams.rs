//! Logs, exec, attach, figures.

use crate::support::{World, data, nothing, text, text_until, typed, within};
use futures::StreamExt;
use plenum_contract::runtime::{ContainerKey, Runtime, RuntimeIo};
use plenum_contract::streams::{ExecRequest, LogQuery, Output, StreamError, StreamInput, WindowSize};
use plenum_shim::procfs;
use std::time::Duration;

async fn logs(world: &World, key: &ContainerKey, query: LogQuery) -> String {
    text(world.runtime.logs(key, query).await.unwrap()).await.0
}

#[tokio::test]
async fn logs_are_split_cut_and_followed_to_the_end() {
    let world = World::new().await;
    let gate = world.path().join("gate");
    let script = format!(
        "echo 1; echo 2; echo bad >&2; echo 3; until [ -e {} ]; do sleep 0.02; done; printf end",
        gate.display()
    );
    let plan = world.plan(&script);
    world.start(&plan).await;
    world.until_output(&plan.key, "3\n").await;
    let query = LogQuery::default();
    assert_eq!(
        logs(
            &world,
            &plan.key,
            LogQuery {
                stderr: false,
                ..query.clone()
            }
        )
        .await,
        "1\n2\n3\n"
    );
    assert_eq!(
        logs(
            &world,
            &plan.key,
            LogQuery {
                stdout: false,
                ..query.clone()
            }
        )
        .await,
        "bad\n"
    );
    let last = LogQuery {
        tail: Some(2),
        stderr: false,
        ..query.clone()
    };
    assert_eq!(logs(&world, &plan.key, last.clone()).await, "2\n3\n");
    let mut followed = world
        .runtime
        .logs(&plan.key, LogQuery { follow: true, ..last })
        .await
        .unwrap();
    assert_eq!(text_until(&mut followed, "3\n").await, "2\n3\n");
    std::fs::write(gate, "").unwrap();
    let rest: Vec<_> = within(followed.collect()).await;
    let [Ok(Output::Log(end))] = rest.as_slice() else {
        panic!("{rest:?}")
    };
    assert_eq!(&end.bytes[..], b"end");
    let after = LogQuery {
        since: Some(end.at_nanos / 1_000_000),
        stderr: false,
        ..query.clone()
    };
    assert!(logs(&world, &plan.key, after).await.ends_with("end"));
    let future = LogQuery {
        since: Some(u64::MAX),
        ..query.clone()
    };
    assert_eq!(logs(&world, &plan.key, future).await, "");
    let mut unknown = plan.key.clone();
    unknown.container = "other".into();
    assert!(matches!(
        world.runtime.logs(&unknown, query).await,
        Err(StreamError::NotFound { .. })
    ));
    world.finish().await;
}

fn exec(script: &str) -> ExecRequest {
    ExecRequest {
        argv: vec!["sh".into(), "-c".into(), script.into()],
        ..ExecRequest::default()
    }
}

#[tokio::test]
async fn exec_runs_beside_the_command_and_gives_its_code() {
    let world = World::new().await;
    let mut plan = world.plan("sleep 1000");
    plan.env = vec![("A".into(), "a".into()), ("B".into(), "b".into())];
    world.start(&plan).await;
    let mut request = exec("echo $A $B $PWD; cat; exit 7");
    request.env = vec![("B".into(), "c".into())];
    request.stdin = true;
    let input = typed([data("typed\n"), StreamInput::Eof]);
    let output = world.runtime.exec(&plan.key, request, input).await.unwrap();
    assert_eq!(
        text(output).await,
        (format!("a c {}\ntyped\n", plan.sandbox.display()), Some(7))
    );
    let missing = ExecRequest {
        argv: vec!["no-such-command".into()],
        ..ExecRequest::default()
    };
    let output = world.runtime.exec(&plan.key, missing, nothing()).await.unwrap();
    assert_eq!(
        text(output).await,
        ("command not found: no-such-command\n".into(), Some(127))
    );
    let refused = world.runtime.exec(
        &plan.key,
        ExecRequest {
            user: Some("bad".into()),
            ..exec("true")
        },
        nothing(),
    );
    assert_eq!(refused.await.err().unwrap().to_string(), "No such user 'bad'");
    world.runtime.signal(&plan.key, "KILL").await.unwrap();
    within(world.runtime.wait(&plan.key)).await.unwrap();
    let late = world
        .runtime
        .exec(&plan.key, exec("true"), nothing())
        .await
        .err()
        .unwrap();
    assert_eq!(late.to_string(), "container is not running");
    world.finish().await;
}

#[tokio::test]
async fn exec_with_a_terminal_echoes_and_learns_its_size() {
    let world = World::new().await;
    let plan = world.plan("sleep 1000");
    world.start(&plan).await;
    let mut request = exec("tty > /dev/null || exit 9; stty size; read line; stty size; exit 5");
    (request.tty, request.stdin) = (Some(WindowSize { rows: 20, cols: 70 }), true);
    let (keys, input) = futures::channel::mpsc::unbounded();
    let mut output = world
        .runtime
        .exec(&plan.key, request, input.boxed())
        .await
        .unwrap();
    text_until(&mut output, "20 70\r\n").await;
    keys.unbounded_send(StreamInput::Resize(WindowSize { rows: 21, cols: 71 }))
        .unwrap();
    keys.unbounded_send(data("hello\n")).unwrap();
    assert_eq!(text(output).await, ("hello\r\n21 71\r\n".into(), Some(5)));
    world.finish().await;
}

#[tokio::test]
async fn who_stops_listening_ends_what_was_run_for_them() {
    let world = World::new().await;
    let plan = world.plan("sleep 1000");
    world.start(&plan).await;
    let mark = world.path().join("mark");
    let script = format!(
        "cat /proc/self/stat > /dev/null; exec sleep 4321; touch {}",
        mark.display()
    );
    let mut output = world
        .runtime
        .exec(&plan.key, exec(&format!("echo up; {script}")), nothing())
        .await
        .unwrap();
    text_until(&mut output, "up\n").await;
    let before = world.runtime.stats(&plan.key).await.unwrap().pids;
    drop(output);
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while running(4321) {
        assert!(
            std::time::Instant::now() < deadline,
            "still there, of {before} processes"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!mark.exists());
    world.finish().await;
}

fn running(seconds: u32) -> bool {
    procfs::descendants(1).into_iter().any(|pid| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line == format!("sleep\0{seconds}\0").into_bytes()
    })
}

#[tokio::test]
async fn attach_joins_the_streams_of_the_command_from_before_its_start() {
    let world = World::new().await;
    let mut plan = world.plan("while read line; do echo \"got $line\"; done; echo bye >&2; exit 6");
    plan.stdin = true;
    world.runtime.prepare(&plan).await.unwrap();
    let input = typed([data("one\ntwo\n"), StreamInput::Eof]);
    let output = world.runtime.attach(&plan.key, input).await.unwrap();
    world.runtime.start(&plan.key).await.unwrap();
    let (seen, code) = text(output).await;
    assert!(
        seen.contains("got one\n") && seen.contains("got two\n") && seen.contains("bye\n"),
        "{seen}"
    );
    assert_eq!(code, Some(6));
    within(world.runtime.wait(&plan.key)).await.unwrap();
    let late = world.runtime.attach(&plan.key, nothing()).await.err().unwrap();
    assert_eq!(late.to_string(), "container is not running");
    assert_eq!(
        world.runtime.stats(&plan.key).await.unwrap_err().to_string(),
        "container is not running"
    );
    world.finish().await;
}

#[tokio::test]
async fn a_container_with_a_terminal_is_attached_to_like_one() {
    let world = World::new().await;
    let mut plan = world.plan("tty > /dev/null || exit 9; echo $TERM; read line; stty size; exit 3");
    (plan.tty, plan.stdin) = (true, true);
    world.runtime.prepare(&plan).await.unwrap();
    let (keys, input) = futures::channel::mpsc::unbounded();
    let mut output = world.runtime.attach(&plan.key, input.boxed()).await.unwrap();
    world.runtime.start(&plan.key).await.unwrap();
    text_until(&mut output, "xterm\r\n").await;
    keys.unbounded_send(StreamInput::Resize(WindowSize { rows: 30, cols: 90 }))
        .unwrap();
    keys.unbounded_send(data("x\n")).unwrap();
    assert_eq!(text(output).await, ("x\r\n30 90\r\n".into(), Some(3)));
    world.finish().await;
}

#[tokio::test]
async fn attaching_without_input_only_listens() {
    let world = World::new().await;
    let plan = world.plan("echo up; exec sleep 0.3");
    world.runtime.prepare(&plan).await.unwrap();
    let output = world
        .runtime
        .attach(&plan.key, typed([data("lost"), StreamInput::Eof]))
        .await
        .unwrap();
    world.runtime.start(&plan.key).await.unwrap();
    assert_eq!(text(output).await, ("up\n".into(), Some(0)));
    world.finish().await;
}
