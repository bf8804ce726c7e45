//! Placement constraints: read from Marathon's triples, lowered to the pool's rules.
//!
//! Every instance of an app counts, those about to be replaced included, as in Marathon 1.8. A node without the
//! attribute is taken by `UNLIKE` alone.

use plenum_model::node::NodeFacts;
use plenum_model::rules::{Affinity, Domains, Expr, LimitPerKey, Op, Rules, Spread, keys};
use plenum_model::tally::Tally;
use serde::{Deserialize, Serialize};

/// One constraint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Constraint {
    /// Of what: a field of the node, or an attribute.
    pub field: String,
    /// How.
    pub operator: Operator,
    /// Compared with what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// How nodes are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Operator {
    /// One instance per value.
    Unique,
    /// All on this value, or on the value of the first.
    Cluster,
    /// As even as can be over the values.
    GroupBy,
    /// The value matches a pattern.
    Like,
    /// The value does not match it.
    Unlike,
    /// So many instances per value.
    MaxPer,
    /// The value is this.
    Is,
}

impl Operator {
    const WORDS: [(&'static str, Self); 7] = [
        ("UNIQUE", Self::Unique),
        ("CLUSTER", Self::Cluster),
        ("GROUP_BY", Self::GroupBy),
        ("LIKE", Self::Like),
        ("UNLIKE", Self::Unlike),
        ("MAX_PER", Self::MaxPer),
        ("IS", Self::Is),
    ];

    /// As requests write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unique => "UNIQUE",
            Self::Cluster => "CLUSTER",
            Self::GroupBy => "GROUP_BY",
            Self::Like => "LIKE",
            Self::Unlike => "UNLIKE",
            Self::MaxPer => "MAX_PER",
            Self::Is => "IS",
        }
    }
}

impl Constraint {
    /// Reads a constraint as it is written: field, operator, and maybe a value.
    ///
    /// # Errors
    /// Marathon's words for what is wrong with it, or why it is not served.
    pub fn read(words: &[String]) -> Result<Self, String> {
        let (field, name, value) = match words {
            [field, name] => (field, name, None),
            [field, name, value] => (field, name, Some(value.clone())),
            _ => return Err("Each constraint must have either 2 or 3 fields".to_owned()),
        };
        if field.is_empty() {
            return Err("illegal constraint specification".to_owned());
        }
        let upper = name.to_uppercase();
        let Some((_, operator)) = Operator::WORDS.iter().find(|(word, _)| *word == upper) else {
            let known = "UNIQUE, CLUSTER, GROUP_BY, LIKE, MAX_PER, UNLIKE or IS";
            return Err(format!("operator must be one of the following {known}"));
        };
        let read = Self {
            field: field.clone(),
            operator: *operator,
            value,
        };
        match read.fault() {
            Some(fault) => Err(fault),
            None => Ok(read),
        }
    }

    /// As it is written.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let mut words = vec![self.field.clone(), self.operator.name().to_owned()];
        words.extend(self.value.clone());
        words
    }

    /// What is wrong with the value.
    fn fault(&self) -> Option<String> {
        let value = self.value.as_deref();
        let whole = || value.is_some_and(|v| v.parse::<i32>().is_ok());
        let fault = match self.operator {
            Operator::Unique if value.is_some() => "UNIQUE does not accept a value",
            Operator::GroupBy if value.is_some() && !whole() => {
                "GROUP BY must define an integer value or else no value at all"
            }
            Operator::MaxPer if !whole() => "MAX_PER requires an integer value",
            Operator::Like | Operator::Unlike => return pattern_fault(value.unwrap_or_default()),
            Operator::Is if !value.is_none_or(is_literal) => {
                "IS only supports Mesos text and float values (see \
                 http://mesos.apache.org/documentation/latest/attributes-resources/)"
            }
            Operator::Unique | Operator::Cluster | Operator::GroupBy | Operator::MaxPer | Operator::Is => {
                return None;
            }
        };
        Some(fault.to_owned())
    }

    /// The attribute of the pool's nodes that the field is. What Marathon calls a host name is how a node's ports
    /// are reached, which is what this door shows as every task's host.
    #[must_use]
    pub fn key(&self) -> &str {
        match self.field.as_str() {
            "hostname" | "@hostname" => keys::ADDRESS,
            "@region" => "region",
            "@zone" => "zone",
            attribute => attribute,
        }
    }

    /// The value that a node has of the field.
    #[must_use]
    pub fn value_of<'a>(&self, node: &'a NodeFacts) -> Option<&'a str> {
        node.attribute(self.key())
    }

    fn lower(&self, rules: &mut Rules) {
        let key = self.key();
        let value = self.value.as_deref().unwrap_or_default();
        let mut require = |op, value: String, absent_matches| {
            rules.required[0].push(Expr {
                op,
                absent_matches,
                ..Expr::equals(key, value)
            });
        };
        match self.operator {
            Operator::Like => require(Op::Regex, value.to_owned(), false),
            Operator::Unlike => require(Op::NotRegex, value.to_owned(), true),
            Operator::Is => match number_pattern(value) {
                Some(pattern) => require(Op::Regex, pattern, false),
                None => require(Op::In, value.to_owned(), false),
            },
            Operator::Cluster if value.is_empty() => rules.affinity.push(Affinity {
                tally: Tally::of_workload(key),
                away: false,
                hard: true,
            }),
            Operator::Cluster => require(Op::In, value.to_owned(), false),
            Operator::Unique => rules.limits.push(LimitPerKey::of_workload(key, 1)),
            Operator::MaxPer => {
                let max = value.parse::<u32>().unwrap_or(0);
                rules.limits.push(LimitPerKey::of_workload(key, max));
            }
            Operator::GroupBy => rules.spread.push(Spread {
                tally: Tally::of_workload(key),
                max_skew: 1,
                min_domains: value.parse::<u32>().unwrap_or(0),
                over: Domains::Seen,
                hard: true,
            }),
        }
    }
}

/// The pool's rules for these constraints.
#[must_use]
pub fn rules(constraints: &[Constraint]) -> Rules {
    let mut rules = Rules {
        required: vec![Vec::new()],
        ..Rules::default()
    };
    constraints.iter().for_each(|c| c.lower(&mut rules));
    rules.required.retain(|all| !all.is_empty());
    rules
}

fn pattern_fault(pattern: &str) -> Option<String> {
    if pattern.is_empty() {
        return Some("LIKE and UNLIKE require a non-empty, regular expression value".to_owned());
    }
    let expr = Expr {
        op: Op::Regex,
        ..Expr::equals("", pattern)
    };
    expr.compile().err()?;
    // Java knows more than the pool's patterns, which never take longer than their text is long.
    let java = ["(?=", "(?!", "(?<=", "(?<!", "(?>", "\\1", "*+", "++", "?+"];
    Some(if java.iter().any(|more| pattern.contains(more)) {
        "a pattern that looks around, refers back or is possessive is not supported by this version of Plenum"
            .to_owned()
    } else {
        "is not a valid regular expression".to_owned()
    })
}

/// The values of `IS`: text and numbers as Mesos writes them.
fn is_literal(value: &str) -> bool {
    value
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"_/.-".contains(&b))
}

/// All the ways to write a number that Mesos reads as one: `2` is `2.0` is `02`.
fn number_pattern(value: &str) -> Option<String> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = match value.split_once('.') {
        Some((whole, fraction)) if digits(whole) && digits(fraction) => (whole, fraction),
        None if digits(value) => (value, ""),
        Some(_) | None => return None,
    };
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    Some(match fraction.trim_end_matches('0') {
        "" => format!(r"0*{whole}(\.0+)?"),
        fraction => format!(r"0*{whole}\.{fraction}0*"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Constraint, String> {
        Constraint::read(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn what_is_wrong_is_said_in_marathons_words() {
        let table: [(&[&str], &str); 14] = [
            (&["hostname"], "Each constraint must have either 2 or 3 fields"),
            (
                &["a", "IS", "b", "c"],
                "Each constraint must have either 2 or 3 fields",
            ),
            (&["", "UNIQUE"], "illegal constraint specification"),
            (
                &["a", "IN", "b"],
                "operator must be one of the following UNIQUE, CLUSTER, GROUP_BY, LIKE, MAX_PER, UNLIKE or IS",
            ),
            (&["a", "UNIQUE", "b"], "UNIQUE does not accept a value"),
            (&["a", "MAX_PER"], "MAX_PER requires an integer value"),
            (&["a", "MAX_PER", "x"], "MAX_PER requires an integer value"),
            (
                &["a", "GROUP_BY", "x"],
                "GROUP BY must define an integer value or else no value at all",
            ),
            (
                &["a", "LIKE"],
                "LIKE and UNLIKE require a non-empty, regular expression value",
            ),
            (
                &["a", "UNLIKE", ""],
                "LIKE and UNLIKE require a non-empty, regular expression value",
            ),
            (&["a", "LIKE", "("], "is not a valid regular expression"),
            (
                &["a", "LIKE", "(?!x)y"],
                "a pattern that looks around, refers back or is possessive is not supported by this version of Plenum",
            ),
            (
                &["a", "IS", "{x}"],
                "IS only supports Mesos text and float values (see http://mesos.apache.org/documentation/latest/attributes-resources/)",
            ),
            (&[], "Each constraint must have either 2 or 3 fields"),
        ];
        for (words, fault) in table {
            assert_eq!(read(words), Err(fault.to_owned()), "{words:?}");
        }
    }

    #[test]
    fn every_operator_is_read_and_written_in_upper_case() {
        for (given, written) in [
            (&["a", "unique"][..], &["a", "UNIQUE"][..]),
            (&["a", "Cluster", "x"], &["a", "CLUSTER", "x"]),
            (&["a", "GROUP_BY", "3"], &["a", "GROUP_BY", "3"]),
            (&["a", "max_per", "2"], &["a", "MAX_PER", "2"]),
            (&["a", "UNLIKE", "x.*"], &["a", "UNLIKE", "x.*"]),
            (&["a", "IS"], &["a", "IS"]),
        ] {
            assert_eq!(read(given).unwrap().words(), written);
        }
    }

    #[test]
    fn tests_of_the_value_are_required_and_only_unlike_takes_a_node_without_it() {
        for (words, value, passes) in [
            (&["rack", "LIKE", "r[12]"][..], Some("r2"), true),
            (&["rack", "LIKE", "r[12]"], Some("r23"), false),
            (&["rack", "LIKE", ".*"], None, false),
            (&["rack", "UNLIKE", "r1"], Some("r12"), true),
            (&["rack", "UNLIKE", "r1"], Some("r1"), false),
            (&["rack", "UNLIKE", "r1"], None, true),
            (&["rack", "CLUSTER", "r1"], Some("r1"), true),
            (&["rack", "CLUSTER", "r1"], None, false),
            (&["rack", "IS", "r1"], Some("r1"), true),
            (&["rack", "IS", "2"], Some("2.0"), true),
            (&["rack", "IS", "2.50"], Some("2.5"), true),
            (&["rack", "IS", "2"], Some("20"), false),
            (&["rack", "IS", "0"], Some("0.0"), true),
        ] {
            let rules = rules(&[read(words).unwrap()]);
            let [all] = rules.required.as_slice() else {
                panic!("{rules:?}")
            };
            assert_eq!(
                all[0].compile().unwrap().matches(value),
                passes,
                "{words:?} {value:?}"
            );
        }
    }

    #[test]
    fn rules_about_other_instances_count_those_of_the_app_by_the_field() {
        let lowered = |words: &[&str]| rules(&[read(words).unwrap()]);
        assert_eq!(
            lowered(&["hostname", "UNIQUE"]).limits,
            [LimitPerKey::of_workload("@address", 1)]
        );
        assert_eq!(
            lowered(&["@zone", "MAX_PER", "3"]).limits,
            [LimitPerKey::of_workload("zone", 3)]
        );
        let near = lowered(&["@region", "CLUSTER"]);
        assert_eq!(
            (
                near.affinity[0].tally.key.as_str(),
                near.affinity[0].hard,
                near.affinity[0].away
            ),
            ("region", true, false)
        );
        assert!(near.required.is_empty());
        let even = lowered(&["rack", "GROUP_BY", "2"]).spread.remove(0);
        assert_eq!(
            (even.min_domains, even.max_skew, even.over),
            (2, 1, Domains::Seen)
        );
        assert_eq!(lowered(&["rack", "GROUP_BY"]).spread[0].min_domains, 0);
    }
}
