//! Tallies: tasks counted by domain, which is what every rule about other tasks asks. Counting is the broker's;
//! what counts and how a count is judged is said here, once for the broker and for doors.

use crate::expr::{BadRule, Compiled, Expr};
use crate::ids::NodeId;
use crate::node::NodeFacts;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Tasks counted by the domain their node is in. What counts holds room on a node in full: placed, not ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Tally {
    /// The attribute whose values are the domains (`@node`: each node is one).
    pub key: String,
    /// The domain of each node, for orchestrators that keep labels of nodes themselves; a node that is not
    /// listed is in none. Empty: the attribute tells. `key` is then only the name that users know.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub nodes: BTreeMap<NodeId, String>,
    /// Which tasks count.
    #[serde(default)]
    pub among: Among,
}

/// Which tasks count: those of the same scheduler that are in the scope and whose labels pass.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Among {
    /// How far it looks.
    #[serde(default)]
    pub scope: Scope,
    /// Tests of the labels of a task; all must pass.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<Expr>,
}

/// How far a tally looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Tasks of the same workload, whatever their version.
    #[default]
    Workload,
    /// Tasks of the same version of the same workload: those about to be replaced do not count.
    Version,
    /// All tasks of the same scheduler.
    Scheduler,
}

impl Tally {
    /// Tasks of the same workload, by an attribute.
    #[must_use]
    pub fn of_workload(key: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            ..Self::default()
        }
    }

    /// The domain of a node; none: it is in none.
    #[must_use]
    pub fn domain<'a>(&'a self, node: &'a NodeFacts) -> Option<&'a str> {
        if self.nodes.is_empty() {
            return node.attribute(&self.key);
        }
        self.nodes.get(&node.id).map(String::as_str)
    }
}

impl Among {
    /// Tasks of the scheduler whose labels pass all of these.
    #[must_use]
    pub fn labelled(labels: Vec<Expr>) -> Self {
        Self {
            scope: Scope::Scheduler,
            labels,
        }
    }

    /// Checks the tests of labels and prepares them.
    ///
    /// # Errors
    /// See [`Expr::compile`].
    pub fn compile(&self) -> Result<Picked, BadRule> {
        Ok(Picked {
            scope: self.scope,
            labels: self.labels.iter().map(Expr::compile).collect::<Result<_, _>>()?,
        })
    }
}

/// What of a task a tally looks at.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The uid of its workload.
    pub workload: &'a str,
    /// The version of it.
    pub version: &'a str,
    /// Its labels.
    pub labels: &'a BTreeMap<String, String>,
}

/// [`Among`], ready to be asked many times.
#[derive(Debug, Clone)]
pub struct Picked {
    scope: Scope,
    labels: Vec<Compiled>,
}

impl Picked {
    /// Whether a rule of `own` counts `other`, both of one scheduler.
    #[must_use]
    pub fn counts(&self, own: &Subject<'_>, other: &Subject<'_>) -> bool {
        let within = match self.scope {
            Scope::Workload => own.workload == other.workload,
            Scope::Version => (own.workload, own.version) == (other.workload, other.version),
            Scope::Scheduler => true,
        };
        within
            && self
                .labels
                .iter()
                .all(|test| test.matches(other.labels.get(test.key()).map(String::as_str)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::Op;

    #[test]
    fn what_counts_follows_from_scope_and_labels() {
        let labelled = |tier: &str| BTreeMap::from([("tier".to_owned(), tier.to_owned())]);
        let (none, front, back) = (BTreeMap::new(), labelled("front"), labelled("back"));
        let subject = |workload, version, labels| Subject {
            workload,
            version,
            labels,
        };
        let own = subject("web", "2", &front);
        let others = [
            subject("web", "2", &none),
            subject("web", "1", &front),
            subject("db", "2", &back),
        ];
        let front = || vec![Expr::equals("tier", "front")];
        let not_back = Expr {
            op: Op::NotIn,
            absent_matches: true,
            ..Expr::equals("tier", "back")
        };
        let table = [
            (Scope::Workload, vec![], [true, true, false]),
            (Scope::Version, vec![], [true, false, false]),
            (Scope::Scheduler, vec![], [true, true, true]),
            (Scope::Scheduler, front(), [false, true, false]),
            (Scope::Version, front(), [false, false, false]),
            (Scope::Scheduler, vec![not_back], [true, true, false]),
        ];
        for (scope, labels, expected) in table {
            let among = Among { scope, labels };
            let picked = among.compile().unwrap();
            assert_eq!(
                others.each_ref().map(|o| picked.counts(&own, o)),
                expected,
                "{among:?}"
            );
        }
    }

    #[test]
    fn what_older_builds_wrote_is_read_as_the_same_workload() {
        let read: Tally = serde_json::from_str(r#"{"key": "@node", "among": {}}"#).unwrap();
        assert_eq!(read, Tally::of_workload("@node"));
    }
}
