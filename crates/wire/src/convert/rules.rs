//! Placement rules.

use super::enums::WireEnum;
use crate::malformed::{Malformed, each};
use crate::proto::model::v1 as wire;
use plenum_model::rules::{Affinity, Expr, LimitPerKey, Op, Preference, Rules, Spread, Strategy, Toleration};

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
            spread: rules.spread.into_iter().map(Spread::from).collect(),
            limits: rules.limits.into_iter().map(LimitPerKey::from).collect(),
            affinity: rules.affinity.into_iter().map(Affinity::from).collect(),
            tolerations: rules.tolerations.into_iter().map(Toleration::from).collect(),
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

/// Messages with the same fields as the model, nothing of which can be wrong.
macro_rules! same {
    ($($name:ident { $($field:ident),+ })*) => {$(
        impl From<&$name> for wire::$name {
            fn from(from: &$name) -> Self {
                Self { $($field: from.$field.clone()),+ }
            }
        }

        impl From<wire::$name> for $name {
            fn from(from: wire::$name) -> Self {
                Self { $($field: from.$field),+ }
            }
        }
    )*};
}

same! {
    Spread { key, among, max_skew, hard }
    LimitPerKey { key, among, max }
    Affinity { key, to, away, hard }
    Toleration { key, value, effect }
}
