//! Bytes that nobody should send: each gives a typed error or a value, never a panic.

use super::any_task::task;
use crate::convert::definitions::{Incoming, Outgoing};
use crate::convert::dispatcher;
use crate::convert::explain::read_explanation;
use crate::convert::stream::read_output;
use crate::malformed::{Fault, Malformed};
use crate::proto::{agent, api, broker, model, state};
use crate::status::WireError;
use plenum_contract::broker::{Amend, BrokerError, Claimed, Hello};
use plenum_contract::dispatcher::{AgentMessage, DispatchError};
use plenum_contract::pool::{PoolError, SchedulerView, TaskFilter};
use plenum_contract::state_store::{Change, Compare, StateError, Write};
use plenum_contract::streams::{StreamError, StreamInput, StreamRequest};
use plenum_model::claim::{Amendment, Desired, LostAfter, PortAsk, Seat, Terms};
use plenum_model::event::Event;
use plenum_model::node::Node;
use plenum_model::rules::Rules;
use plenum_model::spec::TaskSpec;
use plenum_model::task::Observation;
use plenum_model::template::Placeholder;
use plenum_model::tenant::TenantUsage;
use plenum_model::why::Why;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use prost::Message;

fn read<T, W>(bytes: &[u8])
where
    W: Message + Default,
    T: TryFrom<W>,
{
    if let Ok(message) = W::decode(bytes) {
        let _ = T::try_from(message);
    }
}

fn read_error<E: WireError>(bytes: &[u8]) {
    if let Ok(message) = E::Message::decode(bytes) {
        let _ = E::read(message);
    }
}

fn read_stateful(bytes: &[u8]) {
    let mut incoming = Incoming::default();
    if let Ok(definitions) = model::v1::Definitions::decode(bytes) {
        let _ = incoming.learn(Some(definitions));
    }
    if let Ok(task) = model::v1::Task::decode(bytes) {
        let _ = incoming.task(task);
    }
    if let Ok(claim) = broker::v1::Claim::decode(bytes) {
        let _ = incoming.claim(claim);
    }
    if let Ok(event) = broker::v1::WatchEvent::decode(bytes) {
        let _ = incoming.event(event);
    }
    if let Ok(answer) = agent::v1::AttachResponse::decode(bytes) {
        let _ = incoming.broker_message(answer);
    }
    if let Ok(why) = api::v1::WhyResponse::decode(bytes) {
        let _ = read_explanation(why);
    }
    if let Ok(output) = model::v1::StreamOutput::decode(bytes) {
        let _ = read_output(output);
    }
    if let Ok(carry) = agent::v1::CarryRequest::decode(bytes) {
        let _ = dispatcher::read_carry(carry.clone());
        let _ = dispatcher::read_carried(carry);
    }
}

fn read_as_everything(bytes: &[u8]) {
    read::<Terms, model::v1::Terms>(bytes);
    read::<TaskSpec, model::v1::TaskSpec>(bytes);
    read::<Rules, model::v1::Rules>(bytes);
    read::<Seat, model::v1::Seat>(bytes);
    read::<Amendment, model::v1::Amendment>(bytes);
    read::<Why, model::v1::Why>(bytes);
    read::<Observation, model::v1::Observation>(bytes);
    read::<Node, model::v1::Node>(bytes);
    read::<TenantUsage, model::v1::TenantUsage>(bytes);
    read::<Event, model::v1::Event>(bytes);
    read::<StreamRequest, model::v1::StreamRequest>(bytes);
    read::<StreamInput, model::v1::StreamInput>(bytes);
    read::<Hello, broker::v1::Hello>(bytes);
    read::<Amend, broker::v1::Amend>(bytes);
    read::<Claimed, broker::v1::Claimed>(bytes);
    read::<AgentMessage, agent::v1::AttachRequest>(bytes);
    read::<TaskFilter, api::v1::TasksRequest>(bytes);
    read::<SchedulerView, api::v1::SchedulerView>(bytes);
    read::<Compare, state::v1::Compare>(bytes);
    read::<Write, state::v1::Write>(bytes);
    read::<Change, state::v1::Change>(bytes);
    read_error::<BrokerError>(bytes);
    read_error::<DispatchError>(bytes);
    read_error::<PoolError>(bytes);
    read_error::<StateError>(bytes);
    read_error::<StreamError>(bytes);
    read_stateful(bytes);
}

proptest! {
    #[test]
    fn noise_makes_no_decoder_panic(bytes in vec(any::<u8>(), 0..200)) {
        read_as_everything(&bytes);
    }

    #[test]
    fn a_damaged_task_makes_no_decoder_panic(it in task(), at in any::<Index>(), to in any::<u8>()) {
        let (definitions, message) = Outgoing::default().message(|out| out.task(&it));
        let definitions = definitions.unwrap();
        let mut terms = definitions.terms[0].encode_to_vec();
        let place = at.index(terms.len());
        terms[place] = to;
        read_as_everything(&terms);
        let mut bytes = message.encode_to_vec();
        let place = at.index(bytes.len());
        bytes[place] = to;
        let mut incoming = Incoming::default();
        incoming.learn(Some(definitions)).unwrap();
        if let Ok(message) = model::v1::Task::decode(bytes.as_slice()) {
            let _ = incoming.task(message);
        }
        read_as_everything(&bytes);
    }
}

#[test]
fn what_is_wrong_is_named() {
    let port = model::v1::PortAsk {
        host: Some(65_536),
        ..Default::default()
    };
    assert_eq!(
        PortAsk::try_from(port),
        Err(Malformed::range("port.host", 65_536_u32))
    );
    let running = model::v1::DesiredState::Running.into();
    let held = model::v1::Desired {
        state: running,
        held_deadline_ms: 5,
    };
    assert_eq!(
        Desired::try_from(held),
        Err(Malformed::unexpected("desired.held_deadline_ms"))
    );
    let lost = model::v1::LostAfter { lost_after: None };
    assert_eq!(LostAfter::try_from(lost), Err(Malformed::missing("lost_after")));
    let seat = model::v1::Seat {
        id: vec![1, 2, 3].into(),
        ..Default::default()
    };
    let short = Fault::Length { expected: 16, got: 3 };
    assert_eq!(
        Seat::try_from(seat),
        Err(Malformed {
            field: "seat.id",
            fault: short
        })
    );
    let fill = model::v1::Placeholder {
        kind: model::v1::PlaceholderKind::Slot.into(),
        port: 1,
    };
    assert_eq!(
        Placeholder::try_from(fill),
        Err(Malformed::unexpected("placeholder.port"))
    );
    let hello = broker::v1::Hello {
        scheduler: "Not a name".to_owned(),
        ..Default::default()
    };
    let refused = Hello::try_from(hello).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "hello.scheduler: `Not a name` is not a scheduler name: 1 to 63 of a-z 0-9 -"
    );
}
