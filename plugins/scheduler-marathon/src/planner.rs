//! What to do in the pool: the planner that the reconcile driver calls. It looks at what is wanted and what is
//! observed and says claims, releases and forgettings; which of a deployment's steps are done it tells the
//! desk. Everything it remembers may be lost.

use crate::answer::task::{TaskFailure, host_of};
use crate::config::MarathonConfig;
use crate::delay::Delays;
use crate::desired::{AppRecord, Desired};
use crate::desk::Desk;
use crate::events::{Body, EventAddress, Hub, StatusUpdate};
use crate::instance::{Condition, Instance, State, condition, failed_at, stamp};
use crate::lower;
use crate::names;
use crate::path::AppId;
use crate::plan::{Action, Deployment, Kind, Mode};
use crate::scale::{self, Steps};
use crate::stamp::Stamp;
use parking_lot::Mutex;
use plenum_contract::broker::Refusal;
use plenum_model::claim::{Seat, Terms};
use plenum_model::ids::{NodeId, TaskId};
use plenum_model::spec::TaskSpec;
use plenum_model::task::Task;
use plenum_sdk::desk::{SessionState, Wanted};
use plenum_sdk::health::HealthGate;
use plenum_sdk::observed::Observed;
use plenum_sdk::plan::{Claim, Plan};
use plenum_sdk::planner::{Change, Planner};
use plenum_sdk::rollout::copies;
use plenum_sdk::rollout::engine::{self, Goal, RolloutStatus, Step};
use plenum_sdk::rollout::policy::Policy;
use plenum_sdk::time::Moment;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Ended tasks of an app that are kept, so that their logs and exits can be looked at.
const KEEP_ENDED: usize = 10;

/// What planner and door share beside what is wanted and observed. Short locks only.
#[derive(Debug, Default)]
pub struct Launches(Mutex<LaunchState>);

/// See [`Launches`].
#[derive(Debug, Default)]
pub struct LaunchState {
    /// Launch delays.
    pub delays: Delays,
    /// What waits to be launched, by app.
    pub waiting: BTreeMap<AppId, Waiting>,
    /// The newest launch of an app that the pool refused.
    pub refused: BTreeMap<AppId, TaskFailure>,
    /// Tasks that users want to be gone, whatever is wanted of their app.
    pub kills: BTreeSet<TaskId>,
}

/// What waits to be launched of one app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Since when something waits.
    pub since: Stamp,
    /// How many instances are due and held back by the launch delay; those that wait for room are tasks.
    pub held_back: usize,
}

impl Launches {
    /// Looks or changes; never waits inside.
    pub fn with<T>(&self, look: impl FnOnce(&mut LaunchState) -> T) -> T {
        look(&mut self.0.lock())
    }
}

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
        }
    }

    fn lowered(&mut self, record: &AppRecord) -> (Arc<Terms>, Arc<TaskSpec>) {
        let key = (record.uid.clone(), record.app.config_version());
        let config = &self.config;
        let lowered = self.lowered.entry(key).or_insert_with(|| {
            let spec = lower::spec(&record.app, config.cpu_cap);
            let tenant = config.tenant.tenant(&record.app.id);
            let terms = lower::terms(&record.app, &record.uid, tenant, &spec, config.node_timeout_ms());
            (Arc::new(terms), Arc::new(spec))
        });
        lowered.clone()
    }

    fn instances(
        &mut self,
        now: Moment,
        record: &AppRecord,
        observed: &Observed,
        plan: &mut Plan,
    ) -> Vec<Instance> {
        let after = inactive_after(record, &self.config);
        let look = |task: &Arc<Task>| {
            let inactive = match (after, task.status.unreachable) {
                (Some(after), true) => {
                    let due = self.silent_since.entry(task.id()).or_insert(now).plus(after);
                    if due > now {
                        plan.wake_by(due);
                    }
                    due <= now
                }
                (_, false) => {
                    self.silent_since.remove(&task.id());
                    false
                }
                (None, true) => false,
            };
            Instance::of(task, inactive)
        };
        observed.workload(&record.uid).map(look).collect()
    }

    /// Plans one app and says whether the deployment's action on it is done.
    fn app(
        &mut self,
        now: Moment,
        record: &AppRecord,
        desired: &Desired,
        observed: &Observed,
        plan: &mut Plan,
    ) -> bool {
        let app = &record.app;
        let instances = self.instances(now, record, observed, plan);
        let mode = desired.mode(&app.id);
        let key = (app.id.clone(), app.config_version());
        let launch_from = self.launches.with(|l| l.delays.until(&key)).unwrap_or_default();
        let Moves {
            start,
            held_back,
            done,
        } = match mode {
            Mode::Hold => Moves {
                done: true,
                ..Moves::default()
            },
            Mode::Keep => self.scale(now, record, &instances, &BTreeSet::new(), launch_from, plan),
            Mode::Scale => {
                let difference = desired
                    .deployments_of(&app.id)
                    .find_map(|d| d.plan.apps.get(&app.id));
                let victims = difference.map(|d| d.victims.clone()).unwrap_or_default();
                self.scale(now, record, &instances, &victims, launch_from, plan)
            }
            Mode::Restart => replace(now, record, &instances, observed, launch_from, plan),
        };
        self.launch(record, start, observed, plan);
        let scheduled = instances
            .iter()
            .any(|i| i.condition == Condition::Scheduled && i.counts());
        self.launches.with(|l| {
            if held_back > 0 || scheduled {
                let since = l.waiting.get(&app.id).map_or_else(|| stamp(now.0), |w| w.since);
                l.waiting.insert(app.id.clone(), Waiting { since, held_back });
            } else {
                l.waiting.remove(&app.id);
            }
        });
        done
    }

    fn scale(
        &self,
        now: Moment,
        record: &AppRecord,
        instances: &[Instance],
        victims: &BTreeSet<TaskId>,
        launch_from: Moment,
        plan: &mut Plan,
    ) -> Moves {
        let Steps { start, stop, done } = scale::scale(&record.app, instances, victims);
        stop.into_iter().for_each(|id| plan.release(id));
        if start > 0 && launch_from > now {
            plan.wake_by(launch_from);
            return Moves {
                held_back: start,
                ..Moves::default()
            };
        }
        let slots = scale::free_slots(instances, start);
        Moves {
            start: slots,
            held_back: 0,
            done,
        }
    }

    /// Claims an instance in each of these slots.
    fn launch(&mut self, record: &AppRecord, slots: Vec<u64>, observed: &Observed, plan: &mut Plan) {
        if slots.is_empty() {
            return;
        }
        let app = &record.app;
        let (terms, spec) = self.lowered(record);
        for slot in slots {
            let id = observed.next_id(&record.uid, slot);
            let name = names::task(&app.id, id);
            self.claimed.insert(id, (app.id.clone(), name.clone()));
            let seat = Seat::new(id, name, slot);
            plan.claims.push(Claim {
                terms: Arc::clone(&terms),
                spec: Arc::clone(&spec),
                seat,
            });
        }
    }

    /// Tasks of workloads that nobody wants any more: stopped, then forgotten.
    fn orphans(desired: &Desired, observed: &Observed, plan: &mut Plan) {
        let wanted: BTreeSet<&str> = desired.apps.values().map(|r| r.uid.as_str()).collect();
        for uid in observed.workloads().filter(|uid| !wanted.contains(uid)) {
            for task in observed.workload(uid) {
                if task.status.phase().is_terminal() {
                    plan.forgets.push(task.id());
                } else if !task.released {
                    plan.release(task.id());
                }
            }
        }
    }

    fn kills(&self, observed: &Observed, plan: &mut Plan) {
        self.launches.with(|l| {
            l.kills.retain(|id| {
                let alive = |t: &&Arc<Task>| !t.released && !t.status.phase().is_terminal();
                let there = observed.task(*id).filter(alive).is_some();
                if there {
                    plan.release(*id);
                }
                there
            });
        });
    }

    fn note_done(&self, desired: &Desired, done: &BTreeMap<&AppId, bool>, observed: &Observed) {
        for deployment in &desired.deployments {
            let actions = deployment.current();
            let over = |a: &Action| action_done(a, deployment, done, observed);
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
        self.silent_since.retain(|id, _| observed.task(*id).is_some());
        self.launches.with(|l| {
            l.delays.forget_over(now);
            l.waiting.retain(|id, _| desired.apps.contains_key(id));
            l.refused.retain(|id, _| desired.apps.contains_key(id));
        });
    }

    fn task_changed(&self, now: Moment, before: Option<&Task>, after: &Task) {
        let Some((id, backoff)) = self.app_of(after) else {
            return;
        };
        let is = condition(after);
        let was = before.map(condition);
        if was == Some(is) {
            return;
        }
        let version: Option<Stamp> = after.terms.workload.version.parse().ok();
        let news = before.is_some() || after.status.claimed_at >= self.began.0;
        if let (Some(version), true) = (version, news) {
            let key = (id.clone(), version);
            self.launches.with(|l| match is {
                Condition::Ended(state) if state.delays_launch() && !after.released => {
                    l.delays.failed(key, backoff, now);
                }
                Condition::Active(State::TaskRunning) => l.delays.started(&key, now),
                Condition::Ended(_) | Condition::Active(_) | Condition::Scheduled => {}
            });
        }
        if let (Condition::Active(state) | Condition::Ended(state), true) = (is, news) {
            self.hub.publish(stamp(now.0), || {
                Body::StatusUpdate(self.status_update(id, state, after))
            });
        }
    }

    fn status_update(&self, app_id: AppId, state: State, task: &Task) -> StatusUpdate {
        let node = task.status.node.as_ref();
        let host = node
            .and_then(|n| self.addresses.get(n))
            .cloned()
            .unwrap_or_else(|| host_of(task, None));
        let address = task.status.address.clone();
        StatusUpdate {
            slave_id: host_of(task, None),
            task_id: task.seat.name.clone(),
            task_status: state,
            message: task
                .status
                .exit
                .as_ref()
                .map_or_else(|| task.status.message.clone(), |e| e.message.clone()),
            app_id,
            host,
            ip_addresses: address
                .into_iter()
                .map(|ip_address| EventAddress {
                    protocol: if ip_address.contains(':') { "IPv6" } else { "IPv4" },
                    ip_address,
                })
                .collect(),
            ports: task.status.ports.clone(),
            version: task.terms.workload.version.clone(),
        }
    }

    fn app_of(&self, task: &Task) -> Option<(AppId, crate::app::Backoff)> {
        let id = AppId::from_root(&task.terms.workload.name);
        let desired = self.desk.desired();
        let record = desired.app(&id)?;
        (record.uid == task.terms.workload.uid).then(|| (id, record.app.config.backoff))
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
        self.kills(observed, &mut plan);
        let mut done = BTreeMap::new();
        for (id, record) in &desired.apps {
            done.insert(id, self.app(now, record, &desired, observed, &mut plan));
            forget_old(record, observed, &mut plan);
        }
        Self::orphans(&desired, observed, &mut plan);
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

/// What shall move of one app.
#[derive(Debug, Default)]
struct Moves {
    /// Slots to launch in.
    start: Vec<u64>,
    /// Launches that are due and delayed.
    held_back: usize,
    /// Whether the deployment's action is done.
    done: bool,
}

/// Replaces what runs an older configuration, within the bounds of the app's upgrade strategy.
fn replace(
    now: Moment,
    record: &AppRecord,
    instances: &[Instance],
    observed: &Observed,
    launch_from: Moment,
    plan: &mut Plan,
) -> Moves {
    let app = &record.app;
    let version = app.config_version().to_string();
    let inactive: BTreeSet<TaskId> = instances.iter().filter(|i| i.inactive).map(|i| i.id).collect();
    let is_current = |t: &Task| t.terms.workload.version == version;
    let mut copies = copies::of_workload(observed, &record.uid, now, HealthGate::default(), is_current);
    copies.retain(|c| !inactive.contains(&c.id));
    let upgrade = app.config.upgrade;
    let (health, over) = (upgrade.minimum_health_capacity, upgrade.maximum_over_capacity);
    let policy = Policy::marathon(app.instances, health, over, false);
    let since = Moment(u64::try_from(app.config_version().ms()).unwrap_or(0));
    let goal = Goal {
        count: app.instances,
        since,
        launch_from,
        ..Goal::default()
    };
    let next = engine::next(&goal, &policy, &copies, now);
    if let Some(at) = next.wake_at {
        plan.wake_by(at);
    }
    let mut moves = Moves {
        done: next.status == RolloutStatus::Done,
        ..Moves::default()
    };
    for step in next.steps {
        match step {
            // whose place it takes is not said: the broker does not keep the room of a predecessor yet
            Step::Start { slot, .. } => moves.start.push(slot),
            Step::Stop { id, .. } => plan.release(id),
        }
    }
    if launch_from > now {
        moves.held_back = app.instances.saturating_sub(next.progress.current) as usize;
    }
    moves
}

/// How long a node must be silent before its tasks get replacements while they themselves are kept; none if
/// they are given up no later than that.
fn inactive_after(record: &AppRecord, config: &MarathonConfig) -> Option<Duration> {
    match record.app.config.unreachable {
        crate::app::Unreachable::After {
            inactive_seconds,
            expunge_seconds,
        } if inactive_seconds < expunge_seconds => {
            let node = Duration::from_millis(config.node_timeout_ms());
            Some(node + Duration::from_secs(u64::from(inactive_seconds)))
        }
        crate::app::Unreachable::After { .. } | crate::app::Unreachable::Disabled => None,
    }
}

fn action_done(
    action: &Action,
    deployment: &Deployment,
    done: &BTreeMap<&AppId, bool>,
    observed: &Observed,
) -> bool {
    match action.kind {
        Kind::Start => true,
        // an app that a later deployment has removed leaves nothing to wait for
        Kind::Scale | Kind::Restart => done.get(&action.app).copied().unwrap_or(true),
        Kind::Stop => {
            let uid = deployment
                .plan
                .apps
                .get(&action.app)
                .and_then(|d| d.stopped_uid.as_deref());
            uid.is_none_or(|uid| observed.workload(uid).all(|t| t.status.phase().is_terminal()))
        }
    }
}

/// Lets the oldest ended tasks of an app go, but never its newest failure.
fn forget_old(record: &AppRecord, observed: &Observed, plan: &mut Plan) {
    let ended_at = |t: &Task| t.status.ended_at.unwrap_or(t.status.claimed_at);
    let mut ended: Vec<_> = observed
        .workload(&record.uid)
        .filter(|t| t.status.phase().is_terminal())
        .collect();
    if ended.len() <= KEEP_ENDED {
        return;
    }
    ended.sort_by_key(|t| (std::cmp::Reverse(ended_at(t)), t.id()));
    let newest_failure = ended.iter().find(|t| failed_at(t).is_some()).map(|t| t.id());
    let old = ended[KEEP_ENDED..]
        .iter()
        .map(|t| t.id())
        .filter(|id| Some(*id) != newest_failure);
    plan.forgets.extend(old);
}
