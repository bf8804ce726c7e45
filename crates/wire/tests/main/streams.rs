//! The `Streams` contract on both sides of the wire.

use crate::fake_streams::{FakeStreams, breaking, endless, every_error};
use crate::nouns::task_id;
use crate::wired::{Fakes, Wired, soon};
use bytes::Bytes;
use futures::StreamExt;
use plenum_contract::error::Classified;
use plenum_contract::pool::Pool;
use plenum_contract::streams::{
    ExecRequest, LogQuery, Output, StreamInput, StreamRequest, Streams, WindowSize,
};
use plenum_wire::{RemotePool, RemoteStreams};
use std::sync::Arc;

/// The same test in process and over the wire.
macro_rules! both {
    ($($name:ident)*) => {$(
        mod $name {
            #[tokio::test]
            async fn in_process() {
                let fakes = super::Fakes::default();
                super::$name(fakes.streams.as_ref(), &fakes.streams).await;
            }

            #[tokio::test]
            async fn over_the_wire() {
                let wired = super::Wired::start().await;
                let streams = super::RemoteStreams::new(wired.channel.clone());
                super::$name(&streams, &wired.fakes.streams).await;
            }
        }
    )*};
}

both! {
    bytes_go_in_and_come_out_until_the_exit
    closing_the_input_closes_the_containers
    errors_keep_their_class_and_their_fields
    a_stream_that_breaks_says_so_at_last
    dropping_both_ends_ends_the_stream
}

fn exec() -> StreamRequest {
    StreamRequest::Exec(ExecRequest {
        argv: vec!["sh".into()],
        env: vec![("A".into(), "b".into())],
        tty: Some(WindowSize { rows: 24, cols: 80 }),
        stdin: true,
        ..ExecRequest::default()
    })
}

async fn bytes_go_in_and_come_out_until_the_exit(streams: &dyn Streams, fake: &Arc<FakeStreams>) {
    let mut ends = streams.open(task_id(1), exec()).await.unwrap();
    for n in 0..100_u8 {
        let bytes = Bytes::from(vec![n; 10_000]);
        ends.input.send(StreamInput::Data(bytes.clone())).await.unwrap();
        let output = soon("the echo", ends.output.next()).await.unwrap().unwrap();
        assert!(output == Output::Stdout(bytes));
    }
    ends.input
        .send(StreamInput::Resize(WindowSize { rows: 1, cols: 2 }))
        .await
        .unwrap();
    ends.input.send(StreamInput::Eof).await.unwrap();
    let rest: Vec<_> = soon("the rest", ends.output.map(Result::unwrap).collect()).await;
    assert_eq!(
        rest,
        [
            Output::Stderr(Bytes::from_static(b"1x2")),
            Output::Exit { code: 0 }
        ]
    );
    assert_eq!(*fake.asked.lock().unwrap(), [exec()]);
}

async fn closing_the_input_closes_the_containers(streams: &dyn Streams, _: &Arc<FakeStreams>) {
    let request = StreamRequest::Attach {
        container: Some("main".into()),
    };
    let mut ends = streams.open(task_id(1), request).await.unwrap();
    drop(ends.input);
    let exit = soon("the exit", ends.output.next()).await.unwrap().unwrap();
    assert_eq!(exit, Output::Exit { code: 1 });
    assert!(soon("the end", ends.output.next()).await.is_none());
}

async fn errors_keep_their_class_and_their_fields(streams: &dyn Streams, _: &Arc<FakeStreams>) {
    for (port, expected) in (0..).zip(every_error()) {
        let Err(error) = streams
            .open(task_id(1), StreamRequest::PortForward { port })
            .await
        else {
            panic!("it was opened");
        };
        assert_eq!(format!("{error:?}"), format!("{expected:?}"));
        assert_eq!(error.class(), expected.class());
    }
}

async fn a_stream_that_breaks_says_so_at_last(streams: &dyn Streams, _: &Arc<FakeStreams>) {
    let request = StreamRequest::Logs(LogQuery {
        follow: true,
        tail: Some(3),
        ..LogQuery::default()
    });
    let mut ends = streams.open(breaking(), request).await.unwrap();
    let first = soon("output", ends.output.next()).await.unwrap().unwrap();
    assert_eq!(first, Output::Stdout(Bytes::from_static(b"a")));
    let error = soon("the error", ends.output.next()).await.unwrap().unwrap_err();
    assert_eq!(format!("{error:?}"), format!("{:?}", every_error()[3]));
    assert!(soon("the end", ends.output.next()).await.is_none());
}

async fn dropping_both_ends_ends_the_stream(streams: &dyn Streams, fake: &Arc<FakeStreams>) {
    let ends = streams.open(task_id(1), exec()).await.unwrap();
    fake.until(|live| live == 1).await;
    drop(ends);
    fake.until(|live| live == 0).await;
}

#[tokio::test]
async fn a_reader_that_sleeps_stops_its_own_stream_and_no_other() {
    let wired = Wired::start().await;
    let streams = RemoteStreams::new(wired.channel.clone());
    let logs = StreamRequest::Logs(LogQuery::default());
    let mut sleepers = Vec::new();
    for _ in 0..4 {
        sleepers.push(streams.open(endless(), logs.clone()).await.unwrap());
    }
    // Everything that fits is on its way when nothing moves any more.
    let mut taken = wired.fakes.streams.taken.subscribe();
    let still = async {
        while tokio::time::timeout(std::time::Duration::from_millis(500), taken.changed())
            .await
            .is_ok()
        {}
    };
    soon("standing still", still).await;
    let taken = *wired.fakes.streams.taken.borrow();
    assert!(
        taken < 4 * 8 * 1024,
        "each stream holds a few MB at most, all hold {taken} KB"
    );
    let pool = RemotePool::new(wired.channel.clone());
    assert_eq!(soon("another call", pool.nodes()).await.unwrap().len(), 5_000);
    for sleeper in &mut sleepers {
        for _ in 0..10_000 {
            soon("more", sleeper.output.next()).await.unwrap().unwrap();
        }
    }
}
