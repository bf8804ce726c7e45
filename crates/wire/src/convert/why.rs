//! Why a task waits.

use crate::malformed::{Malformed, maybe, maybe_name, name, need, required, small};
use crate::proto::model::v1 as wire;
use plenum_model::why::{Cause, GangShort, LimitReached, NodeVerdict, Why};

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
            gang: why.gang.map(|short| wire::GangShort {
                of: short.of,
                fit: short.fit,
            }),
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
            gang: why.gang.map(|short| GangShort {
                of: short.of,
                fit: short.fit,
            }),
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
