//! Tests of attributes (of nodes) and labels (of tasks), and their evaluator.

use regex::Regex;
use serde::{Deserialize, Serialize};

/// Attribute keys that every node answers by itself.
pub mod keys {
    /// The node's name.
    pub const NODE: &str = "@node";
    /// The node's host name.
    pub const HOSTNAME: &str = "@hostname";
    /// The node's address.
    pub const ADDRESS: &str = "@address";
}

/// One test of one attribute.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Expr {
    /// The attribute's key.
    pub key: String,
    /// The test.
    pub op: Op,
    /// What it is tested against.
    #[serde(default)]
    pub values: Vec<String>,
    /// Whether a node without the attribute passes.
    #[serde(default)]
    pub absent_matches: bool,
    /// Compare without regard to upper and lower case.
    #[serde(default)]
    pub fold_case: bool,
}

/// A test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// Equal to one of the values.
    In,
    /// Equal to none of the values.
    NotIn,
    /// The whole text matches the regular expression.
    Regex,
    /// The whole text does not match it.
    NotRegex,
    /// Both are numbers and the attribute is less.
    Less,
    /// Both are numbers and the attribute is greater.
    Greater,
    /// The node has the attribute.
    Exists,
    /// The node does not have it.
    NotExists,
}

/// A rule that cannot be evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rule on `{key}`: {why}")]
pub struct BadRule {
    /// The attribute's key.
    pub key: String,
    /// What is wrong with it.
    pub why: String,
}

/// An expression ready to be evaluated many times.
#[derive(Debug, Clone)]
pub struct Compiled {
    expr: Expr,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    In(bool),
    Regex(Regex, bool),
    Less(f64),
    Greater(f64),
    Exists(bool),
}

impl Expr {
    /// The common case: the attribute equals the value, and is there.
    #[must_use]
    pub fn equals(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            op: Op::In,
            values: vec![value.into()],
            absent_matches: false,
            fold_case: false,
        }
    }

    /// Checks the expression and prepares it.
    ///
    /// # Errors
    /// `BadRule` for a pattern that is no regular expression, or a bound that is no number.
    pub fn compile(&self) -> Result<Compiled, BadRule> {
        let bad = |why: String| BadRule {
            key: self.key.clone(),
            why,
        };
        let only = || match self.values.as_slice() {
            [one] => Ok(one.as_str()),
            other => Err(bad(format!("takes one value, has {}", other.len()))),
        };
        let number = |text: &str| {
            text.parse::<f64>()
                .ok()
                .filter(|n| n.is_finite())
                .ok_or_else(|| bad(format!("`{text}` is no number")))
        };
        let pattern = |text: &str| {
            let fold = if self.fold_case { "(?i)" } else { "" };
            Regex::new(&format!("{fold}^(?:{text})$")).map_err(|e| bad(e.to_string()))
        };
        let test = match self.op {
            Op::In => Test::In(true),
            Op::NotIn => Test::In(false),
            Op::Regex => Test::Regex(pattern(only()?)?, true),
            Op::NotRegex => Test::Regex(pattern(only()?)?, false),
            Op::Less => Test::Less(number(only()?)?),
            Op::Greater => Test::Greater(number(only()?)?),
            Op::Exists => Test::Exists(true),
            Op::NotExists => Test::Exists(false),
        };
        Ok(Compiled {
            expr: self.clone(),
            test,
        })
    }
}

impl Compiled {
    /// The attribute's key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.expr.key
    }

    /// Whether a node whose attribute has this value (none: it lacks it) passes.
    #[must_use]
    pub fn matches(&self, value: Option<&str>) -> bool {
        if let Test::Exists(wanted) = self.test {
            return value.is_some() == wanted;
        }
        let Some(value) = value else {
            return self.expr.absent_matches;
        };
        match &self.test {
            Test::In(wanted) => self.expr.values.iter().any(|v| self.equal(v, value)) == *wanted,
            Test::Regex(pattern, wanted) => pattern.is_match(value) == *wanted,
            Test::Less(bound) => value.parse::<f64>().is_ok_and(|v| v < *bound),
            Test::Greater(bound) => value.parse::<f64>().is_ok_and(|v| v > *bound),
            Test::Exists(_) => true,
        }
    }

    fn equal(&self, a: &str, b: &str) -> bool {
        if self.expr.fold_case {
            a.to_lowercase() == b.to_lowercase()
        } else {
            a == b
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operator_answers_for_present_and_absent_attributes() {
        let table: [(Op, &[&str], &str, bool); 12] = [
            (Op::In, &["a", "b"], "b", true),
            (Op::In, &["a"], "b", false),
            (Op::NotIn, &["a"], "b", true),
            (Op::Regex, &["r[0-9]+"], "r12", true),
            (Op::Regex, &["r[0-9]"], "r12", false),
            (Op::NotRegex, &["r.*"], "r12", false),
            (Op::Less, &["10"], "9", true),
            (Op::Less, &["10"], "x", false),
            (Op::Greater, &["10"], "10.5", true),
            (Op::Exists, &[], "x", true),
            (Op::NotExists, &[], "x", false),
            (Op::Greater, &["10"], "10", false),
        ];
        for (op, values, value, expected) in table {
            let values = values.iter().map(|v| (*v).to_owned()).collect();
            let mut e = Expr {
                key: "k".into(),
                op,
                values,
                absent_matches: false,
                fold_case: false,
            };
            assert_eq!(
                e.compile().unwrap().matches(Some(value)),
                expected,
                "{e:?} {value}"
            );
            assert_eq!(
                e.compile().unwrap().matches(None),
                op == Op::NotExists,
                "{e:?} absent"
            );
            e.absent_matches = true;
            assert_eq!(
                e.compile().unwrap().matches(None),
                op != Op::Exists,
                "{e:?} absent matches"
            );
        }
    }

    #[test]
    fn a_bad_pattern_or_number_is_refused_with_its_key() {
        for (op, value) in [(Op::Regex, "("), (Op::Less, "many"), (Op::Greater, "NaN")] {
            let e = Expr {
                op,
                ..Expr::equals("rack", value)
            };
            assert_eq!(e.compile().unwrap_err().key, "rack");
        }
    }
}
