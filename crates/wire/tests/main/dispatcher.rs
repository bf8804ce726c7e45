//! The `Dispatcher` contract on both sides of the wire.

use crate::fake_dispatcher::{FakeDispatcher, every_error, told};
use crate::nouns::{facts, node_id, task_id};
use crate::wired::{Fakes, Wired, soon};
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::iter;
use plenum_contract::dispatcher::{AgentHello, AgentMessage, BrokerMessage, Dispatcher, StreamId};
use plenum_contract::error::Classified;
use plenum_contract::streams::{LogLine, LogSource, Output, Stats, StreamError, StreamInput, WindowSize};
use plenum_model::ids::{Incarnation, LeaderEpoch, Seq};
use plenum_model::phase::{Phase, Progress};
use plenum_model::task::{Exit, ExitReason, Observation};
use plenum_wire::RemoteDispatcher;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// The same test in process and over the wire.
macro_rules! both {
    ($($name:ident)*) => {$(
        mod $name {
            #[tokio::test]
            async fn in_process() {
                let fakes = super::Fakes::default();
                super::$name(fakes.dispatcher.as_ref(), &fakes.dispatcher).await;
            }

            #[tokio::test]
            async fn over_the_wire() {
                let wired = super::Wired::start().await;
                let dispatcher = super::RemoteDispatcher::new(wired.channel.clone());
                super::$name(&dispatcher, &wired.fakes.dispatcher).await;
            }
        }
    )*};
}

both! {
    an_agent_is_told_and_heard
    a_refusal_keeps_its_class_and_its_fields
    a_stream_is_carried_both_ways
    files_are_fetched
}

fn hello(epoch: u64) -> AgentHello {
    AgentHello {
        facts: facts(1),
        epoch: LeaderEpoch(epoch),
        api: (1, 2),
    }
}

fn seen(seq: u64) -> Observation {
    Observation {
        task: task_id(seq),
        seq: Seq(seq),
        progress: Progress {
            incarnation: Incarnation(2),
            phase: Phase::Failed,
        },
        ready: Some(false),
        address: Some("127.77.0.1".into()),
        exit: Some(Exit {
            code: Some(-1),
            signal: None,
            reason: ExitReason::OutOfMemory,
            message: "killed".into(),
        }),
        message: String::new(),
        at: 1_700_000_000_000,
        containers: Vec::new(),
        checks: Vec::new(),
    }
}

async fn an_agent_is_told_and_heard(dispatcher: &dyn Dispatcher, fake: &Arc<FakeDispatcher>) {
    let (messages, up) = mpsc::channel(8);
    let up = ReceiverStream::new(up).boxed();
    let mut down = dispatcher.attach(hello(2), up).await.unwrap();
    for expected in told() {
        let message = soon("what it is told", down.next()).await.unwrap().unwrap();
        assert!(message == expected, "{message:?}");
    }
    let said = vec![
        AgentMessage::Heartbeat,
        AgentMessage::Facts(Box::new(facts(2))),
        AgentMessage::Observed((1..100).map(seen).collect()),
    ];
    for message in &said {
        messages.send(message.clone()).await.unwrap();
    }
    let acked = soon("the acknowledgement", down.next()).await.unwrap().unwrap();
    assert_eq!(acked, BrokerMessage::Acked(Seq(99)));
    assert_eq!(*fake.hellos.lock().unwrap(), [hello(2)]);
    assert_eq!(*fake.heard.lock().unwrap(), said);
    drop(messages);
    assert!(
        soon("the end", down.next()).await.is_none(),
        "who says no more is let go"
    );
    drop(down);
    fake.until(|live| live == 0).await;
}

async fn a_refusal_keeps_its_class_and_its_fields(dispatcher: &dyn Dispatcher, _: &Arc<FakeDispatcher>) {
    for (n, expected) in (100..).zip(every_error()) {
        let up = futures::stream::pending().boxed();
        let Err(error) = dispatcher.attach(hello(n), up).await else {
            panic!("it was taken")
        };
        assert_eq!(format!("{error:?}"), format!("{expected:?}"));
        assert_eq!(error.class(), expected.class());
    }
}

async fn a_stream_is_carried_both_ways(dispatcher: &dyn Dispatcher, fake: &Arc<FakeDispatcher>) {
    let up: Vec<Result<Output, StreamError>> = vec![
        Ok(Output::Log(LogLine {
            at_nanos: 5,
            source: LogSource::Stderr,
            bytes: Bytes::from_static(b"line\n"),
        })),
        Ok(Output::Stdout(Bytes::from(vec![0; 1 << 20]))),
        Ok(Output::Stats(Stats {
            cpu_nanos: 1,
            memory_limit_bytes: Some(2),
            ..Stats::default()
        })),
        Ok(Output::Exit { code: 137 }),
        Err(StreamError::State {
            why: "container is not running".into(),
        }),
    ];
    let mut expected = vec![format!("{} {:?}", node_id(1), StreamId(9))];
    expected.extend(up.iter().map(|output| format!("{output:?}")));
    let input = dispatcher
        .carry(node_id(1), StreamId(9), iter(up).boxed())
        .await
        .unwrap();
    let input: Vec<_> = soon("the input", input.collect()).await;
    let size = WindowSize { rows: 2, cols: 3 };
    let wanted = [
        StreamInput::Data(Bytes::from_static(b"in")),
        StreamInput::Resize(size),
        StreamInput::Eof,
    ];
    assert_eq!(input, wanted);
    assert!(*fake.carried.lock().unwrap() == expected);
    let none = dispatcher.carry(node_id(1), StreamId(4), iter([]).boxed()).await;
    let Err(error) = none else {
        panic!("it was carried")
    };
    assert_eq!(format!("{error:?}"), format!("{:?}", every_error()[0]));
}

async fn files_are_fetched(dispatcher: &dyn Dispatcher, _: &Arc<FakeDispatcher>) {
    let content = dispatcher
        .fetch(node_id(1), task_id(7), "secrets/db".into(), 7)
        .await
        .unwrap();
    assert_eq!(content, format!("node-1 {} secrets/db 7", task_id(7)));
    let error = dispatcher
        .fetch(node_id(1), task_id(7), "missing".into(), 7)
        .await
        .unwrap_err();
    assert_eq!(format!("{error:?}"), format!("{:?}", every_error()[0]));
}
