//! What a task costs on the wire. The bytes are asserted; the pace is printed, for whoever measures (with
//! `--release --nocapture`).

use crate::convert::definitions::{Incoming, Outgoing};
use crate::convert::tests::any::terms;
use crate::proto::broker::v1 as wire;
use bytes::Bytes;
use plenum_contract::broker::WatchEvent;
use plenum_model::claim::{ClaimBatch, ClaimGroup, Desired, Seat, Terms};
use plenum_model::ids::{Generation, NodeId, SchedulerId, TaskId};
use plenum_model::phase::Phase;
use plenum_model::task::{Status, Task};
use proptest::strategy::{Strategy, ValueTree};
use prost::Message;
use std::sync::Arc;
use std::time::Instant;

const TASKS: u64 = 1_000;
/// Enough rounds for a steady figure in a release build, a moment in any other.
const ROUNDS: u32 = if cfg!(debug_assertions) { 2 } else { 200 };

fn scheduler() -> SchedulerId {
    SchedulerId::new("marathon").unwrap()
}

fn some_terms() -> Arc<Terms> {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    terms().new_tree(&mut runner).unwrap().current()
}

fn seats() -> Vec<Seat> {
    let seat = |slot| {
        let name = format!("web.instance-0b2f4c1e-6f0c-11f1-9b5d-{slot:012}._app.1");
        Seat::new(TaskId::derive(&scheduler(), "web", slot, 1), name, slot)
    };
    (0..TASKS).map(seat).collect()
}

fn events() -> Vec<WatchEvent> {
    let terms = some_terms();
    let task = |seat: Seat| {
        let mut status = Status::pending(1_700_000_000_000);
        status.progress.phase = Phase::Running;
        status.node = Some(NodeId::new(format!("node-{}", seat.slot % 100)).unwrap());
        status.ports = vec![31_000, 31_001];
        (status.placed_at, status.started_at) = (Some(1_700_000_000_001), Some(1_700_000_000_002));
        let task = Task {
            scheduler: scheduler(),
            terms: Arc::clone(&terms),
            generation: Generation(2),
            desired: Desired::Running,
            released: false,
            status,
            seat,
        };
        WatchEvent::Task(Arc::new(task))
    };
    seats().into_iter().map(task).collect()
}

/// Bytes of a task beyond its name, from those of a whole message.
fn own(message: usize) -> usize {
    let names: usize = seats().iter().map(|seat| seat.name.len()).sum();
    (message - names) / seats().len()
}

fn pace(what: &str, mut round: impl FnMut()) {
    let start = Instant::now();
    (0..ROUNDS).for_each(|_| round());
    let tasks = f64::from(ROUNDS) * seats().len() as f64;
    println!("{what}: {:.0} tasks/s", tasks / start.elapsed().as_secs_f64());
}

#[test]
fn a_claimed_task_has_few_bytes_beside_its_name() {
    let groups = vec![ClaimGroup {
        terms: some_terms(),
        seats: seats(),
    }];
    let batch = ClaimBatch {
        groups,
        ..ClaimBatch::default()
    };
    let (mut outgoing, mut incoming) = (Outgoing::default(), Incoming::default());
    let mut journey = || {
        let (definitions, claim) = outgoing.message(|out| out.claim(&batch));
        let request = wire::SessionRequest {
            definitions,
            number: 1,
            kind: Some(wire::session_request::Kind::Claim(claim)),
        };
        let bytes = Bytes::from(request.encode_to_vec());
        let size = bytes.len();
        let request = wire::SessionRequest::decode(bytes).unwrap();
        incoming.learn(request.definitions).unwrap();
        let Some(wire::session_request::Kind::Claim(claim)) = request.kind else {
            panic!("no claim")
        };
        (size, incoming.claim(claim).unwrap())
    };
    let (_, back) = journey();
    assert_eq!(back, batch);
    let (size, _) = journey();
    assert!(own(size) <= 28, "{} bytes beside the name", own(size));
    pace("claim, encoded and decoded", || drop(journey()));
}

#[test]
fn a_watched_task_has_few_bytes_beside_its_name() {
    let events = events();
    let (mut outgoing, mut incoming) = (Outgoing::default(), Incoming::default());
    let mut journey = || {
        let (definitions, sent) =
            outgoing.message(|out| events.iter().map(|event| out.event(event)).collect());
        let piece = wire::Piece {
            watch: 1,
            cursor: 1,
            part: 3,
            events: sent,
            more: false,
        };
        let kind = Some(wire::session_response::Kind::Piece(piece));
        let bytes = Bytes::from(wire::SessionResponse { definitions, kind }.encode_to_vec());
        let size = bytes.len();
        let response = wire::SessionResponse::decode(bytes).unwrap();
        incoming.learn(response.definitions).unwrap();
        let Some(wire::session_response::Kind::Piece(piece)) = response.kind else {
            panic!("no piece")
        };
        let back: Vec<_> = piece
            .events
            .into_iter()
            .map(|event| incoming.event(event).unwrap())
            .collect();
        (size, back)
    };
    let (_, back) = journey();
    assert_eq!(back, events);
    let (size, _) = journey();
    assert!(own(size) <= 76, "{} bytes beside the name", own(size));
    pace("watch, encoded and decoded", || drop(journey()));
}
