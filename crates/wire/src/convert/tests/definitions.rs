//! What is sent once per stream.

use super::any::{amendment, desired, scheduler, seat, spec, task_id, terms};
use super::any_task::{facts, observation, request, task, whole_node};
use crate::convert::definitions::{Incoming, Outgoing};
use crate::convert::dispatcher::hello;
use crate::malformed::{Fault, Malformed, need};
use crate::proto::{agent, broker, model};
use plenum_contract::broker::{Amend, WatchEvent};
use plenum_contract::dispatcher::{
    AgentHello, AgentMessage, Assignment, Assignments, BrokerMessage, StreamId,
};
use plenum_model::claim::{ClaimBatch, ClaimGroup};
use plenum_model::ids::{Generation, Incarnation, LeaderEpoch, NodeId, Seq};
use plenum_model::task::Task;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use prost::Message;
use std::sync::Arc;

fn event() -> impl Strategy<Value = WatchEvent> {
    let node = "[a-z]{1,3}".prop_map(|name| NodeId::new(name).unwrap());
    prop_oneof![
        task().prop_map(|task| WatchEvent::Task(Arc::new(task))),
        task_id().prop_map(WatchEvent::Forgotten),
        (task_id(), node).prop_map(|(task, node)| WatchEvent::Nominated { task, node }),
        (task_id(), any::<u64>()).prop_map(|(task, deadline)| WatchEvent::Preempting { task, deadline }),
        whole_node().prop_map(|node| WatchEvent::Node(Arc::new(node))),
    ]
}

fn batch() -> impl Strategy<Value = ClaimBatch> {
    let group = (terms(), vec(seat(), 0..3)).prop_map(|(terms, seats)| ClaimGroup { terms, seats });
    (
        vec(spec().prop_map(Arc::new), 0..2),
        vec(group, 0..3),
        any::<bool>(),
    )
        .prop_map(|(specs, groups, all_or_nothing)| ClaimBatch {
            specs,
            groups,
            all_or_nothing,
        })
}

fn assignment() -> impl Strategy<Value = Assignment> {
    let ports = vec(any::<u16>(), 0..3);
    (
        scheduler(),
        seat(),
        terms(),
        ports,
        any::<u64>(),
        desired(),
        of(any::<u64>()),
        of(any::<u32>().prop_map(Incarnation)),
    )
        .prop_map(
            |(scheduler, seat, terms, ports, generation, desired, grace_ms, again_after)| Assignment {
                scheduler,
                seat,
                terms,
                ports,
                generation: Generation(generation),
                desired,
                grace_ms,
                again_after,
            },
        )
}

fn to_agent() -> impl Strategy<Value = BrokerMessage> {
    let specs = vec(spec().prop_map(Arc::new), 0..2);
    let assignments = (
        any::<u64>(),
        any::<bool>(),
        specs,
        vec(assignment(), 0..3),
        vec(task_id(), 0..3),
    )
        .prop_map(|(epoch, full, specs, assign, remove)| Assignments {
            epoch: LeaderEpoch(epoch),
            full,
            specs,
            assign,
            remove,
        });
    prop_oneof![
        any::<(u64, u64)>().prop_map(|(e, lease_ms)| BrokerMessage::Welcome {
            epoch: LeaderEpoch(e),
            lease_ms
        }),
        assignments.prop_map(BrokerMessage::Assignments),
        any::<u64>().prop_map(|seq| BrokerMessage::Acked(Seq(seq))),
        (any::<u64>(), task_id(), request()).prop_map(|(stream, task, request)| {
            BrokerMessage::OpenStream {
                stream: StreamId(stream),
                task,
                request,
            }
        }),
    ]
}

fn from_agent() -> impl Strategy<Value = AgentMessage> {
    prop_oneof![
        Just(AgentMessage::Heartbeat),
        facts().prop_map(|facts| AgentMessage::Facts(Box::new(facts))),
        vec(observation(), 0..3).prop_map(AgentMessage::Observed),
    ]
}

proptest! {
    #[test]
    fn claims_come_back_over_one_stream(batches in vec(batch(), 1..4)) {
        let (mut outgoing, mut incoming) = (Outgoing::default(), Incoming::default());
        for batch in batches {
            let (definitions, claim) = outgoing.message(|out| out.claim(&batch));
            incoming.learn(definitions).unwrap();
            let claim = broker::v1::Claim::decode(claim.encode_to_vec().as_slice()).unwrap();
            prop_assert_eq!(incoming.claim(claim), Ok(batch));
        }
    }

    #[test]
    fn news_come_back_over_one_stream(events in vec(event(), 1..5)) {
        let (mut outgoing, mut incoming) = (Outgoing::default(), Incoming::default());
        for event in events {
            let (definitions, message) = outgoing.message(|out| out.event(&event));
            incoming.learn(definitions).unwrap();
            let message = broker::v1::WatchEvent::decode(message.encode_to_vec().as_slice()).unwrap();
            prop_assert_eq!(incoming.event(message), Ok(event));
        }
    }

    #[test]
    fn what_a_broker_tells_its_agents_comes_back(messages in vec(to_agent(), 1..4)) {
        let (mut outgoing, mut incoming) = (Outgoing::default(), Incoming::default());
        for message in messages {
            let bytes = outgoing.broker_message(&message).encode_to_vec();
            let response = agent::v1::AttachResponse::decode(bytes.as_slice()).unwrap();
            prop_assert_eq!(incoming.broker_message(response), Ok(message));
        }
    }

    #[test]
    fn what_agents_tell_comes_back(message in from_agent(), facts in facts(), epoch in any::<u64>()) {
        let bytes = agent::v1::AttachRequest::from(&message).encode_to_vec();
        let request = agent::v1::AttachRequest::decode(bytes.as_slice()).unwrap();
        prop_assert_eq!(AgentMessage::try_from(request), Ok(message));
        let agent = AgentHello { facts, epoch: LeaderEpoch(epoch), api: (1, 3) };
        let Some(agent::v1::attach_request::Message::Hello(hello)) = hello(&agent).message else {
            panic!("no hello");
        };
        prop_assert_eq!(AgentHello::try_from(hello), Ok(agent));
    }

    #[test]
    fn a_change_comes_back(task in task_id(), generation in any::<u64>(), change in amendment()) {
        let amend = Amend { task, generation: Generation(generation), change };
        prop_assert_eq!(Amend::try_from(broker::v1::Amend::from(&amend)), Ok(amend));
    }
}

fn some_tasks(count: usize) -> Vec<Task> {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    (0..count)
        .map(|_| task().new_tree(&mut runner).unwrap().current())
        .collect()
}

#[test]
fn tasks_with_the_same_terms_share_them_after_the_journey() {
    let first = some_tasks(1).remove(0);
    // As a scheduler might make them: equal, but not the same.
    let mut second = first.clone();
    second.terms = Arc::new(first.terms.as_ref().clone());
    let mut outgoing = Outgoing::default();
    let (definitions, messages) = outgoing.message(|out| [&first, &second, &first].map(|t| out.task(t)));
    let definitions = definitions.unwrap();
    assert_eq!(definitions.terms.len(), 1);
    let mut incoming = Incoming::default();
    incoming.learn(Some(definitions)).unwrap();
    let tasks = messages.map(|message| incoming.task(message).unwrap());
    assert!(tasks.iter().all(|task| Arc::ptr_eq(&task.terms, &tasks[0].terms)));
    let (definitions, _) = outgoing.message(|out| out.task(&first));
    assert_eq!(definitions, None, "what was sent once is not sent again");
}

#[test]
fn a_stream_that_defines_without_end_starts_again_and_still_reads() {
    let (mut outgoing, mut incoming) = (Outgoing::default(), Incoming::default());
    let mut restarts = 0;
    for n in 0..20_000 {
        let node = NodeId::new(format!("n{n}")).unwrap();
        let (definitions, number) = outgoing.message(|out| out.node(&node));
        restarts += usize::from(definitions.as_ref().is_some_and(|d| d.restart));
        incoming.learn(definitions).unwrap();
        assert_eq!(incoming.node(number), Ok(node));
    }
    assert_eq!(restarts, 2);
}

#[test]
fn a_message_that_was_built_and_not_sent_leaves_no_gap() {
    let tasks = some_tasks(2);
    let (mut outgoing, mut incoming) = (Outgoing::default(), Incoming::default());
    let _lost = outgoing.message(|out| out.task(&tasks[0]));
    outgoing.restart();
    for task in [&tasks[1], &tasks[0]] {
        let (definitions, message) = outgoing.message(|out| out.task(task));
        incoming.learn(definitions).unwrap();
        assert_eq!(incoming.task(message).as_ref(), Ok(task));
    }
}

#[test]
fn a_bad_definition_fails_what_refers_to_it_and_nothing_else() {
    let task = some_tasks(1).remove(0);
    let (definitions, message) = Outgoing::default().message(|out| out.task(&task));
    let mut definitions = definitions.unwrap();
    definitions.terms.insert(0, model::v1::Terms::default());
    let mut incoming = Incoming::default();
    incoming.learn(Some(definitions)).unwrap();
    assert_eq!(
        incoming.task(message.clone()).unwrap_err(),
        Malformed::missing("terms.workload")
    );
    let good = model::v1::Task { terms: 1, ..message };
    assert_eq!(incoming.task(good), Ok(task));
}

#[test]
fn numbers_that_were_never_defined_and_too_many_definitions_are_refused() {
    let mut incoming = Incoming::default();
    let undefined = Malformed {
        field: "terms",
        fault: Fault::Undefined(7),
    };
    assert_eq!(incoming.terms(7).unwrap_err(), undefined);
    let nodes = vec!["n".to_owned(); 131_073];
    let many = model::v1::Definitions {
        nodes,
        ..Default::default()
    };
    let refused = incoming.learn(Some(many)).unwrap_err();
    assert_eq!(refused.fault, Fault::TooMany(131_072));
    assert_eq!(need(None::<u8>, "x"), Err(Malformed::missing("x")));
}
