//! What Docker's users say of a node: labels, a name, whether it takes tasks. The machine itself is the pool's.

use crate::ids;
use crate::store::{Desired, Record, Table};
use plenum_model::ids::NodeId;
use plenum_model::node::{Node, Scheduling};
use plenum_sdk::observed::Observed;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// See the module's header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// The pool's name of the node.
    pub node: NodeId,
    /// `Spec.Name`.
    pub name: String,
    /// `Spec.Labels`.
    pub labels: BTreeMap<String, String>,
    /// What users asked of it last; see [`SwarmNode::availability`] for what holds.
    pub availability: Availability,
    /// Unix milliseconds.
    pub updated_at: u64,
}

/// Whether a node takes tasks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Availability {
    /// Yes.
    #[default]
    Active,
    /// No new ones.
    Pause,
    /// None; those of services move away.
    Drain,
}

impl Record for NodeRecord {
    const KIND: &'static str = "node";

    fn id(&self) -> &str {
        self.node.as_str()
    }

    fn table(desired: &mut Desired) -> &mut Table<Self> {
        &mut desired.nodes
    }
}

/// A node as Docker's users see it.
#[derive(Debug, Clone)]
pub struct SwarmNode {
    /// Its swarm id.
    pub id: String,
    /// The pool's view.
    pub node: Arc<Node>,
    /// What users said, with the version of the record.
    pub record: NodeRecord,
    /// Docker's `Version.Index`.
    pub index: u64,
    /// Whether it plays the manager: the one that joined first.
    pub manager: bool,
}

impl SwarmNode {
    /// Whether it takes tasks. The pool says whether a node is open, to everybody; the record here only whether
    /// the tasks of services leave a node that is not.
    #[must_use]
    pub fn availability(&self) -> Availability {
        match (self.node.scheduling, self.record.availability) {
            (Scheduling::Open, _) => Availability::Active,
            (Scheduling::Draining, _) | (Scheduling::Cordoned, Availability::Drain) => Availability::Drain,
            (Scheduling::Cordoned, Availability::Active | Availability::Pause) => Availability::Pause,
        }
    }

    /// The host name that is shown: machines may share one, the pool's names are unique.
    #[must_use]
    pub fn hostname(&self) -> &str {
        self.node.facts.id.as_str()
    }
}

/// All nodes, by the pool's names.
#[must_use]
pub fn nodes(desired: &Desired, observed: &Observed) -> Vec<SwarmNode> {
    let manager = observed
        .nodes()
        .min_by_key(|n| (n.joined_at, n.facts.id.clone()))
        .map(|n| n.facts.id.clone());
    observed
        .nodes()
        .map(|node| {
            let id = &node.facts.id;
            let stored = desired.nodes.get(id.as_str());
            SwarmNode {
                id: ids::node(id),
                manager: manager.as_ref() == Some(id),
                index: stored.map_or(1, |s| s.index),
                record: stored.map_or_else(
                    || NodeRecord {
                        node: id.clone(),
                        name: String::new(),
                        labels: BTreeMap::new(),
                        availability: Availability::Active,
                        updated_at: node.joined_at,
                    },
                    |s| s.record.clone(),
                ),
                node: Arc::clone(node),
            }
        })
        .collect()
}
