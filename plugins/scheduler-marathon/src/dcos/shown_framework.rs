//! A scheduler as the state of Mesos writes it: a framework.

use super::mesos::{ROLE, Resources, Seconds, held};
use super::view::View;
use plenum_contract::pool::SchedulerView;
use plenum_model::amounts::Amounts;
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct FrameworkShape<'a> {
    pub(super) id: &'a str,
    name: &'a str,
    user: &'static str,
    hostname: &'a str,
    webui_url: &'a str,
    role: &'static str,
    roles: [&'static str; 1],
    active: bool,
    connected: bool,
    recovered: bool,
    checkpoint: bool,
    /// Tasks run on however long a scheduler is away.
    failover_timeout: f64,
    registered_time: Seconds,
    reregistered_time: Seconds,
    unregistered_time: f64,
    capabilities: [&'static str; 0],
    resources: Resources,
    used_resources: Resources,
    offered_resources: Resources,
}

/// How long tasks of a scheduler that is away run on, in the largest number of seconds that Mesos writes.
const FOR_EVER: f64 = 1e9;

impl<'a> FrameworkShape<'a> {
    /// A scheduler with what it holds on all nodes. `url` and `ip` are the door's own, and of its own framework.
    pub(super) fn of(
        scheduler: &'a SchedulerView,
        view: &View,
        own: Option<(&'a str, &'a str)>,
        since: u64,
    ) -> Self {
        let id = scheduler.id.as_str();
        let here = view.nodes.iter().filter_map(|n| n.held.get(id));
        let used = held(here);
        let (hostname, webui_url) = own.unwrap_or_default();
        Self {
            id,
            name: id,
            user: "root",
            hostname,
            webui_url,
            role: ROLE,
            roles: [ROLE],
            active: scheduler.connected,
            connected: scheduler.connected,
            recovered: false,
            checkpoint: true,
            failover_timeout: FOR_EVER,
            registered_time: Seconds::of_ms(since),
            reregistered_time: Seconds::of_ms(since),
            unregistered_time: 0.0,
            capabilities: [],
            resources: Resources::of(&used),
            used_resources: Resources::of(&used),
            offered_resources: Resources::of(&Amounts::default()),
        }
    }
}
