//! Byte streams: whoever asks is joined with the agent that dials back, or told why not.

use crate::running::{Agent, broker, session, soon};
use crate::world::{batch, node_id, seats, task_id, terms};
use bytes::Bytes;
use futures::{StreamExt, stream};
use plenum_contract::dispatcher::{BrokerMessage, DispatchError, Dispatcher, StreamId};
use plenum_contract::streams::{Output, StreamError, StreamInput, StreamRequest, Streams};
use plenum_store::MemoryLog;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_joins_who_asks_with_the_agent_that_carries_it() {
    let broker = broker(&MemoryLog::new());
    let mut agent = Agent::attach(&broker, "n1").await;
    let web = session(&broker, "web").await;
    web.claim(batch(terms("a", 1_000, 100), seats("web", "a", 0..1)))
        .await
        .unwrap();
    let task = task_id("web", "a", 0, 1);
    let asked = tokio::spawn({
        let broker = broker.clone();
        async move { Streams::open(&broker, task, StreamRequest::Attach { container: None }).await }
    });
    let id = loop {
        if let BrokerMessage::OpenStream { stream, task: of, .. } = agent.next().await.unwrap() {
            assert_eq!(of, task);
            break stream;
        }
    };
    let other = broker.carry(node_id("n2"), id, stream::empty().boxed()).await;
    assert!(
        matches!(other, Err(DispatchError::NotFound { .. })),
        "only its node may carry it"
    );
    let up = stream::iter([
        Ok(Output::Stdout(Bytes::from("hello"))),
        Ok(Output::Exit { code: 3 }),
    ]);
    let mut input = broker.carry(node_id("n1"), id, up.boxed()).await.unwrap();
    let mut ends = soon(asked).await.unwrap().unwrap();
    ends.input.send(StreamInput::Eof).await.unwrap();
    assert_eq!(soon(input.next()).await, Some(StreamInput::Eof));
    assert_eq!(
        soon(ends.output.next()).await.unwrap().unwrap(),
        Output::Stdout(Bytes::from("hello"))
    );
    assert_eq!(
        soon(ends.output.next()).await.unwrap().unwrap(),
        Output::Exit { code: 3 }
    );
    drop(ends);
    assert_eq!(soon(input.next()).await, None, "who asked is gone");
    soon(broker.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_cannot_be_is_refused_with_its_cause() {
    let broker = broker(&MemoryLog::new());
    let web = session(&broker, "web").await;
    web.claim(batch(terms("a", 1_000, 100), seats("web", "a", 0..1)))
        .await
        .unwrap();
    let task = task_id("web", "a", 0, 1);
    let open = |id| Streams::open(&broker, id, StreamRequest::PortForward { port: 80 });
    let unknown = open(task_id("web", "b", 0, 1)).await;
    assert!(matches!(unknown.err(), Some(StreamError::NotFound { .. })));
    assert!(
        matches!(open(task).await.err(), Some(StreamError::State { .. })),
        "it waits for a node"
    );
    let agent = Agent::attach(&broker, "n1").await;
    // The agent never answers.
    assert!(matches!(
        soon(open(task)).await.err(),
        Some(StreamError::Unavailable { .. })
    ));
    let late = broker
        .carry(node_id("n1"), StreamId(0), stream::empty().boxed())
        .await;
    assert!(
        matches!(late.err(), Some(DispatchError::NotFound { .. })),
        "nobody waits any more"
    );
    drop(agent);
    soon(async {
        while broker.is_attached(&node_id("n1")) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(matches!(
        soon(open(task)).await.err(),
        Some(StreamError::Unavailable { .. })
    ));
    soon(broker.stop()).await;
}
