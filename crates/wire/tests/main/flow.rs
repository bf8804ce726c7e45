//! Flow control, and what ends what, over the wire.

use crate::fake_broker::{ENDLESS, Heard};
use crate::nouns::{claim, hello, seats, terms};
use crate::wired::{Wired, soon};
use futures::StreamExt;
use plenum_contract::broker::{Broker, BrokerError};
use plenum_model::claim::{ClaimBatch, ClaimGroup};
use plenum_model::ids::Cursor;
use plenum_wire::RemoteBroker;

#[tokio::test]
async fn a_watch_that_nobody_reads_holds_up_no_reply_and_stops_the_news() {
    let wired = Wired::start().await;
    let fake = &wired.fakes.broker;
    let session = RemoteBroker::new(wired.channel.clone())
        .open(hello())
        .await
        .unwrap();
    let mut watch = session.watch(Some(ENDLESS)).await.unwrap();
    fake.until(|c| c.batches >= 16).await;
    for _ in 0..200 {
        soon("a reply", session.claim(claim("app", 100))).await.unwrap();
    }
    assert_eq!(fake.counts.borrow().batches, 16, "no more than was granted");
    for _ in 0..100 {
        soon("news", watch.next()).await.unwrap().unwrap();
    }
    fake.until(|c| c.batches >= 116).await;
    assert!(fake.counts.borrow().batches <= 116);
}

#[tokio::test]
async fn a_second_watch_ends_the_first_without_an_error() {
    let wired = Wired::start().await;
    let session = RemoteBroker::new(wired.channel.clone())
        .open(hello())
        .await
        .unwrap();
    let mut first = session.watch(Some(ENDLESS)).await.unwrap();
    soon("news", first.next()).await.unwrap().unwrap();
    let mut second = session.watch(Some(ENDLESS)).await.unwrap();
    let rest = async { while first.next().await.transpose().unwrap().is_some() {} };
    soon("the end of the first", rest).await;
    soon("news", second.next()).await.unwrap().unwrap();
    assert_eq!(wired.fakes.broker.counts.borrow().watches, 1);
}

#[tokio::test]
async fn dropping_a_session_ends_its_watch_with_an_error() {
    let wired = Wired::start().await;
    let session = RemoteBroker::new(wired.channel.clone())
        .open(hello())
        .await
        .unwrap();
    let mut watch = session.watch(None).await.unwrap();
    for _ in 0..3 {
        soon("news", watch.next()).await.unwrap().unwrap();
    }
    drop(session);
    let error = soon("the end", watch.next()).await.unwrap().unwrap_err();
    assert!(matches!(error, BrokerError::Unavailable { .. }), "{error:?}");
    assert!(watch.next().await.is_none());
    wired.fakes.broker.until(|c| c.live == 0 && c.watches == 0).await;
}

#[tokio::test]
async fn a_claim_too_large_is_refused_alone() {
    let wired = Wired::start().await;
    let session = RemoteBroker::new(wired.channel.clone())
        .open(hello())
        .await
        .unwrap();
    let mut large = claim("app", 1);
    large.groups[0].seats[0].name = "x".repeat(65 << 20);
    let error = session.claim(large).await.unwrap_err();
    assert!(
        matches!(&error, BrokerError::Refused { field, .. } if field == "request"),
        "{error:?}"
    );
    let batch = claim("app", 3);
    session.claim(batch.clone()).await.unwrap();
    assert_eq!(wired.fakes.broker.heard().last(), Some(&Heard::Claim(batch)));
}

#[tokio::test]
async fn ten_thousand_tasks_with_terms_of_their_own_fit_and_the_stream_goes_on_after() {
    let wired = Wired::start().await;
    let session = RemoteBroker::new(wired.channel.clone())
        .open(hello())
        .await
        .unwrap();
    for round in 0..2 {
        let groups = seats(10_000).into_iter().map(|seat| {
            let terms = terms(&format!("kind-{round}-{}", seat.slot));
            ClaimGroup {
                terms,
                seats: vec![seat],
            }
        });
        let batch = ClaimBatch {
            groups: groups.collect(),
            ..ClaimBatch::default()
        };
        soon("the claim", session.claim(batch.clone())).await.unwrap();
        assert!(
            wired.fakes.broker.heard().last() == Some(&Heard::Claim(batch)),
            "round {round}"
        );
    }
    session.ack(Cursor(1)).await.unwrap();
}
