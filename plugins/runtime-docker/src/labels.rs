//! How a container is found again: its name is derived from the key, its labels are the key.

use plenum_contract::runtime::ContainerKey;
use plenum_model::ids::Incarnation;
use std::collections::HashMap;

/// The agent it belongs to.
pub(crate) const OWNER: &str = "plenum.owner";
const TASK: &str = "plenum.task";
const CONTAINER: &str = "plenum.container";
const INCARNATION: &str = "plenum.incarnation";

pub(crate) fn name(owner: &str, key: &ContainerKey) -> String {
    format!("plenum-{owner}-{key}")
}

pub(crate) fn of(owner: &str, key: &ContainerKey) -> HashMap<String, String> {
    HashMap::from([
        (OWNER.to_owned(), owner.to_owned()),
        (TASK.to_owned(), key.task.to_string()),
        (CONTAINER.to_owned(), key.container.clone()),
        (INCARNATION.to_owned(), key.incarnation.to_string()),
    ])
}

pub(crate) fn key(labels: &HashMap<String, String>) -> Option<ContainerKey> {
    Some(ContainerKey {
        task: labels.get(TASK)?.parse().ok()?,
        container: labels.get(CONTAINER)?.clone(),
        incarnation: Incarnation(labels.get(INCARNATION)?.parse().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use plenum_model::ids::TaskId;

    #[test]
    fn a_key_is_read_back_from_its_labels() {
        let it = ContainerKey {
            task: TaskId([7; 16]),
            container: "side-car".into(),
            incarnation: Incarnation(3),
        };
        assert_eq!(key(&of("n1", &it)), Some(it));
        assert_eq!(key(&HashMap::new()), None);
    }
}
