//! One waiting task, to be asked about nodes one by one: what is against each first, and what is at all.

use super::super::around::Standing;
use super::super::{NodeSeen, View};
use crate::input::{Held, TaskNow};
use crate::ledger::book::part;
use crate::place::needs::Needs;
use crate::place::ports::Ports;
use crate::place::verdict::{Around, Extra, NodeLook, all_against, in_words, verdict};
use plenum_model::amounts::Amounts;
use plenum_model::claim::HostPort;
use plenum_model::ids::NodeId;
use plenum_model::node::NodeFacts;
use plenum_model::why::{Cause, NodeVerdict};
use std::sync::Arc;

/// One waiting task.
pub(super) struct Asked<'v> {
    pub(super) view: &'v View,
    pub(super) now: &'v TaskNow,
    pub(super) needs: Needs,
    pub(super) standing: Standing,
    /// The only node that will do, if it has one already.
    only: Option<&'v NodeId>,
    /// What is held or kept for it there.
    holds: Option<Amounts>,
}

/// Whether what is kept for others counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    Counts,
    IsFree,
}

impl<'v> Asked<'v> {
    /// None: its rules cannot be evaluated by this build.
    pub(super) fn new(view: &'v View, now: &'v TaskNow, strict_caps: bool) -> Option<Self> {
        let needs = Needs::new(Arc::clone(&now.task.terms), Arc::clone(&now.spec), strict_caps).ok()?;
        let kept = now.kept.as_deref();
        let only = now.on.as_ref().or(kept.map(|kept| &kept.node));
        let holds = match kept {
            Some(kept) => Some(kept.amounts.clone()),
            None => only.map(|_| part(&now.task.terms.charge, now.held)),
        };
        Some(Self {
            standing: view.standing(now, &needs),
            view,
            now,
            needs,
            only,
            holds,
        })
    }

    /// What is against a node first, with its numbers.
    pub(super) fn verdict(&self, id: &NodeId, seen: &NodeSeen) -> NodeVerdict {
        let elsewhere = self.only.is_some_and(|only| only != id);
        self.look(seen, Kept::Counts, |node, extra, around| {
            let cause = if elsewhere {
                Some(Cause::NotPinned)
            } else {
                verdict(&self.needs, node, extra, around).err()
            };
            let words = cause.as_ref().map(|c| in_words(c, &self.needs, node, around));
            NodeVerdict {
                node: id.clone(),
                cause,
                detail: words.unwrap_or_default(),
            }
        })
    }

    /// Everything that is against a node.
    pub(super) fn all_against(&self, id: &NodeId, seen: &NodeSeen, kept: Kept) -> Vec<Cause> {
        let elsewhere = self.only.is_some_and(|only| only != id);
        let mut all = self.look(seen, kept, |node, extra, around| {
            all_against(&self.needs, node, extra, around)
        });
        if elsewhere {
            all.insert(0, Cause::NotPinned);
        }
        all
    }

    /// What a node that is large enough lacks, if it lacks nothing but room and ports; else none.
    pub(super) fn lacks(&self, id: &NodeId, seen: &NodeSeen) -> Option<Vec<Cause>> {
        let large = self.now.task.terms.charge.fits(&seen.now.facts.allocatable());
        let all = self.all_against(id, seen, Kept::Counts);
        (large && all.iter().all(is_room)).then_some(all)
    }

    /// Whether it asks for any of these, too.
    pub(super) fn asks_for(&self, lacked: &[Cause]) -> bool {
        let terms = &self.now.task.terms;
        lacked.iter().any(|cause| match cause {
            Cause::Short(resource) => terms.charge.get(resource) > 0,
            Cause::Device(name) => terms.devices.contains_key(name),
            Cause::Port(port) => terms.ports.iter().any(|ask| ask.host == HostPort::Fixed(*port)),
            Cause::DynamicPorts => self.needs.dynamic_ports() > 0,
            Cause::Unreachable
            | Cause::Cordoned
            | Cause::NotPinned
            | Cause::Runtime(_)
            | Cause::Capability(_)
            | Cause::Attribute(_)
            | Cause::Taint(_)
            | Cause::LimitPerKey(_)
            | Cause::Spread(_)
            | Cause::Near(_)
            | Cause::Away(_)
            | Cause::KeptAway(_) => false,
        })
    }

    fn look<T>(
        &self,
        seen: &NodeSeen,
        kept: Kept,
        ask: impl FnOnce(&NodeLook<'_>, &Extra<'_>, &Around<'_, &NodeFacts, Standing>) -> T,
    ) -> T {
        let (ports, others) = self.view.ports(self.now, seen, &self.needs);
        let (free, others) = match kept {
            Kept::Counts => (seen.free(), others),
            Kept::IsFree => (self.view.free_but_for_kept(self.now, seen), Ports::default()),
        };
        let facts: &NodeFacts = &seen.now.facts;
        let node = NodeLook {
            facts,
            taints: &seen.now.taints,
            liveness: seen.now.liveness,
            scheduling: seen.now.scheduling,
            free: &free,
            ports: &ports,
            kept: &others,
        };
        let extra = Extra {
            task: self.now.task.id(),
            holds: self.holds.as_ref(),
            given: self.now.kept.as_deref().map(|kept| kept.ports.as_slice()),
            past_cordon: false,
        };
        ask(&node, &extra, &self.standing.around(facts))
    }
}

/// Whether a cause is gone once others let go of something.
fn is_room(cause: &Cause) -> bool {
    matches!(
        cause,
        Cause::Short(_) | Cause::Device(_) | Cause::Port(_) | Cause::DynamicPorts
    )
}

impl View {
    /// The ports of a node that are held, and those that are kept for others.
    fn ports(&self, waits: &TaskNow, seen: &NodeSeen, needs: &Needs) -> (Ports, Ports) {
        let (mut ports, mut others) = (Ports::default(), Ports::default());
        if !needs.terms.ports.is_empty() {
            let full = seen
                .tasks
                .iter()
                .filter_map(|id| self.tasks.get(id))
                .filter(|t| t.held == Held::Full);
            for now in full {
                ports.hold(&now.task.terms.ports, &now.task.status.ports);
            }
            for now in self.kept_for_others(waits, seen) {
                if let Some(kept) = &now.kept {
                    others.hold(&now.task.terms.ports, &kept.ports);
                }
            }
        }
        (ports, others)
    }

    /// For whom something is kept on a node, but for one.
    pub(super) fn kept_for_others<'a>(
        &'a self,
        waits: &'a TaskNow,
        seen: &'a NodeSeen,
    ) -> impl Iterator<Item = &'a TaskNow> {
        let kept = seen.kept.iter().filter_map(|id| self.tasks.get(id));
        kept.filter(|now| now.task.id() != waits.task.id())
    }

    fn free_but_for_kept(&self, waits: &TaskNow, seen: &NodeSeen) -> Amounts {
        let kept = self
            .kept_for_others(waits, seen)
            .filter_map(|now| now.kept.as_deref());
        kept.fold(seen.free(), |free, kept| {
            free.checked_add(&kept.amounts).unwrap_or(free)
        })
    }
}
