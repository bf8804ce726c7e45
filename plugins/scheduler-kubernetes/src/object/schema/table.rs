//! All messages, built once from the facts.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::message::{Message, MessageId};
use super::parse;

/// The files with the facts.
const FACTS: [&str; 10] = [
    include_str!("facts/access.txt"),
    include_str!("facts/affinity.txt"),
    include_str!("facts/container.txt"),
    include_str!("facts/meta.txt"),
    include_str!("facts/namespaced.txt"),
    include_str!("facts/node.txt"),
    include_str!("facts/pod.txt"),
    include_str!("facts/reference.txt"),
    include_str!("facts/volume.txt"),
    include_str!("facts/workload.txt"),
];

/// The table of messages.
pub(crate) struct Messages {
    pub(crate) list: Vec<Message>,
    pub(super) by_name: BTreeMap<&'static str, MessageId>,
}

static MESSAGES: LazyLock<Messages> = LazyLock::new(|| {
    let (list, by_name) =
        parse::messages(&FACTS).expect("the facts are part of the program and tested with it");
    Messages { list, by_name }
});

/// The table.
pub(crate) fn messages() -> &'static Messages {
    &MESSAGES
}

impl Messages {
    /// The message with this name in the table.
    pub(super) fn named(&self, name: &str) -> Option<&Message> {
        self.by_name.get(name).map(|id| &self.list[id.0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_facts_are_well_formed() {
        let (list, _) = parse::messages(&FACTS).expect("facts");
        assert!(list.len() > 200, "{} messages", list.len());
        let merged: Vec<_> = list
            .iter()
            .flat_map(|m| m.fields())
            .filter(|f| f.name == "taints" || f.name == "tolerations")
            .collect();
        assert!(!merged.is_empty());
        for field in merged {
            assert_eq!(field.merge, super::super::Merge::Plain, "{}", field.name);
        }
    }
}
