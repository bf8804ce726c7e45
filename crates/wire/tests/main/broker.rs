//! The `Broker` contract on both sides of the wire.

use crate::fake_broker::{Counts, FAILING, FakeBroker, Heard, REFUSED, every_error, news, refusal};
use crate::nouns::{claim, hello, node_id, task_id};
use crate::wired::{Fakes, Wired, soon};
use futures::{FutureExt, StreamExt};
use plenum_contract::broker::{Amend, Broker, BrokerError, Claimed, RefusalReason, WatchEvent};
use plenum_contract::error::Classified;
use plenum_model::amounts::Amounts;
use plenum_model::claim::{Amendment, Desired, Pin};
use plenum_model::ids::{Cursor, Generation, SessionEpoch};
use plenum_wire::RemoteBroker;
use std::sync::Arc;

/// The same test in process and over the wire.
macro_rules! both {
    ($($name:ident)*) => {$(
        mod $name {
            #[tokio::test]
            async fn in_process() {
                let fakes = super::Fakes::default();
                super::$name(fakes.broker.as_ref(), &fakes.broker).await;
            }

            #[tokio::test]
            async fn over_the_wire() {
                let wired = super::Wired::start().await;
                let broker = super::RemoteBroker::new(wired.channel.clone());
                super::$name(&broker, &wired.fakes.broker).await;
            }
        }
    )*};
}

both! {
    every_verb_arrives_as_it_was_sent
    a_stand_by_takes_over_when_the_session_before_it_ends
    a_stand_by_that_gives_up_leaves_the_queue
    errors_keep_their_class_and_their_fields
    a_watch_gives_whole_batches_and_tasks_share_their_terms
    a_watch_that_fails_says_why_and_the_session_goes_on
    a_call_that_takes_long_holds_up_no_other
    dropping_a_watch_ends_it_and_not_the_session
}

async fn every_verb_arrives_as_it_was_sent(broker: &dyn Broker, fake: &Arc<FakeBroker>) {
    let session = broker.open(hello()).await.unwrap();
    assert_eq!(session.epoch(), SessionEpoch(1));
    let mut batch = claim("app", 1_000);
    batch.groups[0].seats[7].replaces = Some(task_id(6));
    batch.groups[0].seats[8].pin = Some(Pin {
        node: node_id(1),
        past_cordon: true,
    });
    let claimed = session.claim(batch.clone()).await.unwrap();
    let refused = vec![refusal(task_id(1), RefusalReason::Conflict)];
    assert_eq!(
        claimed,
        Claimed {
            known: vec![task_id(0)],
            refused
        }
    );
    let amend = |change| Amend {
        task: task_id(2),
        generation: Generation(5),
        change,
    };
    let amends = vec![
        amend(Amendment::Desired(Desired::Held { deadline_ms: 9 })),
        amend(Amendment::Charge(Amounts::task(1, 2, 3))),
    ];
    let refused = session.amend(amends.clone()).await.unwrap();
    assert_eq!(refused, vec![refusal(task_id(2), RefusalReason::Stale); 2]);
    session
        .release(vec![task_id(1), task_id(2)], Some(0))
        .await
        .unwrap();
    session.release(vec![], None).await.unwrap();
    let refused = session.forget(vec![task_id(3)]).await.unwrap();
    assert_eq!(refused, vec![refusal(task_id(3), RefusalReason::State)]);
    session.ack(Cursor(u64::MAX)).await.unwrap();
    let told = vec![
        Heard::Hello(hello()),
        Heard::Claim(batch),
        Heard::Amend(amends),
        Heard::Release(vec![task_id(1), task_id(2)], Some(0)),
        Heard::Release(vec![], None),
        Heard::Forget(vec![task_id(3)]),
        Heard::Ack(Cursor(u64::MAX)),
    ];
    assert_eq!(fake.heard(), told);
}

async fn a_stand_by_takes_over_when_the_session_before_it_ends(broker: &dyn Broker, fake: &Arc<FakeBroker>) {
    let first = broker.open(hello()).await.unwrap();
    let mut second = broker.open(hello());
    let early = tokio::select! {
        _ = &mut second => true,
        () = fake.until(|c| c.asked == 2) => false,
    };
    assert!(!early, "it waits while another lives");
    first.claim(claim("app", 1)).await.unwrap();
    drop(first);
    let second = soon("the take-over", second).await.unwrap();
    assert_eq!(second.epoch(), SessionEpoch(2));
    second.claim(claim("app", 1)).await.unwrap();
    assert_eq!(fake.counts.borrow().live, 1);
}

async fn a_stand_by_that_gives_up_leaves_the_queue(broker: &dyn Broker, fake: &Arc<FakeBroker>) {
    let first = broker.open(hello()).await.unwrap();
    let mut second = broker.open(hello());
    tokio::select! {
        _ = &mut second => panic!("it waits while another lives"),
        () = fake.until(|c| c.asked == 2) => {}
    }
    drop(second);
    drop(first);
    fake.until(|c| c.live == 0).await;
    let third = soon("the next session", broker.open(hello())).await.unwrap();
    assert!(third.claim(claim("app", 1)).await.is_ok());
}

async fn errors_keep_their_class_and_their_fields(broker: &dyn Broker, _: &Arc<FakeBroker>) {
    let mut old = hello();
    old.api = (0, 0);
    let Err(refused) = broker.open(old).await else {
        panic!("it was opened")
    };
    let expected = BrokerError::Refused {
        field: "api".into(),
        why: "speaks up to 0".into(),
    };
    assert_eq!(format!("{refused:?}"), format!("{expected:?}"));
    let session = broker.open(hello()).await.unwrap();
    for (n, expected) in every_error().into_iter().enumerate() {
        let error = session.claim(claim(&format!("error-{n}"), 1)).await.unwrap_err();
        assert_eq!(format!("{error:?}"), format!("{expected:?}"));
        assert_eq!(error.class(), expected.class());
    }
    let Err(error) = session.watch(Some(REFUSED)).await else {
        panic!("it was given")
    };
    assert_eq!(format!("{error:?}"), format!("{:?}", every_error()[1]));
}

async fn a_watch_gives_whole_batches_and_tasks_share_their_terms(broker: &dyn Broker, _: &Arc<FakeBroker>) {
    let session = broker.open(hello()).await.unwrap();
    let mut watch = session.watch(None).await.unwrap();
    for expected in news() {
        let batch = soon("the batch", watch.next()).await.unwrap().unwrap();
        assert_eq!(batch.cursor, expected.cursor);
        let terms: Vec<_> = batch
            .events
            .iter()
            .filter_map(|event| match event {
                WatchEvent::Task(task) => Some(&task.terms),
                _other => None,
            })
            .collect();
        assert!(terms.windows(2).all(|two| Arc::ptr_eq(two[0], two[1])));
        assert!(batch == expected, "batch {} differs", expected.cursor);
    }
    assert!(watch.next().now_or_never().is_none(), "it goes on");
}

async fn a_watch_that_fails_says_why_and_the_session_goes_on(broker: &dyn Broker, _: &Arc<FakeBroker>) {
    let session = broker.open(hello()).await.unwrap();
    let mut watch = session.watch(Some(FAILING)).await.unwrap();
    soon("a batch", watch.next()).await.unwrap().unwrap();
    let error = soon("the error", watch.next()).await.unwrap().unwrap_err();
    assert_eq!(format!("{error:?}"), format!("{:?}", every_error()[0]));
    assert!(soon("the end", watch.next()).await.is_none());
    session.ack(Cursor(1)).await.unwrap();
}

async fn a_call_that_takes_long_holds_up_no_other(broker: &dyn Broker, fake: &Arc<FakeBroker>) {
    let session = broker.open(hello()).await.unwrap();
    let mut never = session.claim(claim("never", 1));
    let others = async {
        for _ in 0..100 {
            session.claim(claim("app", 1)).await.unwrap();
        }
    };
    tokio::select! {
        biased;
        _ = &mut never => panic!("it was answered"),
        () = soon("the other calls", others) => {}
    }
    drop(never);
    assert!(fake.heard().contains(&Heard::Claim(claim("never", 1))));
}

async fn dropping_a_watch_ends_it_and_not_the_session(broker: &dyn Broker, fake: &Arc<FakeBroker>) {
    let session = broker.open(hello()).await.unwrap();
    let watch = session.watch(None).await.unwrap();
    fake.until(|c| c.watches == 1).await;
    drop(watch);
    fake.until(|c| c.watches == 0).await;
    session.ack(Cursor(1)).await.unwrap();
    drop(session);
    fake.until(|c| {
        *c == Counts {
            asked: 1,
            batches: c.batches,
            ..Counts::default()
        }
    })
    .await;
}
