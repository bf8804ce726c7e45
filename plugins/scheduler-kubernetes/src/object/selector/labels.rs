//! Selectors by labels, as in a query's `labelSelector` and in an object's `selector`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::object::names;
use crate::object::problem::Problem;

/// One condition on one label.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    In(String, BTreeSet<String>),
    NotIn(String, BTreeSet<String>),
    Exists(String),
    Absent(String),
    Greater(String, i64),
    Less(String, i64),
}

/// Conditions on labels that must all hold; none: everything matches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels {
    rules: Vec<Rule>,
}

/// Why a text or an object is no selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotASelector(pub String);

impl From<NotASelector> for Problem {
    fn from(error: NotASelector) -> Self {
        Self::bad_request(error.0)
    }
}

impl Labels {
    /// Reads `a=b,c!=d,e in (f, g),h notin (i),j,!k,l>1`.
    ///
    /// # Errors
    /// [`NotASelector`] with the real server's text.
    pub fn parse(text: &str) -> Result<Self, NotASelector> {
        let mut parser = Parser {
            tokens: tokens(text),
            at: 0,
            text,
        };
        let rules = parser.rules()?;
        Ok(Self { rules })
    }

    /// The selector of an object: `matchLabels` and `matchExpressions`. Nothing matches `null`, all match `{}`.
    ///
    /// # Errors
    /// [`NotASelector`] for an unknown operator.
    pub fn of(selector: &Value) -> Result<Self, NotASelector> {
        if selector.is_null() {
            // No label has this key, so nothing matches.
            return Ok(Self {
                rules: vec![Rule::In(String::new(), BTreeSet::new())],
            });
        }
        let mut rules = Vec::new();
        for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
            let value = value.as_str().unwrap_or_default().to_owned();
            rules.push(Rule::In(key.clone(), BTreeSet::from([value])));
        }
        for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
            let key = expression["key"].as_str().unwrap_or_default().to_owned();
            let values = expression["values"].as_array().into_iter().flatten();
            let values = values
                .filter_map(|value| value.as_str().map(str::to_owned))
                .collect();
            rules.push(match expression["operator"].as_str().unwrap_or_default() {
                "In" => Rule::In(key, values),
                "NotIn" => Rule::NotIn(key, values),
                "Exists" => Rule::Exists(key),
                "DoesNotExist" => Rule::Absent(key),
                other => {
                    return Err(NotASelector(format!(
                        "{other:?} is not a valid label selector operator"
                    )));
                }
            });
        }
        Ok(Self { rules })
    }

    /// The selector of a plain map of labels, as in a `nodeSelector`.
    pub fn of_map(labels: &BTreeMap<String, String>) -> Self {
        let rule = |(key, value): (&String, &String)| Rule::In(key.clone(), BTreeSet::from([value.clone()]));
        Self {
            rules: labels.iter().map(rule).collect(),
        }
    }

    /// Whether everything matches.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether this object's labels match.
    pub fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.matches_with(|key| labels.get(key).and_then(Value::as_str))
    }

    /// Whether labels match that are looked up so.
    pub fn matches_with<'l>(&self, label: impl Fn(&str) -> Option<&'l str>) -> bool {
        self.rules.iter().all(|rule| match rule {
            Rule::In(key, values) => label(key).is_some_and(|value| values.contains(value)),
            Rule::NotIn(key, values) => label(key).is_none_or(|value| !values.contains(value)),
            Rule::Exists(key) => label(key).is_some(),
            Rule::Absent(key) => label(key).is_none(),
            Rule::Greater(key, than) => number(label(key)).is_some_and(|value| value > *than),
            Rule::Less(key, than) => number(label(key)).is_some_and(|value| value < *than),
        })
    }
}

fn number(label: Option<&str>) -> Option<i64> {
    label.and_then(|value| value.parse().ok())
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Sign(&'static str),
}

impl Token {
    fn text(&self) -> &str {
        match self {
            Self::Word(word) => word,
            Self::Sign(sign) => sign,
        }
    }
}

const SIGNS: [&str; 9] = ["==", "!=", "=", "!", ",", "(", ")", ">", "<"];

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            tokens.push(Token::Sign(sign));
            rest = rest[sign.len()..].trim_start();
            continue;
        }
        let end = rest
            .find(|c: char| c.is_whitespace() || "=!,()<>".contains(c))
            .unwrap_or(rest.len());
        tokens.push(Token::Word(rest[..end].to_owned()));
        rest = rest[end..].trim_start();
    }
    tokens
}

struct Parser<'t> {
    tokens: Vec<Token>,
    at: usize,
    text: &'t str,
}

impl Parser<'_> {
    fn next(&mut self) -> Option<Token> {
        self.at += 1;
        self.tokens.get(self.at - 1).cloned()
    }

    fn found(&self, token: Option<&Token>, expected: &str) -> NotASelector {
        let found = token.map_or("", Token::text);
        NotASelector(format!(
            "unable to parse requirement: found '{found}', expected: {expected}"
        ))
    }

    fn rules(&mut self) -> Result<Vec<Rule>, NotASelector> {
        let mut rules = Vec::new();
        if self.tokens.is_empty() {
            return Ok(rules);
        }
        loop {
            rules.push(self.rule()?);
            match self.next() {
                None => return Ok(rules),
                Some(Token::Sign(",")) if self.at < self.tokens.len() => {}
                Some(Token::Sign(",")) => {
                    return Err(NotASelector(
                        "found '', expected: identifier after ','".to_owned(),
                    ));
                }
                Some(token) => {
                    return Err(NotASelector(format!(
                        "found '{}', expected: ',' or 'end of string'",
                        token.text()
                    )));
                }
            }
        }
    }

    fn rule(&mut self) -> Result<Rule, NotASelector> {
        let absent = self.tokens.get(self.at) == Some(&Token::Sign("!"));
        if absent {
            self.at += 1;
        }
        let key = match self.next() {
            Some(Token::Word(word)) => word,
            token => {
                let found = token.as_ref().map_or("", Token::text);
                let text = format!("unable to parse requirement: found '{found}', expected: identifier");
                return Err(NotASelector(text));
            }
        };
        names::key(&key).map_err(|why| self.refused("key", &key, &why.join("; ")))?;
        if absent {
            return Ok(Rule::Absent(key));
        }
        let operator = match self.tokens.get(self.at) {
            None | Some(Token::Sign(",")) => return Ok(Rule::Exists(key)),
            Some(token) => token.text().to_owned(),
        };
        self.at += 1;
        match operator.as_str() {
            "=" | "==" => Ok(Rule::In(key, BTreeSet::from([self.value()?]))),
            "!=" => Ok(Rule::NotIn(key, BTreeSet::from([self.value()?]))),
            "in" => Ok(Rule::In(key, self.values()?)),
            "notin" => Ok(Rule::NotIn(key, self.values()?)),
            ">" => Ok(Rule::Greater(key, self.bound()?)),
            "<" => Ok(Rule::Less(key, self.bound()?)),
            _ => Err(self.found(self.tokens.get(self.at - 1), "in, notin, =, ==, !=, gt, lt")),
        }
    }

    fn refused(&self, what: &str, value: &str, why: &str) -> NotASelector {
        debug_assert!(self.text.contains(value), "the value stands in the text");
        NotASelector(format!(
            "unable to parse requirement: {what}: Invalid value: {value:?}: {why}"
        ))
    }

    fn value(&mut self) -> Result<String, NotASelector> {
        let value = match self.tokens.get(self.at) {
            Some(Token::Word(word)) => word.clone(),
            None | Some(Token::Sign(",")) => return Ok(String::new()),
            token => return Err(self.found(token, "identifier")),
        };
        self.at += 1;
        names::label_value(&value).map_err(|why| self.refused("values[0]", &value, &why.join("; ")))?;
        Ok(value)
    }

    fn bound(&mut self) -> Result<i64, NotASelector> {
        let value = self.value()?;
        value.parse().map_err(|_| {
            let why = "for 'Gt', 'Lt' operators, the value must be an integer";
            self.refused("values[0]", &value, why)
        })
    }

    fn values(&mut self) -> Result<BTreeSet<String>, NotASelector> {
        match self.next() {
            Some(Token::Sign("(")) => {}
            token => return Err(self.found(token.as_ref(), "'('")),
        }
        let mut values = BTreeSet::new();
        loop {
            match self.next() {
                Some(Token::Sign(")")) if values.is_empty() => {
                    values.insert(String::new());
                    return Ok(values);
                }
                Some(Token::Word(word)) => {
                    names::label_value(&word)
                        .map_err(|why| self.refused("values[0]", &word, &why.join("; ")))?;
                    values.insert(word);
                }
                Some(Token::Sign(",")) => {
                    values.insert(String::new());
                    continue;
                }
                token => return Err(self.found(token.as_ref(), "',', ')' or identifier")),
            }
            match self.next() {
                Some(Token::Sign(")")) => return Ok(values),
                Some(Token::Sign(",")) => {}
                token => return Err(self.found(token.as_ref(), "',' or ')'")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn selectors_match_as_kubectl_users_expect() {
        let object = json!({"metadata": {"labels": {"app": "web", "tier": "front", "n": "5"}}});
        let cases = [
            ("", true),
            ("app=web", true),
            ("app==web,tier=front", true),
            ("app = web , tier != back", true),
            ("app!=web", false),
            ("other!=x", true),
            ("app in (web, db)", true),
            ("app notin (web,db)", false),
            ("other notin (web)", true),
            ("app", true),
            ("other", false),
            ("!other", true),
            ("!app", false),
            ("n>4,n<6", true),
            ("n>5", false),
            ("app=", false),
        ];
        for (text, want) in cases {
            assert_eq!(Labels::parse(text).expect(text).matches(&object), want, "{text}");
        }
    }

    #[test]
    fn a_null_selector_matches_nothing_and_an_empty_one_everything() {
        let object = json!({"metadata": {"labels": {"a": "b"}}});
        assert!(!Labels::of(&Value::Null).expect("null").matches(&object));
        assert!(Labels::of(&json!({})).expect("empty").matches(&object));
        let selector = json!({"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "c", "operator": "DoesNotExist"}]});
        assert!(Labels::of(&selector).expect("both").matches(&object));
        assert!(Labels::of(&json!({"matchExpressions": [{"key": "c", "operator": "Like"}]})).is_err());
    }

    #[test]
    fn what_is_no_selector_is_refused_with_what_was_expected() {
        let cases = [
            ("a in x", "unable to parse requirement: found 'x', expected: '('"),
            (
                "=a",
                "unable to parse requirement: found '=', expected: identifier",
            ),
            ("a=b c", "found 'c', expected: ',' or 'end of string'"),
            ("a,", "found '', expected: identifier after ','"),
            (
                "a ~ b",
                "unable to parse requirement: found '~', expected: in, notin, =, ==, !=, gt, lt",
            ),
        ];
        for (text, want) in cases {
            assert_eq!(Labels::parse(text).expect_err(text).0, want);
        }
        let error = Labels::parse("a@b=c").expect_err("key").0;
        assert!(
            error.starts_with("unable to parse requirement: key: Invalid value: \"a@b\": "),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in "\\PC{0,40}") {
            let _ = Labels::parse(&text);
        }
    }
}
