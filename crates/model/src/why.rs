//! Why a task waits: counts of nodes by first cause, and the limit that was reached. Every "no" explains
//! itself with one of these, and every door shows it in its own dialect.

use crate::amounts::Resource;
use crate::ids::{NodeId, TaskId, TenantPath};
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

impl Cause {
    /// Whether the node can never hold the task, unless it or the claim becomes another.
    #[must_use]
    pub fn rules_out(&self) -> bool {
        match self {
            Self::NotPinned
            | Self::Runtime(_)
            | Self::Capability(_)
            | Self::Attribute(_)
            | Self::Taint(_) => true,
            Self::Unreachable
            | Self::Cordoned
            | Self::LimitPerKey(_)
            | Self::Spread(_)
            | Self::Near(_)
            | Self::Away(_)
            | Self::KeptAway(_)
            | Self::Short(_)
            | Self::Device(_)
            | Self::Port(_)
            | Self::DynamicPorts => false,
        }
    }
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

impl Why {
    /// The cause for which most nodes fail of those that could hold the task at all; of all nodes, if none could. Of
    /// two that are as many the one that is asked later: those nodes come nearer.
    #[must_use]
    pub fn main_cause(&self) -> Option<&Cause> {
        let most = |rules_out: bool| {
            let these = self.by.iter().filter(|(cause, _)| cause.rules_out() == rules_out);
            these.max_by_key(|(_, nodes)| *nodes).map(|(cause, _)| cause)
        };
        most(false).or_else(|| most(true))
    }

    /// What keeps the task waiting, as far as this tells: who else waits is not in it.
    #[must_use]
    pub fn block(&self) -> Option<Block> {
        if let Some(limit) = &self.limit {
            return Some(Block::Limit(limit.clone()));
        }
        if let Some(short) = self.gang {
            return Some(Block::Gang(short, self.main_cause().cloned()));
        }
        if let Some(node) = &self.kept {
            return Some(Block::Seat(node.clone()));
        }
        if self.nodes == 0 {
            return Some(Block::NoNodes);
        }
        self.main_cause().cloned().map(Block::Nodes)
    }
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

/// What keeps a task waiting, before all else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "block", content = "what", rename_all = "snake_case")]
pub enum Block {
    /// A limit.
    Limit(LimitReached),
    /// Its gang does not fit as a whole; and what the first of it that finds no room lacks, if that is one thing.
    Gang(GangShort, Option<Cause>),
    /// Its room on this node is not free yet.
    Seat(NodeId),
    /// There are no nodes.
    NoNodes,
    /// There is room on a node, and it is kept for another task.
    Kept {
        /// Where.
        node: NodeId,
        /// For which.
        by: Other,
        /// Whether that one's tenant is guaranteed it.
        guaranteed: bool,
    },
    /// Others go first wherever it could go.
    Turn {
        /// Who goes first.
        first: Other,
        /// Why that one does.
        because: Because,
    },
    /// What most of the nodes lack that could hold it at all.
    Nodes(Cause),
}

/// Another task, as one says whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Other {
    /// Which.
    pub task: TaskId,
    /// Its name.
    pub name: String,
    /// Who is charged.
    pub tenant: TenantPath,
}

/// Why one waiting task goes before another. The order is that in which it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Because {
    /// It is the system's own.
    System,
    /// Its tenant has less than it is guaranteed.
    Guarantee,
    /// Its priority is higher, and counts there.
    Priority,
    /// Its tenant has the smaller share.
    Share,
    /// It has waited longer.
    Age,
}

impl Because {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::System,
        Self::Guarantee,
        Self::Priority,
        Self::Share,
        Self::Age,
    ];
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "the system's own tasks go first",
            Self::Guarantee => "its tenant has less than it is guaranteed",
            Self::Priority => "its priority is higher",
            Self::Share => "its tenant has the smaller share",
            Self::Age => "it has waited longer",
        })
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit(limit) => limit.fmt(f),
            Self::Gang(GangShort { of, fit }, cause) => {
                write!(f, "gang of {of}, room for {fit}")?;
                cause.as_ref().map_or(Ok(()), |cause| write!(f, ": {cause}"))
            }
            Self::Seat(node) => write!(f, "its room on {node} is not free yet"),
            Self::NoNodes => f.write_str("there are no nodes"),
            Self::Kept { node, by, guaranteed } => {
                let why = if *guaranteed {
                    ", which is guaranteed it"
                } else {
                    ""
                };
                write!(
                    f,
                    "room on {node} is kept for {} of tenant {}{why}",
                    by.name, by.tenant
                )
            }
            Self::Turn { first, because } => {
                write!(
                    f,
                    "{} of tenant {} goes first: {because}",
                    first.name, first.tenant
                )
            }
            Self::Nodes(cause) => cause.fmt(f),
        }
    }
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

    #[test]
    fn the_main_cause_is_that_of_the_nodes_that_could_hold_it_at_all() {
        let main = |by: &[(Cause, u32)]| {
            let by = by.to_vec();
            Why { by, ..Why::default() }.main_cause().cloned()
        };
        let (rack, memory) = (
            || Cause::Attribute("rack".into()),
            || Cause::Short(Resource::Memory),
        );
        assert_eq!(main(&[(rack(), 39), (memory(), 1)]), Some(memory()));
        assert_eq!(main(&[(Cause::Cordoned, 1), (memory(), 39)]), Some(memory()));
        assert_eq!(
            main(&[(Cause::Cordoned, 2), (memory(), 1)]),
            Some(Cause::Cordoned)
        );
        assert_eq!(
            main(&[(rack(), 1), (Cause::Taint("gpu".into()), 1)]),
            Some(Cause::Taint("gpu".into()))
        );
        assert_eq!(main(&[]), None);
    }
}
