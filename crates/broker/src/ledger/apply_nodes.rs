//! What facts about nodes do to the ledger; part of `apply`.

use super::Ledger;
use super::apply::{BadFact, missing};
use super::nodes::NodeRow;
use crate::fact::NodeIx;
use crate::input::{Change, Held, What};
use plenum_model::node::{Liveness, NodeFacts};
use plenum_model::taint::Taint;
use std::sync::Arc;

impl Ledger {
    pub(super) fn node_joined(&mut self, ix: NodeIx, facts: &Arc<NodeFacts>) {
        self.nodes.put(ix, Some(NodeRow::new(Arc::clone(facts), self.at)));
        self.regroup(ix, Some(facts));
        self.say_node(ix, "node.joined", "");
    }

    pub(super) fn node_changed(&mut self, ix: NodeIx, facts: &Arc<NodeFacts>) -> Result<(), BadFact> {
        let row = self.nodes.get(ix).ok_or_else(|| missing(ix))?;
        let row = NodeRow {
            since: self.at,
            ..row.clone()
        };
        let row = row.with(Arc::clone(facts));
        self.nodes.put(ix, Some(row));
        self.regroup(ix, Some(facts));
        self.keep_again(ix);
        self.touch_node(ix);
        Ok(())
    }

    pub(super) fn node_tainted(
        &mut self,
        ix: NodeIx,
        taints: &Arc<[Taint]>,
        actor: &str,
    ) -> Result<(), BadFact> {
        let row = self.nodes.get(ix).ok_or_else(|| missing(ix))?;
        let row = NodeRow {
            taints: Arc::clone(taints),
            since: self.at,
            ..row.clone()
        };
        self.nodes.put(ix, Some(row));
        self.keep_again(ix);
        self.say_node(ix, "node.tainted", actor);
        Ok(())
    }

    pub(super) fn node_liveness(&mut self, ix: NodeIx, liveness: Liveness) -> Result<(), BadFact> {
        let since = self.at;
        self.nodes
            .state(ix, |n| (n.liveness, n.since) = (liveness, since));
        let tasks: Vec<_> = self
            .nodes
            .get(ix)
            .ok_or_else(|| missing(ix))?
            .tasks
            .iter()
            .copied()
            .collect();
        let silent = liveness == Liveness::Unreachable;
        for id in tasks {
            if let Some(row) = self.tasks.get_mut(id).filter(|row| !row.phase().is_terminal()) {
                Arc::make_mut(&mut row.task).status.unreachable = silent;
                self.touch(id);
            }
        }
        self.say_node(ix, if silent { "node.unreachable" } else { "node.ready" }, "");
        Ok(())
    }

    /// The core has ended what ran there before; what has ended earlier loses its disk with the node.
    pub(super) fn node_removed(&mut self, ix: NodeIx, actor: &str) -> Result<(), BadFact> {
        let row = self.nodes.get(ix).ok_or_else(|| missing(ix))?;
        let (name, tasks) = (row.facts.id.clone(), row.tasks.clone());
        let kept: Vec<_> = row.kept.iter().map(|kept| kept.task).collect();
        for id in kept {
            self.leave(id);
            self.denominate(id);
            self.enter(id);
        }
        for id in tasks {
            self.book(id, Held::Nothing);
            self.off_its_node(id);
            self.touch(id);
        }
        self.nodes.put(ix, None);
        self.regroup(ix, None);
        self.news.rows.push(Change::NodeGone(name.clone()));
        self.news
            .events
            .push(What::Node("node.removed", name, actor.to_owned()));
        Ok(())
    }

    pub(super) fn say_node(&mut self, ix: NodeIx, event: &'static str, actor: &str) {
        self.touch_node(ix);
        if let Some(row) = self.nodes.get(ix) {
            self.news
                .events
                .push(What::Node(event, row.facts.id.clone(), actor.to_owned()));
        }
    }
}
