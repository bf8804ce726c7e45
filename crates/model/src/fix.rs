//! One change that would let a waiting task go, as something that can be done and not only read.

use crate::amounts::{Amounts, Resource};
use crate::ids::{NodeId, TenantPath};
use crate::taint::Taint;
use crate::why::Other;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// One change. What an operator can do comes before what only whoever claims can.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Fix {
    /// Raise a limit.
    RaiseLimit {
        /// Whose.
        tenant: TenantPath,
        /// Of what.
        resource: Resource,
        /// To at least so much.
        to: u64,
    },
    /// Open a node for new tasks.
    OpenNode {
        /// Which.
        node: NodeId,
    },
    /// Free a port on a node.
    ReleasePort {
        /// Where.
        node: NodeId,
        /// Which.
        port: u16,
        /// Who holds it.
        holder: Other,
    },
    /// Free room on a node.
    FreeRoom {
        /// Where.
        node: NodeId,
        /// How much more than is free now.
        amounts: Amounts,
    },
    /// Free some of the ports that a node gives out when any will do.
    FreePorts {
        /// Where.
        node: NodeId,
        /// How many must be free.
        free: u32,
    },
    /// Bear a taint; or have it taken away.
    BearTaint {
        /// Where.
        node: NodeId,
        /// Which.
        taint: Taint,
    },
    /// Bring back a node that is silent.
    ReviveNode {
        /// Which.
        node: NodeId,
    },
    /// Add a node.
    AddNode {
        /// What it must have.
        with: NewNode,
    },
    /// Allow more tasks per value of a key.
    RaiseMax {
        /// The key.
        key: String,
        /// At most so many.
        to: u32,
    },
    /// Allow a less even spread over a key.
    AllowSkew {
        /// The key.
        key: String,
        /// So many more than the fewest.
        to: u32,
    },
}

/// What a node must have that would take a task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewNode {
    /// Its name, if only one will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<NodeId>,
    /// Room for the task and those that go before it.
    pub amounts: Amounts,
    /// How many go before it: room for them may as well be on other nodes.
    #[serde(default)]
    pub before: u32,
    /// Attributes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// Runtimes, with what each must be able to do.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub runtimes: BTreeMap<String, BTreeSet<String>>,
}

/// Amounts, one after the other, as people say them.
pub(crate) fn listed(amounts: &Amounts) -> String {
    let slot_only = amounts.iter().all(|(resource, _)| resource == Resource::Slot);
    let shown = amounts
        .iter()
        .filter(|(resource, _)| slot_only || *resource != Resource::Slot)
        .map(|(resource, count)| resource.amount(count));
    shown.collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Fix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RaiseLimit { tenant, resource, to } => {
                write!(
                    f,
                    "raise the limit of tenant {tenant} to {}",
                    resource.amount(*to)
                )
            }
            Self::OpenNode { node } => write!(f, "open node {node} (plenum node uncordon {node})"),
            Self::ReleasePort { node, port, holder } => {
                write!(
                    f,
                    "release port {port} of {node}, which {} holds, or ask for any port",
                    holder.name
                )
            }
            Self::FreeRoom { node, amounts } => write!(f, "free {} on {node}", listed(amounts)),
            Self::FreePorts { node, free } => {
                write!(
                    f,
                    "free ports on {node} until {free} of its range are free, or widen the range"
                )
            }
            Self::BearTaint { node, taint } => {
                write!(
                    f,
                    "bear taint {taint}, or take it away (plenum node taint {node} {taint}-)"
                )
            }
            Self::ReviveNode { node } => write!(f, "bring back node {node}, which is silent"),
            Self::AddNode { with } => match with.before {
                0 => write!(f, "add a node with {with}"),
                n => write!(f, "add nodes with {with}: {n} more go before it"),
            },
            Self::RaiseMax { key, to } => write!(f, "allow {to} per {key}"),
            Self::AllowSkew { key, to } => write!(f, "allow a skew of {to} over {key}"),
        }
    }
}

impl fmt::Display for NewNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&listed(&self.amounts))?;
        for (name, can) in &self.runtimes {
            write!(f, ", runtime {name}")?;
            for (i, capability) in can.iter().enumerate() {
                write!(
                    f,
                    "{}{capability}",
                    if i == 0 { " that can do " } else { " and " }
                )?;
            }
        }
        for (key, value) in &self.attributes {
            write!(f, ", {key}={value}")?;
        }
        if let Some(name) = &self.name {
            write!(f, ", named {name}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_as_something_to_do() {
        let with = NewNode {
            amounts: Amounts::task(4_000, 8 << 30, 0),
            attributes: [("rack".to_owned(), "b".to_owned())].into(),
            runtimes: [(
                "docker".to_owned(),
                ["images".to_owned(), "user".to_owned()].into(),
            )]
            .into(),
            ..NewNode::default()
        };
        assert_eq!(
            Fix::AddNode { with }.to_string(),
            "add a node with 4.0 cpu, 8192 MiB memory, runtime docker that can do images and user, rack=b"
        );
        let with = NewNode {
            amounts: Amounts::task(9_000, 0, 0),
            before: 2,
            ..NewNode::default()
        };
        assert_eq!(
            Fix::AddNode { with }.to_string(),
            "add nodes with 9.0 cpu: 2 more go before it"
        );
        let taint = Fix::BearTaint {
            node: NodeId::new("n1").unwrap(),
            taint: "gpu:NoSchedule".parse().unwrap(),
        };
        assert_eq!(
            taint.to_string(),
            "bear taint gpu:NoSchedule, or take it away (plenum node taint n1 gpu:NoSchedule-)"
        );
    }
}
