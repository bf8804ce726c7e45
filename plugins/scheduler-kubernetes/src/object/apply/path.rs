//! The steps of a path to a field, as managed fields write them.

use std::fmt;

use serde_json::Value;

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// A field of an object or an entry of a map.
    Field(String),
    /// An item of a list by its keys, as canonical JSON.
    Key(String),
    /// A value in a set, as JSON.
    Value(String),
    /// An item of a list that has no key to be found by.
    Index(usize),
}

impl Step {
    pub(super) fn field(name: &str) -> Self {
        Self::Field(name.to_owned())
    }

    /// As a member name in the fields of a manager: `f:spec`, `k:{"name":"c"}`, `v:"x"`, `i:0`.
    pub(super) fn encoded(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Key(keys) => format!("k:{keys}"),
            Self::Value(value) => format!("v:{value}"),
            Self::Index(at) => format!("i:{at}"),
        }
    }

    /// Reads what [`Step::encoded`] wrote, or another writer with other spaces.
    pub(super) fn decoded(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        let canonical = || {
            serde_json::from_str::<Value>(rest)
                .ok()
                .map(|value| value.to_string())
        };
        match kind {
            "f" => Some(Self::field(rest)),
            "k" => canonical().map(Self::Key),
            "v" => canonical().map(Self::Value),
            "i" => rest.parse().ok().map(Self::Index),
            _ => None,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Key(keys) => {
                let keys: Value = serde_json::from_str(keys).unwrap_or_default();
                let pairs: Vec<_> = keys
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(|(key, value)| format!("{key}={value}"))
                    .collect();
                write!(f, "[{}]", pairs.join(","))
            }
            Self::Value(value) => write!(f, "[={value}]"),
            Self::Index(at) => write!(f, "[{at}]"),
        }
    }
}

/// The path as messages have it: `.spec.containers[name="c"].image`.
pub(super) fn shown(path: &[Step]) -> String {
    path.iter().map(ToString::to_string).collect()
}
