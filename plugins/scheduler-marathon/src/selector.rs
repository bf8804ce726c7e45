//! Label selectors: `a`, `a==b`, `a!=b`, `a in (x,y)`, `a notin (x,y)`, joined by commas that mean "and".

use std::collections::BTreeMap;

/// All of these must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selectors(Vec<Selector>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Selector {
    key: String,
    test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    Exists,
    In(Vec<String>),
    NotIn(Vec<String>),
}

/// A selector that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Can not parse label selector {given}. Reason: {why}")]
pub struct BadSelector {
    given: String,
    why: String,
}

impl Selectors {
    /// Reads selectors; the empty text selects everything.
    ///
    /// # Errors
    /// `BadSelector` with what was expected and where.
    pub fn parse(given: &str) -> Result<Self, BadSelector> {
        let mut parser = Parser { rest: given };
        parser.selectors().map(Self).map_err(|what| BadSelector {
            given: given.to_owned(),
            why: format!("{what} at '{}'", parser.rest),
        })
    }

    /// Whether an app with these labels is meant. A label that is not there never matches.
    #[must_use]
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|s| {
            labels.get(&s.key).is_some_and(|value| match &s.test {
                Test::Exists => true,
                Test::In(values) => values.contains(value),
                Test::NotIn(values) => !values.contains(value),
            })
        })
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn eat(&mut self, token: &str) -> bool {
        self.skip_space();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn selectors(&mut self) -> Result<Vec<Selector>, &'static str> {
        let mut all = Vec::new();
        self.skip_space();
        if self.rest.is_empty() {
            return Ok(all);
        }
        loop {
            all.push(self.selector()?);
            if self.eat(",") {
                continue;
            }
            self.skip_space();
            return if self.rest.is_empty() {
                Ok(all)
            } else {
                Err("expected ','")
            };
        }
    }

    fn selector(&mut self) -> Result<Selector, &'static str> {
        let key = self.term()?;
        let test = if self.eat("==") {
            Test::In(vec![self.term()?])
        } else if self.eat("!=") {
            Test::NotIn(vec![self.term()?])
        } else if self.eat("notin") {
            Test::NotIn(self.set()?)
        } else if self.eat("in") {
            Test::In(self.set()?)
        } else {
            Test::Exists
        };
        Ok(Selector { key, test })
    }

    fn set(&mut self) -> Result<Vec<String>, &'static str> {
        if !self.eat("(") {
            return Err("expected '('");
        }
        let mut values = Vec::new();
        if self.eat(")") {
            return Ok(values);
        }
        loop {
            values.push(self.term()?);
            if self.eat(")") {
                return Ok(values);
            }
            if !self.eat(",") {
                return Err("expected ',' or ')'");
            }
        }
    }

    /// Letters, digits and `.-_`; anything else behind a backslash.
    fn term(&mut self) -> Result<String, &'static str> {
        self.skip_space();
        let mut term = String::new();
        let mut chars = self.rest.char_indices();
        let end = loop {
            match chars.next() {
                Some((_, '\\')) => match chars.next() {
                    Some((_, escaped)) => term.push(escaped),
                    None => return Err("expected a character behind '\\'"),
                },
                Some((_, c)) if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') => term.push(c),
                Some((i, _)) => break i,
                None => break self.rest.len(),
            }
        };
        self.rest = &self.rest[end..];
        if term.is_empty() {
            Err("expected a term")
        } else {
            Ok(term)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_selects_what_it_says() {
        let labels: BTreeMap<_, _> = [("env", "prod"), ("tier", "web"), ("!", "x y")]
            .map(|(k, v)| (k.into(), v.into()))
            .into();
        for (selector, matches) in [
            ("", true),
            ("env", true),
            ("missing", false),
            ("env==prod", true),
            ("env == dev", false),
            ("env!=dev", true),
            ("missing != x", false),
            ("env in (dev, prod)", true),
            ("env notin (dev,prod)", false),
            ("env in ()", false),
            ("env, tier==web", true),
            ("env,tier!=web", false),
            (r"\! == x\ y", true),
        ] {
            assert_eq!(
                Selectors::parse(selector).unwrap().matches(&labels),
                matches,
                "{selector}"
            );
        }
    }

    #[test]
    fn nonsense_says_where_it_stops_making_sense() {
        for bad in ["=", "a ==", "a in x", "a in (x", "a,,b", "a b", "a,", "\\"] {
            assert!(Selectors::parse(bad).is_err(), "{bad}");
        }
    }
}
