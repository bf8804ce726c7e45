//! Changes that would help.

use super::amounts::or_nothing;
use crate::malformed::{Malformed, maybe_name, name, need, required, small};
use crate::proto::model::v1 as wire;
use plenum_model::fix::{Fix, NewNode};

impl From<&Fix> for wire::Fix {
    fn from(fix: &Fix) -> Self {
        use wire::fix::Change as C;
        let change = match fix {
            Fix::RaiseLimit { tenant, resource, to } => C::RaiseLimit(wire::RaiseLimit {
                tenant: tenant.to_string(),
                resource: Some(resource.into()),
                to: *to,
            }),
            Fix::OpenNode { node } => C::OpenNode(node.to_string()),
            Fix::ReleasePort { node, port, holder } => C::ReleasePort(wire::ReleasePort {
                node: node.to_string(),
                port: (*port).into(),
                holder: Some(holder.into()),
            }),
            Fix::FreeRoom { node, amounts } => C::FreeRoom(wire::FreeRoom {
                node: node.to_string(),
                amounts: Some(amounts.into()),
            }),
            Fix::FreePorts { node, free } => C::FreePorts(wire::FreePorts {
                node: node.to_string(),
                free: *free,
            }),
            Fix::BearTaint { node, taint } => C::BearTaint(wire::BearTaint {
                node: node.to_string(),
                taint: Some(taint.into()),
            }),
            Fix::ReviveNode { node } => C::ReviveNode(node.to_string()),
            Fix::AddNode { with } => C::AddNode(with.into()),
            Fix::RaiseMax { key, to } => C::RaiseMax(loosen(key, *to)),
            Fix::AllowSkew { key, to } => C::AllowSkew(loosen(key, *to)),
        };
        Self { change: Some(change) }
    }
}

fn loosen(key: &str, to: u32) -> wire::Loosen {
    wire::Loosen {
        key: key.to_owned(),
        to,
    }
}

impl TryFrom<wire::Fix> for Fix {
    type Error = Malformed;
    fn try_from(fix: wire::Fix) -> Result<Self, Malformed> {
        use wire::fix::Change as C;
        Ok(match need(fix.change, "fix")? {
            C::RaiseLimit(raise) => Self::RaiseLimit {
                tenant: name(&raise.tenant, "fix.tenant")?,
                resource: required(raise.resource, "fix.resource")?,
                to: raise.to,
            },
            C::OpenNode(node) => Self::OpenNode {
                node: name(&node, "fix.node")?,
            },
            C::ReleasePort(port) => Self::ReleasePort {
                node: name(&port.node, "fix.node")?,
                port: small(port.port, "fix.port")?,
                holder: required(port.holder, "fix.holder")?,
            },
            C::FreeRoom(room) => Self::FreeRoom {
                node: name(&room.node, "fix.node")?,
                amounts: or_nothing(room.amounts),
            },
            C::FreePorts(ports) => Self::FreePorts {
                node: name(&ports.node, "fix.node")?,
                free: ports.free,
            },
            C::BearTaint(bear) => Self::BearTaint {
                node: name(&bear.node, "fix.node")?,
                taint: required(bear.taint, "fix.taint")?,
            },
            C::ReviveNode(node) => Self::ReviveNode {
                node: name(&node, "fix.node")?,
            },
            C::AddNode(with) => Self::AddNode {
                with: with.try_into()?,
            },
            C::RaiseMax(to) => Self::RaiseMax {
                key: to.key,
                to: to.to,
            },
            C::AllowSkew(to) => Self::AllowSkew {
                key: to.key,
                to: to.to,
            },
        })
    }
}

impl From<&NewNode> for wire::NewNode {
    fn from(with: &NewNode) -> Self {
        let set = |names: &std::collections::BTreeSet<String>| wire::NameSet {
            names: names.iter().cloned().collect(),
        };
        Self {
            name: with.name.as_ref().map(ToString::to_string),
            amounts: Some((&with.amounts).into()),
            attributes: with.attributes.clone(),
            before: with.before,
            runtimes: with.runtimes.iter().map(|(k, v)| (k.clone(), set(v))).collect(),
        }
    }
}

impl TryFrom<wire::NewNode> for NewNode {
    type Error = Malformed;
    fn try_from(with: wire::NewNode) -> Result<Self, Malformed> {
        let runtimes = with.runtimes.into_iter();
        Ok(Self {
            name: maybe_name(with.name.as_deref(), "fix.name")?,
            amounts: or_nothing(with.amounts),
            attributes: with.attributes,
            before: with.before,
            runtimes: runtimes
                .map(|(k, v)| (k, v.names.into_iter().collect()))
                .collect(),
        })
    }
}
