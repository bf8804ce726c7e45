//! Which workloads are at rest: nothing was to be done about them, and nothing that they go by has changed since. A
//! planner that passes over these costs what has changed, not what there is.

use crate::observed::Observed;
use std::collections::HashMap;
use std::sync::Arc;

/// What a planner found to be at rest, by the uid of the workload. `R` is what is wanted of one: the same `Arc` is the
/// same wish. `B` is whatever else its plan goes by.
#[derive(Debug)]
pub struct Settled<R, B = ()>(HashMap<String, Row<R, B>>);

#[derive(Debug)]
struct Row<R, B> {
    record: Arc<R>,
    tasks: u64,
    nodes: u64,
    besides: B,
}

impl<R, B> Default for Settled<R, B> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<R, B: PartialEq> Settled<R, B> {
    /// Whether nothing is to be done about a workload, since nothing has changed.
    #[must_use]
    pub fn at_rest(&self, uid: &str, record: &Arc<R>, observed: &Observed, besides: &B) -> bool {
        self.0.get(uid).is_some_and(|row| {
            Arc::ptr_eq(&row.record, record)
                && row.tasks == observed.version_of(uid)
                && row.nodes == observed.nodes_version()
                && row.besides == *besides
        })
    }

    /// Nothing was to be done about it, now or at a later moment.
    pub fn rests(&mut self, uid: &str, record: &Arc<R>, observed: &Observed, besides: B) {
        let row = Row {
            record: Arc::clone(record),
            tasks: observed.version_of(uid),
            nodes: observed.nodes_version(),
            besides,
        };
        self.0.insert(uid.to_owned(), row);
    }

    /// Lets go of workloads that are not wanted any more.
    pub fn retain(&mut self, mut wanted: impl FnMut(&str) -> bool) {
        self.0.retain(|uid, _| wanted(uid));
    }
}
