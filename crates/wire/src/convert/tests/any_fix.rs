//! Generators of what blocks a task and what would help.

use super::any::{amounts, labels, node, resource, task_id, tenant, text};
use super::any_task::{cause, taint};
use plenum_model::fix::{Fix, NewNode};
use plenum_model::why::{Because, Block, GangShort, LimitReached, Other};
use proptest::collection::{btree_map, btree_set};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

fn other() -> impl Strategy<Value = Other> {
    (task_id(), text(), tenant()).prop_map(|(task, name, tenant)| Other { task, name, tenant })
}

pub(super) fn block() -> impl Strategy<Value = Block> {
    let limit = (tenant(), resource(), any::<[u64; 2]>()).prop_map(|(tenant, resource, [limit, used])| {
        Block::Limit(LimitReached {
            tenant,
            resource,
            limit,
            used,
        })
    });
    let gang = (any::<[u32; 2]>(), of(cause()))
        .prop_map(|([of, fit], cause)| Block::Gang(GangShort { of, fit }, cause));
    let kept = (node(), other(), any::<bool>()).prop_map(|(node, by, guaranteed)| Block::Kept {
        node,
        by,
        guaranteed,
    });
    let turn =
        (other(), select(Because::ALL.to_vec())).prop_map(|(first, because)| Block::Turn { first, because });
    prop_oneof![
        limit,
        gang,
        node().prop_map(Block::Seat),
        Just(Block::NoNodes),
        kept,
        turn,
        cause().prop_map(Block::Nodes),
    ]
}

pub(super) fn fix() -> impl Strategy<Value = Fix> {
    let runtimes = btree_map(text(), btree_set(text(), 0..3), 0..2);
    let with = (of(node()), amounts(), labels(), runtimes, any::<u32>()).prop_map(
        |(name, amounts, attributes, runtimes, before)| {
            let with = NewNode {
                name,
                amounts,
                attributes,
                runtimes,
                before,
            };
            Fix::AddNode { with }
        },
    );
    prop_oneof![
        (tenant(), resource(), any::<u64>()).prop_map(|(tenant, resource, to)| Fix::RaiseLimit {
            tenant,
            resource,
            to
        }),
        node().prop_map(|node| Fix::OpenNode { node }),
        (node(), any::<u16>(), other()).prop_map(|(node, port, holder)| Fix::ReleasePort {
            node,
            port,
            holder
        }),
        (node(), amounts()).prop_map(|(node, amounts)| Fix::FreeRoom { node, amounts }),
        (node(), any::<u32>()).prop_map(|(node, free)| Fix::FreePorts { node, free }),
        (node(), taint()).prop_map(|(node, taint)| Fix::BearTaint { node, taint }),
        node().prop_map(|node| Fix::ReviveNode { node }),
        with,
        (text(), any::<u32>()).prop_map(|(key, to)| Fix::RaiseMax { key, to }),
        (text(), any::<u32>()).prop_map(|(key, to)| Fix::AllowSkew { key, to }),
    ]
}
