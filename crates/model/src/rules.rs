//! Placement rules: one closed language to which every orchestrator's own constraints are lowered. Tests of a
//! node's attributes are in `expr`, what counts as another task in `tally`; how a count is judged is said here.
//! Doors need the evaluators as well as the broker.

pub use crate::expr::{BadRule, Compiled, Expr, Op, keys};
use crate::taint::Taint;
pub use crate::taint::Toleration;
use crate::tally::Tally;
use serde::{Deserialize, Serialize};

/// Where tasks may and should go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rules {
    /// An OR of ANDs over attributes; empty: every node.
    #[serde(default)]
    pub required: Vec<Vec<Expr>>,
    /// Wishes with weights.
    #[serde(default)]
    pub preferred: Vec<Preference>,
    /// How to choose among the nodes that fit.
    #[serde(default)]
    pub strategy: Strategy,
    /// Even distribution over domains.
    #[serde(default)]
    pub spread: Vec<Spread>,
    /// At most so many tasks per domain.
    #[serde(default)]
    pub limits: Vec<LimitPerKey>,
    /// Near to, or away from, other tasks.
    #[serde(default)]
    pub affinity: Vec<Affinity>,
    /// Taints that these tasks bear.
    #[serde(default)]
    pub tolerations: Vec<Toleration>,
}

/// How to choose among the nodes that fit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// The fullest node that fits.
    Pack,
    /// The node with the fewest tasks of this workload, then the emptiest.
    #[default]
    Spread,
    /// Any, evenly, by the generator in the core's state.
    Random,
}

/// A wish.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Preference {
    /// Added to the score of a node that passes; may be negative.
    pub weight: i32,
    /// All must pass.
    pub all: Vec<Expr>,
}

/// Even distribution over domains. Of several soft ones the first decides, the next among equals.
///
/// How orchestrators lower to it:
/// * Marathon's `GROUP_BY` with value N: `over: Seen, max_skew: 1, min_domains: N, hard: true`: a new domain is
///   always fine; one that has some only if it belongs to the smallest and at least N have some.
/// * Swarm's `spread=LABEL`: soft, one per preference in their order; the domains of an inner preference are
///   listed in `nodes` and named by the path of labels, so that equal labels of two branches stay apart.
/// * Kubernetes' topology spread: its `maxSkew`, `minDomains` and `whenUnsatisfiable`; `over: All` of the nodes that
///   it lists in `nodes`, which are those that its two inclusion policies let count.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Spread {
    /// What is counted.
    #[serde(flatten)]
    pub tally: Tally,
    /// How many more a domain may have, with the new task, than the one that has the fewest. At least 1 where
    /// `hard`; a soft spread goes to whoever has the fewest.
    pub max_skew: u32,
    /// As long as there are fewer domains than this, the fewest counts as none at all.
    #[serde(default)]
    pub min_domains: u32,
    /// Which domains there are.
    #[serde(default)]
    pub over: Domains,
    /// Whether a placement that breaks it (or on a node in no domain) is refused, or only comes last.
    pub hard: bool,
}

/// Which domains an even distribution is over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Domains {
    /// Those where something is counted.
    #[default]
    Seen,
    /// Those with a node that passes all that does not change with placements, whether it is up and open or not.
    Eligible,
    /// Those with a node, whatever node that is.
    All,
}

/// At most so many tasks per domain; a node in no domain is refused.
///
/// Marathon's `UNIQUE` is `max: 1`, its `MAX_PER` N is `max: N`; whether instances of an older version count is the
/// scope of the tally (all: `Workload`; only those that stay: `Version`). Swarm's `--replicas-max-per-node` has the
/// key `@node`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LimitPerKey {
    /// What is counted.
    #[serde(flatten)]
    pub tally: Tally,
    /// The most per domain.
    pub max: u32,
}

/// Near to, or away from, other tasks. Of several soft ones the first decides, the next among equals: near goes
/// where most are, away where fewest are.
///
/// * Near and hard: only where at least one is; if none is anywhere and the task counts itself, anywhere in a domain
///   (the first of a group has to begin somewhere). So Marathon's `CLUSTER` without a value, *all on the value of the
///   first*, is `Affinity { tally: Tally::of_workload(key), away: false, hard: true }`; with a value it is an
///   [`Expr::equals`].
/// * Away and hard: only where none is, a node in no domain included. It binds later tasks too: as long as a task
///   with this rule stands in a domain, nothing that it counts is placed there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Affinity {
    /// What is counted.
    #[serde(flatten)]
    pub tally: Tally,
    /// Away from them instead of near.
    pub away: bool,
    /// Whether a placement that breaks it is refused, or only comes last.
    pub hard: bool,
}

impl Rules {
    /// The first of these taints that is not borne and keeps tasks away.
    pub fn kept_off_by<'t>(&self, mut taints: impl Iterator<Item = &'t Taint>) -> Option<&'t Taint> {
        taints.find(|taint| taint.effect.keeps_away() && !self.bears(taint))
    }

    /// Whether a taint is borne.
    #[must_use]
    pub fn bears(&self, taint: &Taint) -> bool {
        self.tolerations.iter().any(|toleration| toleration.bears(taint))
    }
}

impl Spread {
    /// Whether a domain that has `here` may have one more, when the fewest that a domain has is `fewest`, there are
    /// `domains` of them, and the task counts itself or not.
    #[must_use]
    pub fn allows(&self, here: u32, fewest: u32, domains: u32, itself: bool) -> bool {
        here.saturating_add(u32::from(itself)) <= self.bound(fewest, domains)
    }

    /// The most that a domain may have, the new task included.
    #[must_use]
    pub fn bound(&self, fewest: u32, domains: u32) -> u32 {
        let floor = if domains < self.min_domains { 0 } else { fewest };
        floor.saturating_add(self.max_skew)
    }
}

impl LimitPerKey {
    /// At most so many tasks of the same workload.
    #[must_use]
    pub fn of_workload(key: impl Into<String>, max: u32) -> Self {
        let tally = Tally::of_workload(key);
        Self { tally, max }
    }
}

impl Affinity {
    /// Whether a task may go to a domain that has `here`, when all domains together have `anywhere`, and the task
    /// counts itself or not.
    #[must_use]
    pub fn allows(&self, here: u32, anywhere: u32, itself: bool) -> bool {
        if self.away {
            here == 0
        } else {
            here > 0 || (anywhere == 0 && itself)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_that_groups_is_marathons_group_by() {
        let group_by = |min_domains| Spread {
            tally: Tally::of_workload("rack"),
            max_skew: 1,
            min_domains,
            over: Domains::Seen,
            hard: true,
        };
        // (value, groups seen, fewest, here) -> allowed
        let table = [
            (0, 0, 0, 0, true),
            (0, 1, 1, 1, true),
            (2, 1, 1, 1, false),
            (2, 1, 1, 0, true),
            (2, 2, 1, 1, true),
            (2, 2, 1, 2, false),
            (2, 3, 4, 0, true),
        ];
        for (value, seen, fewest, here, allowed) in table {
            let answer = group_by(value).allows(here, fewest, seen, true);
            assert_eq!(
                answer, allowed,
                "GROUP_BY {value}: {here} of {seen} groups from {fewest}"
            );
        }
    }

    #[test]
    fn the_first_of_a_cluster_goes_anywhere_and_the_others_follow() {
        let rule = |away| Affinity {
            tally: Tally::of_workload("rack"),
            away,
            hard: true,
        };
        let table = [
            (0, 0, true, true),
            (0, 0, false, false),
            (0, 3, true, false),
            (2, 3, false, true),
        ];
        for (here, anywhere, itself, near) in table {
            assert_eq!(
                rule(false).allows(here, anywhere, itself),
                near,
                "near {here} {anywhere}"
            );
            assert_eq!(
                rule(true).allows(here, anywhere, itself),
                here == 0,
                "away {here}"
            );
        }
    }
}
