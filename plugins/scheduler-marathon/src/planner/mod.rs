//! What to do in the pool: the planner that the reconcile driver calls. It looks at what is wanted and what is
//! observed and says claims, releases and forgettings; which of a deployment's steps are done it tells the
//! desk. Everything it remembers may be lost. One app is in `app` and `replace`, what goes in `leftovers`,
//! what the pool says in `news`.

mod app;
mod health;
pub mod launches;
mod leftovers;
mod news;
mod replace;

use crate::answer::task::TaskFailure;
use crate::config::MarathonConfig;
use crate::desired::{AppRecord, Desired};
use crate::desk::Desk;
use crate::events::Hub;
use crate::instance::stamp;
use crate::path::AppId;
use crate::plan::{Action, Mode};
use crate::stamp::Stamp;
use launches::Launches;
use plenum_contract::broker::Refusal;
use plenum_model::claim::Terms;
use plenum_model::ids::{NodeId, TaskId};
use plenum_model::spec::TaskSpec;
use plenum_sdk::desk::{SessionState, Wanted};
use plenum_sdk::observed::Observed;
use plenum_sdk::plan::Plan;
use plenum_sdk::planner::{Change, Planner};
use plenum_sdk::settled::Settled;
use plenum_sdk::time::Moment;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The planner.
pub struct MarathonPlanner {
    desk: Desk,
    config: MarathonConfig,
    launches: Arc<Launches>,
    hub: Hub,
    /// What tasks of a version share, made once: tasks with one `Arc` travel as one group.
    lowered: BTreeMap<(String, Stamp), (Arc<Terms>, Arc<TaskSpec>)>,
    /// Since when a task's node is silent.
    silent_since: BTreeMap<TaskId, Moment>,
    /// Apps of the claims of the last plan, to understand refusals.
    claimed: BTreeMap<TaskId, (AppId, String)>,
    /// Addresses of nodes, for events.
    addresses: BTreeMap<NodeId, String>,
    /// The driver's state, once there is a driver.
    session: Arc<SessionState>,
    /// When this planner began: older ends say nothing about launches now.
    began: Moment,
    settled: Settled<AppRecord>,
}

impl MarathonPlanner {
    /// A planner that begins now.
    #[must_use]
    pub fn new(
        desk: Desk,
        config: MarathonConfig,
        launches: Arc<Launches>,
        hub: Hub,
        session: Arc<SessionState>,
        began: Moment,
    ) -> Self {
        Self {
            desk,
            config,
            launches,
            hub,
            lowered: BTreeMap::new(),
            silent_since: BTreeMap::new(),
            claimed: BTreeMap::new(),
            addresses: BTreeMap::new(),
            session,
            began,
            settled: Settled::default(),
        }
    }

    fn note_done(&self, desired: &Desired, done: &BTreeMap<&AppId, bool>, observed: &Observed) {
        for deployment in &desired.deployments {
            let actions = deployment.current();
            let over = |a: &Action| leftovers::action_done(a, deployment, done, observed);
            if !actions.is_empty() && actions.iter().all(over) {
                self.desk.step_done(&deployment.plan.id, deployment.step);
            }
        }
    }

    fn tidy(&mut self, now: Moment, desired: &Desired, observed: &Observed) {
        if self.lowered.len() > desired.apps.len() {
            let version = |r: &Arc<AppRecord>| (r.uid.clone(), r.app.config_version());
            let live: BTreeSet<_> = desired.apps.values().map(version).collect();
            self.lowered.retain(|key, _| live.contains(key));
        }
        let wanted: BTreeSet<_> = desired.apps.values().map(|r| r.uid.as_str()).collect();
        self.settled.retain(|uid| wanted.contains(uid));
        self.silent_since.retain(|id, _| observed.task(*id).is_some());
        self.launches.with(|l| {
            l.delays.forget_over(now);
            l.waiting.retain(|id, _| desired.apps.contains_key(id));
            l.refused.retain(|id, _| desired.apps.contains_key(id));
        });
    }
}

impl Planner for MarathonPlanner {
    fn plan(&mut self, now: Moment, observed: &Observed) -> Plan {
        let desired = self.desk.desired();
        let mut plan = Plan::default();
        let session = self.session.get().and_then(|s| s.borrow().session());
        if !desired.is_current(session) {
            return plan; // the desk wakes the driver when it has read what is wanted
        }
        self.addresses = observed
            .nodes()
            .map(|n| (n.facts.id.clone(), n.facts.address.clone()))
            .collect();
        self.claimed.clear();
        leftovers::kills(&self.launches, observed, &mut plan);
        let mut done = BTreeMap::new();
        for (id, record) in &desired.apps {
            // What a deployment moves is looked at until it is done.
            let kept = desired.mode(id) == Mode::Keep;
            if kept && self.settled.at_rest(&record.uid, record, observed, &()) {
                done.insert(id, true);
                continue;
            }
            let mut own = Plan::default();
            let is_done = self.app(now, record, &desired, observed, &mut own);
            done.insert(id, is_done);
            health::unhealthy(record, observed, &mut own);
            leftovers::forget_old(record, observed, &mut own);
            let waits = self.launches.with(|l| l.waiting.contains_key(id));
            if kept && is_done && !waits && own.is_empty() && own.wake_at.is_none() {
                self.settled.rests(&record.uid, record, observed, ());
            }
            plan.merge(own);
        }
        leftovers::orphans(&desired, observed, &mut plan);
        self.note_done(&desired, &done, observed);
        self.tidy(now, &desired, observed);
        plan
    }

    fn noticed(&mut self, now: Moment, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Task { before, after } => self.task_changed(now, before.as_deref(), after),
                Change::Forgotten(_) | Change::Nominated { .. } | Change::Preempting { .. } => {}
            }
        }
    }

    fn refused(&mut self, now: Moment, refusals: &[Refusal]) {
        let desired = self.desk.desired();
        for refusal in refusals {
            let Some((id, name)) = self.claimed.get(&refusal.task) else {
                continue;
            };
            let Some(record) = desired.app(id) else { continue };
            let message = format!("refused at {}: {}", refusal.field, refusal.why);
            let failure = TaskFailure::refused(&record.app, name.clone(), message, stamp(now.0));
            let key = (id.clone(), record.app.config_version());
            self.launches.with(|l| {
                l.delays.failed(key, record.app.config.backoff, now);
                l.refused.insert(id.clone(), failure);
            });
        }
    }
}
