//! Events of nodes: told as the difference to what was seen last, whoever changed it. What is there when the
//! plugin starts is no news.

use super::node::SwarmNode;
use super::view::availability;
use plenum_model::node::Liveness;
use std::collections::BTreeMap;

/// What a node was seen as.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    name: String,
    state: &'static str,
    availability: &'static str,
    labels: BTreeMap<String, String>,
}

/// One event of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NodeEvent {
    /// The swarm id of the node.
    pub(super) id: String,
    /// `create`, `update`, `remove`.
    pub(super) action: &'static str,
    /// Its name and what changed.
    pub(super) attributes: Vec<(String, String)>,
}

/// Remembers what nodes were seen as.
#[derive(Debug, Default)]
pub(super) struct NodeWatch(Option<BTreeMap<String, Seen>>);

impl NodeWatch {
    /// What has happened to nodes since the last look.
    pub(super) fn look(&mut self, nodes: &[SwarmNode]) -> Vec<NodeEvent> {
        let now: BTreeMap<String, Seen> = nodes.iter().map(|n| (n.id.clone(), Seen::of(n))).collect();
        let Some(before) = self.0.replace(now.clone()) else {
            return Vec::new();
        };
        let mut events = Vec::new();
        for (id, seen) in &now {
            match before.get(id) {
                Some(was) if was == seen => {}
                Some(was) => events.push(seen.event(id, "update", seen.changes(was))),
                None => {
                    events.push(seen.event(id, "create", Vec::new()));
                    let joined = [("state.old", "unknown"), ("state.new", seen.state)];
                    events.push(seen.event(id, "update", joined.to_vec()));
                }
            }
        }
        let gone = before.iter().filter(|(id, _)| !now.contains_key(*id));
        events.extend(gone.map(|(id, was)| was.event(id, "remove", Vec::new())));
        events
    }
}

impl Seen {
    fn of(node: &SwarmNode) -> Self {
        Self {
            name: node.hostname().to_owned(),
            state: match node.node.liveness {
                Liveness::Ready => "ready",
                Liveness::Unreachable => "down",
            },
            availability: availability(node.availability()),
            labels: node.record.labels.clone(),
        }
    }

    /// Labels change without being told which: that is how a swarm does it.
    fn changes(&self, was: &Self) -> Vec<(&'static str, &'static str)> {
        let mut out = Vec::new();
        if self.state != was.state {
            out.extend([("state.old", was.state), ("state.new", self.state)]);
        }
        if self.availability != was.availability {
            out.extend([
                ("availability.old", was.availability),
                ("availability.new", self.availability),
            ]);
        }
        out
    }

    fn event(&self, id: &str, action: &'static str, more: Vec<(&'static str, &'static str)>) -> NodeEvent {
        let mut attributes = vec![("name".to_owned(), self.name.clone())];
        attributes.extend(more.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())));
        NodeEvent {
            id: id.to_owned(),
            action,
            attributes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::world::{node, swarm_node};
    use plenum_model::node::Scheduling;

    #[test]
    fn what_happens_to_nodes_is_told_once_and_what_is_there_at_the_start_is_no_news() {
        let mut watch = NodeWatch::default();
        let told = |watch: &mut NodeWatch, nodes: &[SwarmNode]| -> Vec<String> {
            let events = watch.look(nodes).into_iter();
            events
                .map(|e| {
                    let words = e.attributes.iter().map(|(k, v)| format!("{k}={v}"));
                    format!("{} {}", e.action, words.collect::<Vec<_>>().join(" "))
                })
                .collect()
        };
        let one = || swarm_node(node("n1"), &[]);
        assert!(told(&mut watch, &[one()]).is_empty());
        let two = [one(), swarm_node(node("n2"), &[])];
        let joined = [
            "create name=n2",
            "update name=n2 state.old=unknown state.new=ready",
        ];
        assert_eq!(told(&mut watch, &two), joined);
        assert!(told(&mut watch, &two).is_empty());
        let mut down = node("n2");
        down.liveness = Liveness::Unreachable;
        down.scheduling = Scheduling::Cordoned;
        let both =
            "update name=n2 state.old=ready state.new=down availability.old=active availability.new=pause";
        assert_eq!(told(&mut watch, &[one(), swarm_node(down, &[])]), [both]);
        assert_eq!(
            told(&mut watch, &[swarm_node(node("n1"), &[("a", "b")])]),
            ["update name=n1", "remove name=n2"]
        );
    }
}
