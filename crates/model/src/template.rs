//! Text with closed placeholders. A spec is shared by all tasks of a version; what differs from task to task
//! stands in it as one of these and the agent fills it in. Users' own text is never searched for markers.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What the agent fills in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Placeholder {
    /// The task id, 32 hexadecimal digits.
    TaskId,
    /// The orchestrator's own name of the task.
    TaskName,
    /// The index of the slot within its workload.
    Slot,
    /// The node's name.
    NodeName,
    /// The node's host name.
    NodeHostname,
    /// The address at which the node's published ports are reached.
    NodeAddress,
    /// The task's own address.
    TaskAddress,
    /// The host port assigned to the n-th port of the claim.
    HostPort(u16),
    /// The port inside the container for the n-th port of the claim.
    ContainerPort(u16),
    /// The directory that is the task's own.
    Sandbox,
    /// What the n-th file of the claim holds, as text: how a secret reaches an environment.
    File(u16),
}

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Text as it is.
    Text(String),
    /// To be filled in.
    Fill(Placeholder),
}

/// Text with placeholders.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Template(pub Vec<Part>);

impl Template {
    /// Text only.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self(vec![Part::Text(text.into())])
    }

    /// One placeholder only.
    #[must_use]
    pub fn fill(placeholder: Placeholder) -> Self {
        Self(vec![Part::Fill(placeholder)])
    }

    /// The pieces of `items` with `separator` between them.
    #[must_use]
    pub fn join(items: impl IntoIterator<Item = Self>, separator: &str) -> Self {
        let mut parts = Vec::new();
        for (i, item) in items.into_iter().enumerate() {
            if i > 0 {
                parts.push(Part::Text(separator.to_owned()));
            }
            parts.extend(item.0);
        }
        Self(parts)
    }

    /// The text with every placeholder replaced by what `value` gives for it.
    ///
    /// # Errors
    /// The first placeholder for which there is no value.
    pub fn expand(&self, value: impl Fn(Placeholder) -> Option<String>) -> Result<String, Unfilled> {
        let mut out = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Fill(p) => out.push_str(&value(*p).ok_or(Unfilled(*p))?),
            }
        }
        Ok(out)
    }
}

/// A placeholder that has no value for this task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nothing to fill in for {0:?}")]
pub struct Unfilled(pub Placeholder);

impl From<&str> for Template {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Template {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Text(text) => f.write_str(text),
            Part::Fill(p) => write!(f, "<{p:?}>"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expands_its_placeholders_and_leaves_the_users_text_alone() {
        let t = Template::join(["${HOST}:".into(), Template::fill(Placeholder::HostPort(1))], "");
        assert_eq!(
            t.expand(|p| (p == Placeholder::HostPort(1)).then(|| "31000".into()))
                .unwrap(),
            "${HOST}:31000"
        );
        assert_eq!(t.expand(|_| None), Err(Unfilled(Placeholder::HostPort(1))));
    }
}
