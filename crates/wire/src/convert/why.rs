//! Why a task waits.

use super::enums::WireEnum;
use crate::malformed::{Malformed, id_bytes, maybe, maybe_name, name, need, required, small, task_id};
use crate::proto::model::v1 as wire;
use plenum_model::why::{Because, Block, Cause, GangShort, LimitReached, NodeVerdict, Other, Why};

impl From<&Cause> for wire::Cause {
    fn from(cause: &Cause) -> Self {
        use wire::cause::Cause as C;
        let cause = match cause {
            Cause::Unreachable => C::Unreachable(()),
            Cause::Cordoned => C::Cordoned(()),
            Cause::NotPinned => C::NotPinned(()),
            Cause::Runtime(name) => C::Runtime(name.clone()),
            Cause::Capability(name) => C::Capability(name.clone()),
            Cause::Attribute(key) => C::Attribute(key.clone()),
            Cause::Taint(key) => C::Taint(key.clone()),
            Cause::LimitPerKey(key) => C::LimitPerKey(key.clone()),
            Cause::Spread(key) => C::Spread(key.clone()),
            Cause::Near(key) => C::Near(key.clone()),
            Cause::Away(key) => C::Away(key.clone()),
            Cause::KeptAway(key) => C::KeptAway(key.clone()),
            Cause::Short(resource) => C::ShortOf(resource.into()),
            Cause::Device(name) => C::Device(name.clone()),
            Cause::Port(port) => C::Port((*port).into()),
            Cause::DynamicPorts => C::DynamicPorts(()),
        };
        Self { cause: Some(cause) }
    }
}

impl TryFrom<wire::Cause> for Cause {
    type Error = Malformed;
    fn try_from(cause: wire::Cause) -> Result<Self, Malformed> {
        use wire::cause::Cause as C;
        Ok(match need(cause.cause, "cause")? {
            C::Unreachable(()) => Self::Unreachable,
            C::Cordoned(()) => Self::Cordoned,
            C::NotPinned(()) => Self::NotPinned,
            C::Runtime(name) => Self::Runtime(name),
            C::Capability(name) => Self::Capability(name),
            C::Attribute(key) => Self::Attribute(key),
            C::Taint(key) => Self::Taint(key),
            C::LimitPerKey(key) => Self::LimitPerKey(key),
            C::Spread(key) => Self::Spread(key),
            C::Near(key) => Self::Near(key),
            C::Away(key) => Self::Away(key),
            C::KeptAway(key) => Self::KeptAway(key),
            C::ShortOf(resource) => Self::Short(resource.try_into()?),
            C::Device(name) => Self::Device(name),
            C::Port(port) => Self::Port(small(port, "cause.port")?),
            C::DynamicPorts(()) => Self::DynamicPorts,
        })
    }
}

impl From<&LimitReached> for wire::LimitReached {
    fn from(limit: &LimitReached) -> Self {
        Self {
            tenant: limit.tenant.as_str().to_owned(),
            resource: Some((&limit.resource).into()),
            limit: limit.limit,
            used: limit.used,
        }
    }
}

impl TryFrom<wire::LimitReached> for LimitReached {
    type Error = Malformed;
    fn try_from(limit: wire::LimitReached) -> Result<Self, Malformed> {
        Ok(Self {
            tenant: name(&limit.tenant, "limit.tenant")?,
            resource: required(limit.resource, "limit.resource")?,
            limit: limit.limit,
            used: limit.used,
        })
    }
}

impl From<&Why> for wire::Why {
    fn from(why: &Why) -> Self {
        let count = |(cause, nodes): &(Cause, u32)| wire::CauseCount {
            cause: Some(cause.into()),
            nodes: *nodes,
        };
        Self {
            nodes: why.nodes,
            by: why.by.iter().map(count).collect(),
            limit: why.limit.as_ref().map(wire::LimitReached::from),
            kept: why.kept.as_ref().map(|node| node.as_str().to_owned()),
            gang: why.gang.map(Into::into),
        }
    }
}

impl TryFrom<wire::Why> for Why {
    type Error = Malformed;
    fn try_from(why: wire::Why) -> Result<Self, Malformed> {
        let count = |c: wire::CauseCount| Ok((required(c.cause, "by.cause")?, c.nodes));
        Ok(Self {
            nodes: why.nodes,
            by: why.by.into_iter().map(count).collect::<Result<_, Malformed>>()?,
            limit: maybe(why.limit)?,
            kept: maybe_name(why.kept.as_deref(), "kept")?,
            gang: why.gang.map(Into::into),
        })
    }
}

impl From<GangShort> for wire::GangShort {
    fn from(short: GangShort) -> Self {
        let GangShort { of, fit } = short;
        Self { of, fit }
    }
}

impl From<wire::GangShort> for GangShort {
    fn from(short: wire::GangShort) -> Self {
        let wire::GangShort { of, fit } = short;
        Self { of, fit }
    }
}

impl From<&Block> for wire::Block {
    fn from(block: &Block) -> Self {
        use wire::block::Block as B;
        let block = match block {
            Block::Limit(limit) => B::Limit(limit.into()),
            Block::Gang(short, cause) => B::Gang(wire::GangBlock {
                short: Some((*short).into()),
                cause: cause.as_ref().map(Into::into),
            }),
            Block::Seat(node) => B::Seat(node.to_string()),
            Block::NoNodes => B::NoNodes(()),
            Block::Kept { node, by, guaranteed } => B::Kept(wire::KeptBlock {
                node: node.to_string(),
                by: Some(by.into()),
                guaranteed: *guaranteed,
            }),
            Block::Turn { first, because } => B::Turn(wire::TurnBlock {
                first: Some(first.into()),
                because: because.number(),
            }),
            Block::Nodes(cause) => B::Nodes(cause.into()),
        };
        Self { block: Some(block) }
    }
}

impl TryFrom<wire::Block> for Block {
    type Error = Malformed;
    fn try_from(block: wire::Block) -> Result<Self, Malformed> {
        use wire::block::Block as B;
        Ok(match need(block.block, "block")? {
            B::Limit(limit) => Self::Limit(limit.try_into()?),
            B::Gang(gang) => Self::Gang(need(gang.short, "block.short")?.into(), maybe(gang.cause)?),
            B::Seat(node) => Self::Seat(name(&node, "block.seat")?),
            B::NoNodes(()) => Self::NoNodes,
            B::Kept(kept) => Self::Kept {
                node: name(&kept.node, "block.node")?,
                by: required(kept.by, "block.by")?,
                guaranteed: kept.guaranteed,
            },
            B::Turn(turn) => Self::Turn {
                first: required(turn.first, "block.first")?,
                because: Because::from_number(turn.because)?,
            },
            B::Nodes(cause) => Self::Nodes(cause.try_into()?),
        })
    }
}

impl From<&Other> for wire::OtherTask {
    fn from(other: &Other) -> Self {
        Self {
            task: id_bytes(&other.task),
            name: other.name.clone(),
            tenant: other.tenant.to_string(),
        }
    }
}

impl TryFrom<wire::OtherTask> for Other {
    type Error = Malformed;
    fn try_from(other: wire::OtherTask) -> Result<Self, Malformed> {
        Ok(Self {
            task: task_id(&other.task, "other.task")?,
            name: other.name,
            tenant: name(&other.tenant, "other.tenant")?,
        })
    }
}

impl From<&NodeVerdict> for wire::NodeVerdict {
    fn from(verdict: &NodeVerdict) -> Self {
        Self {
            node: verdict.node.as_str().to_owned(),
            cause: verdict.cause.as_ref().map(wire::Cause::from),
            detail: verdict.detail.clone(),
        }
    }
}

impl TryFrom<wire::NodeVerdict> for NodeVerdict {
    type Error = Malformed;
    fn try_from(verdict: wire::NodeVerdict) -> Result<Self, Malformed> {
        Ok(Self {
            node: name(&verdict.node, "verdict.node")?,
            cause: maybe(verdict.cause)?,
            detail: verdict.detail,
        })
    }
}
