//! What a client in another language may get wrong: refused by name, and the session goes on where it can.

use crate::nouns::task_id;
use crate::wired::{Wired, soon};
use bytes::Bytes;
use plenum_wire::proto::agent::v1::attach_request::Message;
use plenum_wire::proto::agent::v1::{AttachRequest, dispatcher_client::DispatcherClient};
use plenum_wire::proto::broker::v1::broker_client::BrokerClient;
use plenum_wire::proto::broker::v1::error::Error;
use plenum_wire::proto::broker::v1::reply::Outcome;
use plenum_wire::proto::broker::v1::session_request::Kind;
use plenum_wire::proto::broker::v1::session_response::Kind as Answer;
use plenum_wire::proto::broker::v1::{
    Ack, Claim, ClaimGroup, Hello, Release, SessionRequest, SessionResponse,
};
use plenum_wire::proto::model::v1::NodeFacts;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

struct Raw {
    requests: mpsc::Sender<SessionRequest>,
    answers: Streaming<SessionResponse>,
}

impl Raw {
    async fn start(wired: &Wired) -> Self {
        let (requests, sent) = mpsc::channel(8);
        let mut client = BrokerClient::new(wired.channel.clone());
        let answers = client
            .session(ReceiverStream::new(sent))
            .await
            .unwrap()
            .into_inner();
        Self { requests, answers }
    }

    async fn opened(wired: &Wired) -> Self {
        let mut raw = Self::start(wired).await;
        raw.send(0, hello()).await;
        assert!(matches!(raw.answer().await, Ok(Some(Answer::Opened(_)))));
        raw
    }

    async fn send(&self, number: u64, kind: Kind) {
        let request = SessionRequest {
            definitions: None,
            number,
            kind: Some(kind),
        };
        self.requests.send(request).await.unwrap();
    }

    async fn answer(&mut self) -> Result<Option<Answer>, Status> {
        let answer = soon("an answer", self.answers.message()).await?;
        Ok(answer.and_then(|answer| answer.kind))
    }

    async fn refused(&mut self, number: u64) -> String {
        let answer = self.answer().await.unwrap();
        let Some(Answer::Reply(reply)) = answer else {
            panic!("no reply: {answer:?}")
        };
        assert_eq!(reply.number, number);
        let Some(Outcome::Error(error)) = reply.outcome else {
            panic!("no error: {reply:?}")
        };
        let Some(Error::Refused(refused)) = error.error else {
            panic!("not refused: {error:?}")
        };
        format!("{}: {}", refused.field, refused.why)
    }

    async fn ended(&mut self) -> Status {
        self.answer().await.unwrap_err()
    }
}

fn hello() -> Kind {
    Kind::Hello(Hello {
        scheduler: "raw".into(),
        api_oldest: 1,
        api_newest: 1,
        ..Hello::default()
    })
}

#[tokio::test]
async fn a_call_that_does_not_read_is_refused_alone() {
    let wired = Wired::start().await;
    let mut raw = Raw::opened(&wired).await;
    let groups = vec![ClaimGroup {
        terms: 5,
        seats: Vec::new(),
    }];
    raw.send(
        1,
        Kind::Claim(Claim {
            groups,
            ..Claim::default()
        }),
    )
    .await;
    assert_eq!(
        raw.refused(1).await,
        "terms: refers to number 5, which was not defined"
    );
    let ids = vec![Bytes::from_static(b"short")];
    raw.send(2, Kind::Release(Release { ids, grace_ms: None })).await;
    assert_eq!(raw.refused(2).await, "release.ids: has 5 bytes, not 16");
    let ids = vec![Bytes::copy_from_slice(&task_id(1).0)];
    raw.send(3, Kind::Release(Release { ids, grace_ms: None })).await;
    let Ok(Some(Answer::Reply(reply))) = raw.answer().await else {
        panic!("no reply")
    };
    assert_eq!((reply.number, reply.outcome), (3, Some(Outcome::Done(()))));
}

#[tokio::test]
async fn a_stream_out_of_order_is_ended_with_a_reason() {
    let wired = Wired::start().await;
    let mut raw = Raw::start(&wired).await;
    raw.send(1, Kind::Ack(Ack { cursor: 1 })).await;
    let status = raw.ended().await;
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(
        status.message().contains("the first message must be `hello`"),
        "{status:?}"
    );

    let mut raw = Raw::opened(&wired).await;
    raw.send(0, hello()).await;
    assert!(raw.ended().await.message().contains("a second `hello`"));

    let mut raw = Raw::opened(&wired).await;
    raw.send(0, Kind::Ack(Ack { cursor: 1 })).await;
    assert!(raw.ended().await.message().contains("a call without a number"));

    let mut raw = Raw::opened(&wired).await;
    raw.requests.send(SessionRequest::default()).await.unwrap();
    assert_eq!(raw.ended().await.code(), Code::InvalidArgument);
    wired.fakes.broker.until(|c| c.live == 0).await;
}

#[tokio::test]
async fn who_closes_its_side_still_gets_what_it_asked_for() {
    let wired = Wired::start().await;
    let Raw {
        requests,
        mut answers,
    } = Raw::opened(&wired).await;
    let kind = Some(Kind::Ack(Ack { cursor: 1 }));
    requests
        .send(SessionRequest {
            definitions: None,
            number: 9,
            kind,
        })
        .await
        .unwrap();
    drop(requests);
    let answer = soon("the reply", answers.message()).await.unwrap().unwrap();
    assert!(matches!(answer.kind, Some(Answer::Reply(reply)) if reply.number == 9));
    assert!(soon("the end", answers.message()).await.unwrap().is_none());
    wired.fakes.broker.until(|c| c.live == 0).await;
}

#[tokio::test]
async fn an_agent_that_sends_what_does_not_read_is_told() {
    let wired = Wired::start().await;
    let (requests, sent) = mpsc::channel(8);
    let mut client = DispatcherClient::new(wired.channel.clone());
    let agent = plenum_wire::proto::agent::v1::AgentHello {
        facts: Some(NodeFacts {
            id: "node-1".into(),
            capacity: Some(Default::default()),
            ports: Some(Default::default()),
            ..NodeFacts::default()
        }),
        ..Default::default()
    };
    requests
        .send(AttachRequest {
            message: Some(Message::Hello(agent)),
        })
        .await
        .unwrap();
    let mut answers = client
        .attach(ReceiverStream::new(sent))
        .await
        .unwrap()
        .into_inner();
    let bad = NodeFacts {
        id: "not a name".into(),
        ..NodeFacts::default()
    };
    requests
        .send(AttachRequest {
            message: Some(Message::Facts(bad)),
        })
        .await
        .unwrap();
    let end = async {
        loop {
            match answers.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("it ended in silence"),
                Err(status) => return status,
            }
        }
    };
    let status = soon("the end", end).await;
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("facts.id"), "{status:?}");
    wired.fakes.dispatcher.until(|live| live == 0).await;
}
