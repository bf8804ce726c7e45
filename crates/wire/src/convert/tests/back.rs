//! There and back through real bytes.

use super::any::{amendment, amounts, seat, spec, terms};
use super::any_fix::{block, fix};
use super::any_task::{
    event, facts, input, observation, output, request, stream_error, usage, verdict, whole_node, why,
};
use crate::convert::stream;
use crate::malformed::Malformed;
use crate::proto::model::v1 as wire;
use plenum_contract::streams::StreamError;
use plenum_model::amounts::Amounts;
use plenum_model::claim::{Amendment, Seat, Terms};
use plenum_model::event::Event;
use plenum_model::fix::Fix;
use plenum_model::node::{Node, NodeFacts};
use plenum_model::spec::TaskSpec;
use plenum_model::task::Observation;
use plenum_model::tenant::TenantUsage;
use plenum_model::why::{Block, NodeVerdict, Why};
use proptest::prelude::*;
use prost::Message;

/// The value after a journey as the message `W`.
fn journey<T, W>(message: &W) -> Result<T, Malformed>
where
    W: Message + Default,
    T: TryFrom<W, Error = Malformed>,
{
    W::decode(message.encode_to_vec().as_slice())
        .expect("it was just encoded")
        .try_into()
}

proptest! {
    #[test]
    fn amounts_come_back(it in amounts()) {
        let bytes = wire::Amounts::from(&it).encode_to_vec();
        prop_assert_eq!(Amounts::from(wire::Amounts::decode(bytes.as_slice()).unwrap()), it);
    }

    #[test]
    fn a_spec_comes_back_under_the_same_id(it in spec()) {
        let back: TaskSpec = journey(&wire::TaskSpec::from(&it)).unwrap();
        prop_assert_eq!(back.id(), it.id());
        prop_assert_eq!(back, it);
    }

    #[test]
    fn terms_come_back(it in terms()) {
        prop_assert_eq!(journey::<Terms, _>(&wire::Terms::from(it.as_ref())), Ok(it.as_ref().clone()));
    }

    #[test]
    fn equal_terms_have_equal_bytes(it in terms()) {
        let again = it.as_ref().clone();
        prop_assert_eq!(wire::Terms::from(it.as_ref()).encode_to_vec(), wire::Terms::from(&again).encode_to_vec());
    }

    #[test]
    fn a_seat_comes_back(it in seat()) {
        prop_assert_eq!(journey::<Seat, _>(&wire::Seat::from(&it)), Ok(it));
    }

    #[test]
    fn an_amendment_comes_back(it in amendment()) {
        prop_assert_eq!(journey::<Amendment, _>(&wire::Amendment::from(&it)), Ok(it));
    }

    #[test]
    fn a_reason_to_wait_comes_back(it in why(), verdict in verdict()) {
        prop_assert_eq!(journey::<Why, _>(&wire::Why::from(&it)), Ok(it));
        prop_assert_eq!(journey::<NodeVerdict, _>(&wire::NodeVerdict::from(&verdict)), Ok(verdict));
    }

    #[test]
    fn what_blocks_and_what_would_help_come_back(block in block(), fix in fix()) {
        prop_assert_eq!(journey::<Block, _>(&wire::Block::from(&block)), Ok(block));
        prop_assert_eq!(journey::<Fix, _>(&wire::Fix::from(&fix)), Ok(fix));
    }

    #[test]
    fn an_observation_comes_back(it in observation()) {
        prop_assert_eq!(journey::<Observation, _>(&wire::Observation::from(&it)), Ok(it));
    }

    #[test]
    fn a_node_comes_back(it in whole_node(), facts in facts()) {
        prop_assert_eq!(journey::<Node, _>(&wire::Node::from(&it)), Ok(it));
        prop_assert_eq!(journey::<NodeFacts, _>(&wire::NodeFacts::from(&facts)), Ok(facts));
    }

    #[test]
    fn a_tenant_comes_back(it in usage()) {
        prop_assert_eq!(journey::<TenantUsage, _>(&wire::TenantUsage::from(&it)), Ok(it));
    }

    #[test]
    fn an_event_comes_back(it in event()) {
        prop_assert_eq!(journey::<Event, _>(&wire::Event::from(&it)), Ok(it));
    }

    #[test]
    fn what_is_asked_of_a_container_and_goes_to_it_comes_back(asked in request(), given in input()) {
        prop_assert_eq!(journey(&wire::StreamRequest::from(&asked)), Ok(asked));
        prop_assert_eq!(journey(&wire::StreamInput::from(given.clone())), Ok(given));
    }

    #[test]
    fn what_comes_from_a_container_comes_back(it in output(), error in stream_error()) {
        let bytes = stream::output(Ok(it.clone())).encode_to_vec();
        let back = stream::read_output(wire::StreamOutput::decode(bytes.as_slice()).unwrap()).unwrap();
        prop_assert_eq!(back.unwrap(), it);
        let bytes = stream::output(Err(error.clone())).encode_to_vec();
        let back = stream::read_output(wire::StreamOutput::decode(bytes.as_slice()).unwrap()).unwrap();
        prop_assert_eq!(format!("{:?}", back.unwrap_err()), format!("{error:?}"));
        let back: StreamError = journey(&wire::StreamError::from(&error)).unwrap();
        prop_assert_eq!(format!("{back:?}"), format!("{error:?}"));
    }
}
