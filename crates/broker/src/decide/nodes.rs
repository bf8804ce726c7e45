//! Nodes and their agents: joining, signs of life, what agents saw; and what people say of nodes and tenants.

use super::{Agent, Core, Timer, Verdict};
use crate::fact::{Fact, NodeIx, Order};
use crate::input::{Answer, Attachment, Denied, Held};
use crate::ledger::tasks::TaskRow;
use crate::place::needs::{countable, well_formed};
use plenum_model::claim::Desired;
use plenum_model::ids::{NodeId, Seq, TenantPath};
use plenum_model::node::{Liveness, NodeFacts, Scheduling};
use plenum_model::phase::{Phase, Progress};
use plenum_model::taint::{Effect, TaintChange};
use plenum_model::task::{Exit, ExitReason, Observation};
use plenum_model::tenant::Tenant;
use std::sync::Arc;

impl Core {
    pub(super) fn attach(&mut self, facts: NodeFacts, attachment: Attachment) -> Verdict {
        sound(&facts)?;
        let node = facts.id.clone();
        let ix = match self.ledger.nodes.find(&node).map(|(ix, _)| ix) {
            Some(ix) => {
                self.set_facts(ix, facts);
                ix
            }
            None => {
                let ix = self.ledger.nodes.unused();
                self.commit(Fact::NodeJoined {
                    ix,
                    facts: Arc::new(facts),
                });
                self.refresh_all_soon();
                ix
            }
        };
        self.agents.insert(
            ix,
            Agent {
                attachment: Some(attachment),
                heard_at: self.now,
            },
        );
        self.timers
            .insert((self.now.saturating_add(self.config.lease_ms), Timer::Lease(ix)));
        self.alive(ix);
        Ok(Answer::Attached {
            epoch: self.ledger.epoch,
            node,
            attachment,
        })
    }

    pub(super) fn heard(&mut self, node: &NodeId, attachment: Attachment) -> Result<NodeIx, Denied> {
        let ix = self.ledger.nodes.find(node).map(|(ix, _)| ix);
        let agent = ix
            .and_then(|ix| self.agents.get_mut(&ix))
            .filter(|a| a.attachment == Some(attachment));
        let (Some(ix), Some(agent)) = (ix, agent) else {
            return Err(Denied::Replaced(node.clone()));
        };
        agent.heard_at = self.now;
        self.alive(ix);
        Ok(ix)
    }

    fn alive(&mut self, ix: NodeIx) {
        if self
            .ledger
            .nodes
            .get(ix)
            .is_some_and(|row| row.liveness == Liveness::Unreachable)
        {
            self.commit(Fact::NodeLiveness {
                ix,
                liveness: Liveness::Ready,
            });
            self.timers
                .insert((self.now.saturating_add(self.config.lease_ms), Timer::Lease(ix)));
            self.refresh_all_soon();
        }
    }

    pub(super) fn facts_of(&mut self, facts: NodeFacts, attachment: Attachment) -> Result<(), Denied> {
        sound(&facts)?;
        let ix = self.heard(&facts.id, attachment)?;
        self.set_facts(ix, facts);
        Ok(())
    }

    fn set_facts(&mut self, ix: NodeIx, facts: NodeFacts) {
        if self.ledger.nodes.get(ix).is_some_and(|row| *row.facts != facts) {
            self.commit(Fact::NodeChanged {
                ix,
                facts: Arc::new(facts),
            });
            self.refresh_all_soon();
        }
    }

    pub(super) fn observed(
        &mut self,
        node: NodeId,
        attachment: Attachment,
        seen: Vec<Observation>,
    ) -> Verdict {
        let ix = self.heard(&node, attachment)?;
        let seq = seen.iter().map(|o| o.seq).max().unwrap_or(Seq(0));
        for observation in seen {
            self.see(ix, observation);
        }
        Ok(Answer::Acked {
            node,
            attachment,
            seq,
        })
    }

    /// What is unknown, elsewhere or no news is taken in and dropped, so that an agent can always go on.
    fn see(&mut self, ix: NodeIx, seen: Observation) {
        let Some(row) = self
            .ledger
            .tasks
            .get(seen.task)
            .filter(|row| row.node == Some(ix))
        else {
            return;
        };
        if !tells_something(row, &seen) {
            return;
        }
        let (id, held, terms) = (seen.task, row.held, row.terms);
        let starts = !seen.progress.phase.is_terminal() && held != Held::Full;
        self.commit(Fact::Seen { seen });
        if starts {
            // Its agent runs what was not charged: charge it if there is room, else have it stopped.
            match self.room_again(terms, id, ix) {
                Some((_, ports)) => self.commit(Fact::Placed {
                    task: id,
                    node: ix,
                    ports,
                }),
                None => self.commit(Fact::Ordered {
                    task: id,
                    order: uncharged(),
                }),
            }
        }
        if self.ledger.tasks.get(id).is_some_and(TaskRow::ended) {
            self.keep_ended(id);
        }
    }

    pub(super) fn set_scheduling(&mut self, node: &NodeId, to: Scheduling, actor: String) -> Verdict {
        let (ix, row) = self.ledger.nodes.find(node).ok_or_else(|| no_node(node))?;
        if row.scheduling != to {
            self.commit(Fact::NodeScheduling { ix, to, actor });
            self.refresh_all_soon();
        }
        Ok(Answer::Done)
    }

    /// Gives a node taints or takes some away. Those of its configuration only its agent changes.
    pub(super) fn taint(&mut self, node: &NodeId, change: &TaintChange, actor: String) -> Verdict {
        let (ix, row) = self.ledger.nodes.find(node).ok_or_else(|| no_node(node))?;
        let configured = |(key, effect): &&(String, Option<Effect>)| {
            let mut own = row.facts.taints.iter();
            own.any(|taint| taint.key == *key && effect.is_none_or(|effect| effect == taint.effect))
        };
        if let Some((key, _)) = change.remove.iter().find(configured) {
            let why =
                format!("taint {key} of node {node} is in its agent's configuration: take it out there");
            return Err(Denied::Conflict { why });
        }
        let taints = change.of(&row.taints);
        if taints[..] != row.taints[..] {
            let taints = taints.into();
            self.commit(Fact::NodeTainted { ix, taints, actor });
            self.refresh_all_soon();
        }
        Ok(Answer::Done)
    }

    pub(super) fn remove_node(&mut self, node: &NodeId, actor: String) -> Verdict {
        let (ix, row) = self.ledger.nodes.find(node).ok_or_else(|| no_node(node))?;
        if row.liveness == Liveness::Ready {
            let why =
                format!("node {node} is heard of; stop its agent first and wait until it is unreachable");
            return Err(Denied::Conflict { why });
        }
        let tasks: Vec<_> = row.tasks.iter().copied().collect();
        for id in tasks {
            // The end of one may have made its workload forget another.
            let Some(row) = self.ledger.tasks.get(id) else {
                continue;
            };
            if row.readmit {
                self.commit(Fact::Ordered {
                    task: id,
                    order: uncharged(),
                });
            }
            let exit = lost(format!("node {node} was removed"));
            self.commit(Fact::Ended {
                task: id,
                phase: Phase::Lost,
                exit,
            });
            self.keep_ended(id);
        }
        self.commit(Fact::NodeRemoved { ix, actor });
        self.agents.remove(&ix);
        self.refresh_all_soon();
        Ok(Answer::Done)
    }

    pub(super) fn set_tenant(&mut self, tenant: Tenant, actor: String) -> Verdict {
        let refused = |field: &str, why: &str| Denied::Refused {
            field: field.to_owned(),
            why: why.to_owned(),
        };
        if !well_formed(&tenant.path) {
            return Err(refused(
                "path",
                "a tenant is a path of parts with one / between them",
            ));
        }
        if tenant.weight == 0 {
            return Err(refused("weight", "it is at least 1"));
        }
        if !countable(&tenant.guarantee) {
            return Err(refused("guarantee", "no count may be above 2^48"));
        }
        if !countable(&tenant.limit) {
            return Err(refused("limit", "no count may be above 2^48"));
        }
        if let Some((above, _)) = tenant.path.as_str().rsplit_once('/')
            && let Ok(above) = TenantPath::new(above)
        {
            self.ensure_tenant(&above);
        }
        if self
            .ledger
            .tenants
            .get(&tenant.path)
            .is_none_or(|row| row.tenant != tenant)
        {
            let path = tenant.path.clone();
            self.commit(Fact::TenantSet { tenant, actor });
            self.announce_anew(&path);
            self.reclaim_below(&path);
        }
        Ok(Answer::Done)
    }
}

/// How a task ends whose node is gone.
pub(super) fn lost(message: String) -> Exit {
    Exit {
        code: None,
        signal: None,
        reason: ExitReason::NodeLost,
        message,
    }
}

fn uncharged() -> Order {
    Order {
        desired: Desired::Stopped,
        release: false,
        grace_ms: None,
        readmit: false,
        cause: None,
        actor: "broker".to_owned(),
    }
}

fn no_node(node: &NodeId) -> Denied {
    Denied::NotFound {
        kind: "node",
        name: node.to_string(),
    }
}

fn sound(facts: &NodeFacts) -> Result<(), Denied> {
    if countable(&facts.capacity) && countable(&facts.system) {
        return Ok(());
    }
    let (field, why) = ("capacity".to_owned(), "no count may be above 2^48".to_owned());
    Err(Denied::Refused { field, why })
}

/// Whether an observation changes anything that is shown.
fn tells_something(row: &TaskRow, seen: &Observation) -> bool {
    let status = &row.task.status;
    let have: Progress = status.progress;
    if have.next(seen.progress).is_some() {
        return true;
    }
    !have.phase.is_terminal()
        && seen.progress.incarnation == have.incarnation
        && seen.seq > status.seq
        && (seen.ready != status.ready
            || seen.address != status.address
            || seen.message != status.message
            || seen.containers != status.containers
            || seen.checks != status.checks)
}
