//! Why a task waits: counts of nodes by first cause, and the limit that was reached. Every "no" explains
//! itself with one of these, and every door shows it in its own dialect.

use crate::amounts::Resource;
use crate::ids::{NodeId, TenantPath};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why one node cannot take one task. The order is the funnel: what is asked first comes first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "cause", content = "what", rename_all = "snake_case")]
pub enum Cause {
    /// Its agent is silent.
    Unreachable,
    /// It takes no new tasks.
    Cordoned,
    /// The task is pinned to another node.
    NotPinned,
    /// It has no such runtime.
    Runtime(String),
    /// Its runtime cannot enforce or serve this.
    Capability(String),
    /// Its attribute does not pass a rule.
    Attribute(String),
    /// A taint is not borne.
    Taint(String),
    /// The most per value of this key is reached, or it has no value.
    LimitPerKey(String),
    /// Its value of this key has too many more than others, or it has none.
    Spread(String),
    /// Nothing of what the task must be near stands at its value of this key.
    Near(String),
    /// What the task must be away from stands at its value of this key.
    Away(String),
    /// What must be away from the task stands at its value of this key.
    KeptAway(String),
    /// It lacks room of this resource.
    Short(Resource),
    /// It lacks free things of this set.
    Device(String),
    /// This port is held.
    Port(u16),
    /// No port of its range is free.
    DynamicPorts,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable => f.write_str("unreachable"),
            Self::Cordoned => f.write_str("cordoned"),
            Self::NotPinned => f.write_str("not the pinned node"),
            Self::Runtime(name) => write!(f, "without runtime {name}"),
            Self::Capability(name) => write!(f, "cannot do {name}"),
            Self::Attribute(key) => write!(f, "attribute {key} does not match"),
            Self::Taint(key) => write!(f, "tainted {key}"),
            Self::LimitPerKey(key) => write!(f, "limit per {key} reached"),
            Self::Spread(key) => write!(f, "uneven over {key}"),
            Self::Near(key) => write!(f, "not near by {key}"),
            Self::Away(key) => write!(f, "not away by {key}"),
            Self::KeptAway(key) => write!(f, "kept away by tasks of the same {key}"),
            Self::Short(resource) => write!(f, "short of {resource}"),
            Self::Device(name) => write!(f, "no free {name}"),
            Self::Port(port) => write!(f, "port {port} taken"),
            Self::DynamicPorts => f.write_str("no free port"),
        }
    }
}

/// A hard limit of a tenant that stands in the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitReached {
    /// Whose limit.
    pub tenant: TenantPath,
    /// Of what.
    pub resource: Resource,
    /// The limit.
    pub limit: u64,
    /// What the tenant uses of it.
    pub used: u64,
}

impl fmt::Display for LimitReached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (used, limit) = (self.resource.amount(self.used), self.resource.amount(self.limit));
        write!(
            f,
            "tenant {} reached its {} limit ({used} of {limit})",
            self.tenant, self.resource
        )
    }
}

/// Why a task waits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// Nodes there are.
    pub nodes: u32,
    /// How many of them fail first by which cause, in the order of the funnel.
    pub by: Vec<(Cause, u32)>,
    /// The limit reached, if that is what blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<LimitReached>,
    /// The node where room is kept for it and not all free yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<NodeId>,
    /// How far its gang came, if it is claimed with others all or nothing. What blocks is said of the first task of
    /// the gang that finds no room beside those before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gang: Option<GangShort>,
}

/// A gang that does not fit as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GangShort {
    /// Its tasks.
    pub of: u32,
    /// How many of them would find room.
    pub fit: u32,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(GangShort { of, fit }) = self.gang {
            write!(f, "gang of {of}, room for {fit}; ")?;
        }
        if let Some(l) = &self.limit {
            return l.fmt(f);
        }
        if let Some(node) = &self.kept {
            return write!(f, "its room on {node} is not free yet");
        }
        match self.nodes {
            0 => return f.write_str("there are no nodes"),
            1 => f.write_str("1 node: ")?,
            n => write!(f, "{n} nodes: ")?,
        }
        for (i, (cause, count)) in self.by.iter().enumerate() {
            write!(f, "{}{count} {cause}", if i > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

/// What one node answers for one task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeVerdict {
    /// Which node.
    pub node: NodeId,
    /// The first cause against it; none: it could take the task now.
    pub cause: Option<Cause>,
    /// The cause in numbers, for people (`wants 4.0 cpu, 1.2 free`).
    pub detail: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_like_a_sentence() {
        let why = Why {
            nodes: 40,
            by: vec![
                (Cause::Attribute("rack".into()), 9),
                (Cause::Short(Resource::Memory), 31),
            ],
            limit: None,
            ..Why::default()
        };
        assert_eq!(
            why.to_string(),
            "40 nodes: 9 attribute rack does not match, 31 short of memory"
        );
    }
}
