//! The pool's nodes as pods see them: their names on both sides, and which of them are open to which pods.

use super::book::Pages;
use super::names;
use super::pod::relations::Places;
use crate::object::taint;
use k8s_openapi::api::core::v1::{NodeAffinity, PodSpec, Toleration};
use plenum_model::ids::NodeId;
use plenum_model::rules::{Expr, Op, Preference, Rules, keys};
use plenum_sdk::observed::Observed;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Kinds of pods whose choice is remembered.
const CHOICES: usize = 32;

/// The pool's nodes as pods see them.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    /// The pool's names of nodes by those of the API.
    pub(super) ids: BTreeMap<String, NodeId>,
    known: Vec<NodeId>,
    places_revision: Option<u64>,
    /// Most pods are of a few kinds; the newest is last.
    choices: Vec<(Picky, Arc<Choice>)>,
}

/// What of a pod its choice of nodes depends on.
#[derive(Debug, PartialEq)]
struct Picky {
    selector: Option<BTreeMap<String, String>>,
    affinity: Option<NodeAffinity>,
    tolerations: Option<Vec<Toleration>>,
}

/// The nodes that are open to a pod.
#[derive(Debug)]
pub(super) struct Choice {
    /// Those that their objects do not rule out.
    pub(super) fits: BTreeSet<NodeId>,
    /// The same as the broker understands it, and what the pod wishes for; nothing where every node will do.
    pub(super) rules: Rules,
}

impl Picky {
    fn affinity(spec: &PodSpec) -> Option<&NodeAffinity> {
        spec.affinity.as_ref()?.node_affinity.as_ref()
    }

    fn of(spec: &PodSpec) -> Self {
        Self {
            selector: spec.node_selector.clone(),
            affinity: Self::affinity(spec).cloned(),
            tolerations: spec.tolerations.clone(),
        }
    }

    fn is(&self, spec: &PodSpec) -> bool {
        self.selector == spec.node_selector
            && self.affinity.as_ref() == Self::affinity(spec)
            && self.tolerations == spec.tolerations
    }
}

impl Nodes {
    /// Takes in what the nodes are now. Says whether anything is not as it was.
    pub(super) fn refresh(&mut self, pages: &Pages, observed: &Observed) -> bool {
        let now = || observed.nodes().map(|n| &n.facts.id);
        if self.places_revision == Some(pages.places_revision) && now().eq(&self.known) {
            return false;
        }
        self.known = now().cloned().collect();
        self.ids = now().map(|id| (names::node(id), id.clone())).collect();
        self.places_revision = Some(pages.places_revision);
        self.choices.clear();
        true
    }

    /// The nodes that are open to this pod.
    pub(super) fn choice(&mut self, pages: &Pages, spec: &PodSpec) -> Arc<Choice> {
        if let Some((_, choice)) = self.choices.iter().rev().find(|(picky, _)| picky.is(spec)) {
            return Arc::clone(choice);
        }
        if self.choices.len() >= CHOICES {
            self.choices.remove(0);
        }
        let fits = self.fitting(pages, spec);
        let rules = self.rules(pages, spec, &fits);
        let choice = Arc::new(Choice { fits, rules });
        self.choices.push((Picky::of(spec), Arc::clone(&choice)));
        choice
    }

    /// The nodes as both sides describe them.
    pub(super) fn places<'a>(&self, pages: &'a Pages, observed: &'a Observed) -> Places<'a> {
        let both = |(name, place)| Some((place, &observed.node(self.ids.get(name)?)?.facts));
        pages.places.iter().filter_map(both).collect()
    }

    fn fitting(&self, pages: &Pages, spec: &PodSpec) -> BTreeSet<NodeId> {
        let open = pages.places.iter().filter(|(_, place)| place.bar(spec).is_none());
        open.filter_map(|(name, _)| self.ids.get(name).cloned()).collect()
    }

    fn rules(&self, pages: &Pages, spec: &PodSpec, fits: &BTreeSet<NodeId>) -> Rules {
        let among = |nodes: Vec<String>| Expr {
            op: Op::In,
            values: nodes,
            ..Expr::equals(keys::NODE, "")
        };
        let all = fits.len() == self.ids.len();
        let required = if all {
            Vec::new()
        } else {
            vec![vec![among(fits.iter().map(ToString::to_string).collect())]]
        };
        let mut wishes: BTreeMap<i32, Vec<String>> = BTreeMap::new();
        for (name, place) in &pages.places {
            let wish = place.wish(spec);
            if let Some(id) = self.ids.get(name).filter(|_| wish != 0) {
                wishes.entry(wish).or_default().push(id.to_string());
            }
        }
        let preferred = wishes.into_iter().map(|(weight, nodes)| Preference {
            weight,
            all: vec![among(nodes)],
        });
        Rules {
            required,
            preferred: preferred.collect(),
            tolerations: taint::borne(spec),
            ..Rules::default()
        }
    }
}
