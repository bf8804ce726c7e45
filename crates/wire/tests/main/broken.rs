//! Connections that break.

use crate::fake_broker::ENDLESS;
use crate::nouns::{claim, facts, hello, task_id};
use crate::wired::{Wired, soon};
use futures::StreamExt;
use futures::stream::pending;
use plenum_contract::broker::{Broker, BrokerError};
use plenum_contract::dispatcher::{AgentHello, DispatchError, Dispatcher};
use plenum_contract::error::{Class, Classified};
use plenum_contract::pool::Pool;
use plenum_contract::state_store::StateStore;
use plenum_contract::streams::{StreamError, StreamRequest, Streams};
use plenum_model::ids::LeaderEpoch;
use plenum_wire::{RemoteBroker, RemoteDispatcher, RemotePool, RemoteState, RemoteStreams, connect};

fn is_unavailable(error: &BrokerError) -> bool {
    matches!(error, BrokerError::Unavailable { .. })
}

#[tokio::test]
async fn a_connection_that_breaks_ends_the_session_on_both_sides() {
    let mut wired = Wired::start().await;
    let broker = RemoteBroker::new(wired.channel.clone());
    let session = broker.open(hello()).await.unwrap();
    let mut watch = session.watch(Some(ENDLESS)).await.unwrap();
    let under_way = session.claim(claim("never", 1));
    let cut = async {
        soon("news", watch.next()).await.unwrap().unwrap();
        wired.proxy.cut().await;
    };
    let (under_way, ()) = tokio::join!(soon("the end of the call", under_way), cut);
    assert!(is_unavailable(&under_way.unwrap_err()));
    let end = async {
        loop {
            match watch.next().await {
                Some(Ok(_)) => {}
                Some(Err(error)) => return error,
                None => panic!("it ended in silence"),
            }
        }
    };
    assert!(is_unavailable(&soon("the end of the watch", end).await));
    assert!(is_unavailable(&session.claim(claim("app", 1)).await.unwrap_err()));
    wired.fakes.broker.until(|c| c.live == 0 && c.watches == 0).await;
    let Err(error) = broker.open(hello()).await else {
        panic!("it was opened")
    };
    assert_eq!(error.class(), Class::Retry);
}

#[tokio::test]
async fn a_network_that_goes_silent_is_noticed_on_both_sides() {
    let wired = Wired::start().await;
    let broker = RemoteBroker::new(wired.channel.clone());
    let session = broker.open(hello()).await.unwrap();
    let mut watch = session.watch(None).await.unwrap();
    for _ in 0..3 {
        soon("news", watch.next()).await.unwrap().unwrap();
    }
    wired.proxy.swallow();
    let error = soon("the end of the watch", watch.next())
        .await
        .unwrap()
        .unwrap_err();
    assert!(is_unavailable(&error), "{error:?}");
    wired.fakes.broker.until(|c| c.live == 0 && c.watches == 0).await;
}

#[tokio::test]
async fn an_attachment_that_breaks_ends_on_both_sides() {
    let mut wired = Wired::start().await;
    let dispatcher = RemoteDispatcher::new(wired.channel.clone());
    let agent = AgentHello {
        facts: facts(1),
        epoch: LeaderEpoch(1),
        api: (1, 1),
    };
    let mut down = dispatcher.attach(agent, pending().boxed()).await.unwrap();
    soon("the welcome", down.next()).await.unwrap().unwrap();
    wired.fakes.dispatcher.until(|live| live == 1).await;
    wired.proxy.cut().await;
    let end = async {
        loop {
            if let Err(error) = down.next().await.expect("it ended in silence") {
                return error;
            }
        }
    };
    let error = soon("the end", end).await;
    assert!(matches!(error, DispatchError::Unavailable { .. }), "{error:?}");
    wired.fakes.dispatcher.until(|live| live == 0).await;
}

#[tokio::test]
async fn where_nobody_listens_every_contract_may_be_tried_again() {
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let channel = connect(&format!("http://{free}")).unwrap();
    let Err(error) = RemoteBroker::new(channel.clone()).open(hello()).await else {
        panic!("it was opened");
    };
    assert_eq!(error.class(), Class::Retry);
    assert!(
        error.to_string().contains("refused"),
        "it says what was observed: {error}"
    );
    let pool = RemotePool::new(channel.clone());
    assert_eq!(pool.nodes().await.unwrap_err().class(), Class::Retry);
    let state = RemoteState::new(channel.clone(), crate::nouns::scheduler());
    assert_eq!(state.get("a").await.unwrap_err().class(), Class::Retry);
    let ask = StreamRequest::Stats { container: None };
    let Err(error) = RemoteStreams::new(channel).open(task_id(1), ask).await else {
        panic!("it was opened");
    };
    assert!(matches!(error, StreamError::Unavailable { .. }), "{error:?}");
}

#[tokio::test]
async fn what_is_no_address_is_refused_by_name() {
    let error = connect("not an address").unwrap_err();
    assert!(error.to_string().contains("`not an address`"), "{error}");
}
