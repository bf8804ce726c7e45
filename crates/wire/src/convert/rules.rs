//! Placement rules.

use super::enums::WireEnum;
use crate::malformed::{Malformed, each, name};
use crate::proto::model::v1 as wire;
use plenum_model::ids::NodeId;
use plenum_model::rules::{Affinity, Domains, Expr, LimitPerKey, Op, Preference, Rules, Spread, Strategy};
use plenum_model::tally::{Among, Scope, Tally};
use std::collections::BTreeMap;

fn exprs(all: &[Expr]) -> Vec<wire::Expr> {
    all.iter().map(wire::Expr::from).collect()
}

impl From<&Rules> for wire::Rules {
    fn from(rules: &Rules) -> Self {
        Self {
            required: rules
                .required
                .iter()
                .map(|all| wire::AllOf { all: exprs(all) })
                .collect(),
            preferred: rules.preferred.iter().map(wire::Preference::from).collect(),
            strategy: rules.strategy.number(),
            spread: rules.spread.iter().map(wire::Spread::from).collect(),
            limits: rules.limits.iter().map(wire::LimitPerKey::from).collect(),
            affinity: rules.affinity.iter().map(wire::Affinity::from).collect(),
            tolerations: rules.tolerations.iter().map(wire::Toleration::from).collect(),
        }
    }
}

impl TryFrom<wire::Rules> for Rules {
    type Error = Malformed;
    fn try_from(rules: wire::Rules) -> Result<Self, Malformed> {
        Ok(Self {
            required: rules
                .required
                .into_iter()
                .map(|of| each(of.all))
                .collect::<Result<_, _>>()?,
            preferred: each(rules.preferred)?,
            strategy: Strategy::or_default(rules.strategy)?,
            spread: each(rules.spread)?,
            limits: each(rules.limits)?,
            affinity: each(rules.affinity)?,
            tolerations: each(rules.tolerations)?,
        })
    }
}

impl From<&Expr> for wire::Expr {
    fn from(expr: &Expr) -> Self {
        Self {
            key: expr.key.clone(),
            op: expr.op.number(),
            values: expr.values.clone(),
            absent_matches: expr.absent_matches,
            fold_case: expr.fold_case,
        }
    }
}

impl TryFrom<wire::Expr> for Expr {
    type Error = Malformed;
    fn try_from(expr: wire::Expr) -> Result<Self, Malformed> {
        Ok(Self {
            op: Op::from_number(expr.op)?,
            key: expr.key,
            values: expr.values,
            absent_matches: expr.absent_matches,
            fold_case: expr.fold_case,
        })
    }
}

impl From<&Preference> for wire::Preference {
    fn from(preference: &Preference) -> Self {
        Self {
            weight: preference.weight,
            all: exprs(&preference.all),
        }
    }
}

impl TryFrom<wire::Preference> for Preference {
    type Error = Malformed;
    fn try_from(preference: wire::Preference) -> Result<Self, Malformed> {
        Ok(Self {
            weight: preference.weight,
            all: each(preference.all)?,
        })
    }
}

type Parts = (String, Option<wire::Among>, BTreeMap<String, String>);

/// A tally, whose fields stand in the message of its rule.
fn parts(tally: &Tally) -> Parts {
    let among = wire::Among {
        scope: tally.among.scope.number(),
        labels: exprs(&tally.among.labels),
    };
    let nodes = tally.nodes.iter();
    let nodes = nodes.map(|(node, domain)| (node.to_string(), domain.clone()));
    let among = (tally.among != Among::default()).then_some(among);
    (tally.key.clone(), among, nodes.collect())
}

fn tally((key, among, nodes): Parts) -> Result<Tally, Malformed> {
    let among = match among {
        None => Among::default(),
        Some(among) => Among {
            scope: Scope::or_default(among.scope)?,
            labels: each(among.labels)?,
        },
    };
    let nodes: BTreeMap<NodeId, String> = nodes
        .into_iter()
        .map(|(node, domain)| Ok((name(&node, "nodes")?, domain)))
        .collect::<Result<_, Malformed>>()?;
    Ok(Tally { key, nodes, among })
}

impl From<&Spread> for wire::Spread {
    fn from(rule: &Spread) -> Self {
        let (key, tasks, nodes) = parts(&rule.tally);
        Self {
            key,
            tasks,
            nodes,
            max_skew: rule.max_skew,
            hard: rule.hard,
            min_domains: rule.min_domains,
            over: rule.over.number(),
        }
    }
}

impl TryFrom<wire::Spread> for Spread {
    type Error = Malformed;
    fn try_from(rule: wire::Spread) -> Result<Self, Malformed> {
        Ok(Self {
            tally: tally((rule.key, rule.tasks, rule.nodes))?,
            max_skew: rule.max_skew,
            min_domains: rule.min_domains,
            over: Domains::or_default(rule.over)?,
            hard: rule.hard,
        })
    }
}

impl From<&LimitPerKey> for wire::LimitPerKey {
    fn from(rule: &LimitPerKey) -> Self {
        let (key, tasks, nodes) = parts(&rule.tally);
        let max = rule.max;
        Self {
            key,
            max,
            tasks,
            nodes,
        }
    }
}

impl TryFrom<wire::LimitPerKey> for LimitPerKey {
    type Error = Malformed;
    fn try_from(rule: wire::LimitPerKey) -> Result<Self, Malformed> {
        let tally = tally((rule.key, rule.tasks, rule.nodes))?;
        Ok(Self { tally, max: rule.max })
    }
}

impl From<&Affinity> for wire::Affinity {
    fn from(rule: &Affinity) -> Self {
        let (key, tasks, nodes) = parts(&rule.tally);
        let (away, hard) = (rule.away, rule.hard);
        Self {
            key,
            away,
            hard,
            tasks,
            nodes,
        }
    }
}

impl TryFrom<wire::Affinity> for Affinity {
    type Error = Malformed;
    fn try_from(rule: wire::Affinity) -> Result<Self, Malformed> {
        let (away, hard) = (rule.away, rule.hard);
        let tally = tally((rule.key, rule.tasks, rule.nodes))?;
        Ok(Self { tally, away, hard })
    }
}
