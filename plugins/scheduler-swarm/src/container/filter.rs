//! Which containers a list shows.

use super::Containers;
use super::record::Container;
use super::view::{State, exit_code, image};
use crate::error::{ApiError, ApiResult};
use crate::filters::Filters;
use plenum_model::task::Task;

const KNOWN: [&str; 12] = [
    "id", "name", "label", "status", "exited", "ancestor", "before", "since", "health", "network", "is-task",
    "node",
];

/// What is asked for.
pub(super) struct Shown {
    filters: Filters,
    before: Option<u64>,
    since: Option<u64>,
    all: bool,
}

impl Shown {
    /// Reads the filters of a list.
    pub(super) fn parse(containers: &Containers, filters: Option<&str>, all: bool) -> ApiResult<Self> {
        let filters = Filters::parse(filters, &KNOWN)?;
        values(&filters)?;
        let created = |key: &str| -> ApiResult<Option<u64>> {
            let named = filters.values(key).next();
            named
                .map(|name| Ok(containers.find(name)?.own.created_nanos))
                .transpose()
        };
        let (before, since) = (created("before")?, created("since")?);
        let all = all || filters.has("status") || filters.has("exited");
        Ok(Self {
            filters,
            before,
            since,
            all,
        })
    }

    /// Whether this one is shown.
    pub(super) fn shows(&self, container: &Container, task: Option<&Task>) -> bool {
        let (record, f) = (&container.own, &self.filters);
        let state = State::of(container, task);
        let node = task
            .and_then(|t| t.status.node.as_ref())
            .map_or("", |n| n.as_str());
        let code = exit_code(task.and_then(|t| t.status.exit.as_ref())).to_string();
        (self.all || state.runs())
            && f.prefix("id", &record.id)
            && f.any("name", |n| record.name.contains(n.strip_prefix('/').unwrap_or(n)))
            && f.labels("label", &container.lowered.terms.labels)
            && f.any("status", |s| s == state.word())
            && f.any("exited", |c| state == State::Exited && c == code)
            && f.any("ancestor", |i| same_image(i, image(&record.body)))
            && f.any("network", |n| n == super::view::network_mode(&record.body))
            && f.any("is-task", |v| is_true(v) == container.of_service.is_some())
            && f.any("health", |h| {
                h == super::view::health(container, task).unwrap_or("none")
            })
            && f.any("node", |n| n == node)
            && self.before.is_none_or(|at| record.created_nanos < at)
            && self.since.is_none_or(|at| record.created_nanos > at)
    }
}

/// Refuses values that nothing can have.
fn values(filters: &Filters) -> ApiResult<()> {
    const STATES: [&str; 7] = [
        "created",
        "running",
        "paused",
        "restarting",
        "removing",
        "exited",
        "dead",
    ];
    const HEALTH: [&str; 4] = ["starting", "healthy", "unhealthy", "none"];
    for (key, ok) in [("status", &STATES[..]), ("health", &HEALTH[..])] {
        if let Some(wrong) = filters.values(key).find(|v| !ok.contains(v)) {
            return Err(ApiError::bad(format!("Invalid filter '{key}={wrong}'")));
        }
    }
    match filters.values("exited").find(|v| v.parse::<i32>().is_err()) {
        Some(wrong) => Err(ApiError::bad(format!("Invalid filter 'exited={wrong}'"))),
        None => Ok(()),
    }
}

fn is_true(text: &str) -> bool {
    matches!(text, "true" | "True" | "TRUE" | "t" | "T" | "1")
}

fn same_image(asked: &str, have: &str) -> bool {
    let bare = |name: &str| name.strip_suffix(":latest").unwrap_or(name).to_owned();
    bare(asked) == bare(have)
}
