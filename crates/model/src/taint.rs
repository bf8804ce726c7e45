//! Taints: what keeps tasks off a node that do not say that they bear it.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A taint of a node. There is at most one of a key and an effect.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Taint {
    /// Its key.
    pub key: String,
    /// What it does to a task that does not bear it.
    pub effect: Effect,
    /// Its value; may be empty.
    #[serde(default)]
    pub value: String,
}

/// What a taint does to a task that does not bear it. The names are Kubernetes' own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Effect {
    /// Nothing new is placed there.
    NoSchedule,
    /// It is placed elsewhere if there is room.
    PreferNoSchedule,
    /// Nothing new is placed there. Whether what runs there must leave is its orchestrator's to say.
    NoExecute,
}

impl Effect {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::NoSchedule, Self::PreferNoSchedule, Self::NoExecute];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoSchedule => "NoSchedule",
            Self::PreferNoSchedule => "PreferNoSchedule",
            Self::NoExecute => "NoExecute",
        }
    }

    /// Whether it keeps tasks away, instead of only being avoided.
    #[must_use]
    pub fn keeps_away(self) -> bool {
        match self {
            Self::NoSchedule | Self::NoExecute => true,
            Self::PreferNoSchedule => false,
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Effect {
    type Err = BadTaint;
    fn from_str(text: &str) -> Result<Self, BadTaint> {
        let found = Self::ALL.into_iter().find(|effect| effect.as_str() == text);
        found.ok_or_else(|| BadTaint::Effect(text.to_owned()))
    }
}

/// A text that is no taint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTaint {
    /// It does not end in an effect.
    #[error("`{0}` is no effect; NoSchedule, PreferNoSchedule and NoExecute are")]
    Effect(String),
    /// Its key is none.
    #[error("`{0}` is no key: 1 to 253 letters, digits, - _ . / that begin and end with a letter or digit")]
    Key(String),
    /// Its value is none.
    #[error("`{0}` is no value: at most 63 letters, digits, - _ . that begin and end with a letter or digit")]
    Value(String),
}

/// Letters and digits, and between them these.
fn is_word(text: &str, between: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let inner = |c: char| c.is_ascii_alphanumeric() || between.contains(c);
    edge(text.chars().next()) && edge(text.chars().last()) && text.chars().all(inner)
}

impl Taint {
    /// A taint, if its parts can be that.
    ///
    /// # Errors
    /// See [`BadTaint`].
    pub fn new(key: &str, value: &str, effect: Effect) -> Result<Self, BadTaint> {
        if key.len() > 253 || !is_word(key, "-_./") {
            return Err(BadTaint::Key(key.to_owned()));
        }
        if value.len() > 63 || !(value.is_empty() || is_word(value, "-_.")) {
            return Err(BadTaint::Value(value.to_owned()));
        }
        let (key, value) = (key.to_owned(), value.to_owned());
        Ok(Self { key, effect, value })
    }
}

/// `key=value:effect`, or `key:effect` where there is no value.
impl fmt::Display for Taint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        if !self.value.is_empty() {
            write!(f, "={}", self.value)?;
        }
        write!(f, ":{}", self.effect)
    }
}

impl FromStr for Taint {
    type Err = BadTaint;
    fn from_str(text: &str) -> Result<Self, BadTaint> {
        let (rest, effect) = text
            .rsplit_once(':')
            .ok_or_else(|| BadTaint::Effect(text.to_owned()))?;
        let (key, value) = rest.split_once('=').unwrap_or((rest, ""));
        Self::new(key, value, effect.parse()?)
    }
}

/// A taint that is borne.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Toleration {
    /// The taint's key; none: every taint.
    pub key: Option<String>,
    /// Its value; none: any.
    pub value: Option<String>,
    /// Its effect; none: any.
    pub effect: Option<Effect>,
}

impl Toleration {
    /// Whether it bears a taint.
    #[must_use]
    pub fn bears(&self, taint: &Taint) -> bool {
        self.key.as_ref().is_none_or(|key| *key == taint.key)
            && self.value.as_ref().is_none_or(|value| *value == taint.value)
            && self.effect.is_none_or(|effect| effect == taint.effect)
    }
}

/// What an operator changes about a node's taints. Said again it changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaintChange {
    /// To be there; one of the same key and effect is replaced.
    pub set: Vec<Taint>,
    /// To be gone: a key, with one effect or with all.
    pub remove: Vec<(String, Option<Effect>)>,
}

impl TaintChange {
    /// The taints afterwards, in order.
    #[must_use]
    pub fn of(&self, taints: &[Taint]) -> Vec<Taint> {
        let removed = |taint: &Taint| {
            let mut keys = self.remove.iter();
            keys.any(|(key, effect)| *key == taint.key && effect.is_none_or(|e| e == taint.effect))
        };
        let mut after: Vec<Taint> = taints.iter().filter(|taint| !removed(taint)).cloned().collect();
        for taint in &self.set {
            after.retain(|old| (&old.key, old.effect) != (&taint.key, taint.effect));
            after.push(taint.clone());
        }
        after.sort();
        after
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taint(text: &str) -> Taint {
        text.parse().unwrap()
    }

    #[test]
    fn it_reads_as_it_is_written() {
        for text in [
            "gpu=a100:NoSchedule",
            "gpu:NoExecute",
            "a.b/c-d_e:PreferNoSchedule",
        ] {
            assert_eq!(taint(text).to_string(), text);
        }
        let bad = [
            "gpu",
            "gpu=a",
            "gpu:Never",
            "=a:NoSchedule",
            "-a:NoSchedule",
            "a=b c:NoSchedule",
            "a=-:NoSchedule",
        ];
        for text in bad {
            assert!(text.parse::<Taint>().is_err(), "{text}");
        }
    }

    #[test]
    fn it_is_borne_by_whatever_names_it_or_leaves_it_open() {
        let gpu = taint("gpu=a100:NoSchedule");
        let bears = |key: Option<&str>, value: Option<&str>, effect| {
            let (key, value) = (key.map(str::to_owned), value.map(str::to_owned));
            Toleration { key, value, effect }.bears(&gpu)
        };
        assert!(bears(None, None, None));
        assert!(bears(Some("gpu"), None, None));
        assert!(bears(Some("gpu"), Some("a100"), Some(Effect::NoSchedule)));
        assert!(!bears(Some("cpu"), None, None));
        assert!(!bears(Some("gpu"), Some(""), None));
        assert!(!bears(Some("gpu"), None, Some(Effect::NoExecute)));
    }

    #[test]
    fn a_change_said_again_changes_nothing() {
        let before = [
            taint("a=1:NoSchedule"),
            taint("a=1:NoExecute"),
            taint("b:NoSchedule"),
        ];
        let change = TaintChange {
            set: vec![taint("b=2:NoSchedule"), taint("c:NoExecute")],
            remove: vec![("a".into(), Some(Effect::NoExecute))],
        };
        let after = change.of(&before);
        let wanted = [
            taint("a=1:NoSchedule"),
            taint("b=2:NoSchedule"),
            taint("c:NoExecute"),
        ];
        assert_eq!(after, wanted);
        assert_eq!(change.of(&after), after);
        let none = TaintChange {
            remove: vec![("a".into(), None)],
            ..TaintChange::default()
        };
        assert_eq!(none.of(&before), [taint("b:NoSchedule")]);
    }
}
