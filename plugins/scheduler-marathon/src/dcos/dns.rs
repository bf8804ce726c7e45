//! Names as Mesos-DNS answers them: the master's, Marathon's, and those of running tasks.

use super::front::Front;
use super::mesos::{is_over, state_of, task_name};
use super::refused::by_pool;
use super::view::View;
use crate::door::reply::{Answer, ok};
use axum::extract::{Path, State};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[derive(Serialize)]
struct Host {
    host: String,
    ip: String,
}

/// `GET /mesos_dns/v1/hosts/NAME`: one entry an address; of a name that nobody has, one with nothing in it.
pub(super) async fn hosts(State(front): State<Arc<Front>>, Path(name): Path<String>) -> Answer {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let of = |ip| Host {
        host: format!("{name}."),
        ip,
    };
    let own = format!("{}.mesos", front.scheduler);
    if ["master.mesos", "leader.mesos", "marathon.mesos", &own].contains(&name.as_str()) {
        return ok(&[of(front.ip())]);
    }
    let view = View::of(&*front.pool).await.map_err(by_pool)?;
    let mut found: Vec<Host> = addresses(&view, &name).into_iter().map(of).collect();
    if found.is_empty() {
        found.push(Host {
            host: String::new(),
            ip: String::new(),
        });
    }
    ok(&found)
}

/// The addresses of the running tasks of a name: `web.shop.marathon.mesos`; of tasks without an address of their
/// own, and for `….slave.mesos`, those of their nodes.
fn addresses(view: &View, name: &str) -> BTreeSet<String> {
    let kinds: BTreeMap<&str, &str> = view
        .schedulers
        .iter()
        .map(|s| (s.id.as_str(), s.kind.as_str()))
        .collect();
    let of_node = name.strip_suffix(".slave.mesos");
    let Some(wanted) = of_node.or_else(|| name.strip_suffix(".mesos")) else {
        return BTreeSet::new();
    };
    let live = view.tasks.iter().filter(|t| state_of(t).is_some() && !is_over(t));
    let meant = live.filter(|task| {
        let scheduler = task.scheduler.as_str();
        let kind = kinds.get(scheduler).copied().unwrap_or_default();
        let rest = wanted.strip_suffix(scheduler).and_then(|w| w.strip_suffix('.'));
        rest.is_some_and(|rest| task_name(kind, task).eq_ignore_ascii_case(rest))
    });
    meant
        .filter_map(|task| {
            let node = || Some(view.node(task.status.node.as_ref()?)?.facts.address.clone());
            let own = task.status.address.clone().filter(|_| of_node.is_none());
            own.or_else(node)
        })
        .collect()
}
