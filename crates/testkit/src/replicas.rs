//! A small scheduler for simulations, and the shortest example of a planner: so many replicas of each workload,
//! rolled out by the engine of the kit, ended tasks forgotten but for the newest of each slot.

use parking_lot::Mutex;
use plenum_contract::broker::Refusal;
use plenum_model::amounts::Amounts;
use plenum_model::claim::{Budget, Desired, LostAfter, PortAsk, Priority, Seat, Terms, Workload};
use plenum_model::ids::TenantPath;
use plenum_model::rules::Rules;
use plenum_model::spec::{Caps, ContainerSpec, TaskSpec};
use plenum_model::template::Template;
use plenum_sdk::backoff::{Backoff, LaunchDelay};
use plenum_sdk::health::HealthGate;
use plenum_sdk::observed::Observed;
use plenum_sdk::plan::{Claim, Plan};
use plenum_sdk::planner::{Change, Planner};
use plenum_sdk::rollout::copies::of_workload;
use plenum_sdk::rollout::engine::{Goal, Step, next};
use plenum_sdk::rollout::policy::Policy;
use plenum_sdk::time::Moment;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What users want, by uid; shared with the planner, and kept over its crashes as a state store would.
pub type Wishes = Arc<Mutex<BTreeMap<String, Wish>>>;

/// What is wanted of one workload.
#[derive(Debug, Clone)]
pub struct Wish {
    /// How many replicas.
    pub count: u32,
    /// Which version.
    pub version: u32,
    /// When that version became the wanted one.
    pub since: Moment,
    /// What each is charged.
    pub charge: Amounts,
    /// Who is charged.
    pub tenant: TenantPath,
    /// Ports of each.
    pub ports: Vec<PortAsk>,
    /// Where they may go.
    pub rules: Rules,
    /// What the simulated container does; see `machine`.
    pub args: Vec<String>,
    /// How long its node may be silent.
    pub lost_after: LostAfter,
    /// Their rank within their tenant.
    pub priority: i32,
    /// Whether others of lower rank may be stopped for them.
    pub may_preempt: bool,
    /// How many must stay healthy.
    pub min_healthy: Option<u32>,
    /// How a new version is rolled out.
    pub policy: fn(u32) -> Policy,
}

impl Wish {
    /// So many small replicas of the first version that run until they are stopped.
    ///
    /// # Panics
    /// Never: the tenant's name is a constant.
    #[must_use]
    pub fn new(count: u32) -> Self {
        Self {
            count,
            version: 1,
            since: Moment(0),
            charge: Amounts::task(100, 16 << 20, 0),
            tenant: TenantPath::new("default").expect("a constant that is a path"),
            ports: Vec::new(),
            rules: Rules::default(),
            args: Vec::new(),
            lost_after: LostAfter::Millis(30_000),
            priority: 0,
            may_preempt: false,
            min_healthy: None,
            policy: |count| Policy::marathon(count, 0.5, 0.5, false),
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Replicas {
    wishes: Wishes,
    runtime: String,
    /// Specs and terms by workload and version: one `Arc` for all tasks of a version.
    versions: BTreeMap<(String, u32), (Arc<Terms>, Arc<TaskSpec>)>,
    delays: BTreeMap<String, LaunchDelay>,
}

impl Replicas {
    /// A planner of these wishes, whose containers this runtime runs.
    #[must_use]
    pub fn new(wishes: Wishes, runtime: &str) -> Self {
        Self {
            wishes,
            runtime: runtime.to_owned(),
            versions: BTreeMap::new(),
            delays: BTreeMap::new(),
        }
    }

    fn version(&mut self, uid: &str, wish: &Wish) -> (Arc<Terms>, Arc<TaskSpec>) {
        let key = (uid.to_owned(), wish.version);
        let runtime = &self.runtime;
        let made = self.versions.entry(key).or_insert_with(|| {
            let spec = Arc::new(spec_of(runtime, wish));
            (Arc::new(terms_of(uid, wish, &spec)), spec)
        });
        made.clone()
    }

    fn workload(&mut self, now: Moment, observed: &Observed, uid: &str, wish: &Wish, plan: &mut Plan) {
        let version = wish.version.to_string();
        let gate = HealthGate::default();
        let copies = of_workload(observed, uid, now, gate, |t| t.terms.workload.version == version);
        let goal = Goal {
            count: wish.count,
            since: wish.since,
            launch_from: self.delays.get(uid).map_or(Moment(0), LaunchDelay::until),
            ..Goal::default()
        };
        let out = next(&goal, &(wish.policy)(wish.count), &copies, now);
        for step in out.steps {
            match step {
                Step::Start { slot, replaces } => {
                    let (terms, spec) = self.version(uid, wish);
                    let id = observed.next_id(uid, slot);
                    let name = format!("{uid}.{slot}.{}", id.attempt());
                    let seat = Seat {
                        replaces,
                        ..Seat::new(id, name, slot)
                    };
                    plan.claims.push(Claim { terms, spec, seat });
                }
                Step::Stop { id, .. } => plan.release(id),
            }
        }
        if let Some(at) = out.wake_at {
            plan.wake_by(at);
        }
    }
}

impl Planner for Replicas {
    fn plan(&mut self, now: Moment, observed: &Observed) -> Plan {
        let wishes = self.wishes.lock().clone();
        let mut plan = Plan::default();
        for (uid, wish) in &wishes {
            self.workload(now, observed, uid, wish, &mut plan);
        }
        for uid in observed.workloads() {
            let wanted = wishes.contains_key(uid);
            let mut tasks = observed.workload(uid).peekable();
            while let Some(task) = tasks.next() {
                let newest = tasks.peek().is_none_or(|t| t.seat.slot != task.seat.slot);
                let ended = task.status.phase().is_terminal();
                if ended && !(wanted && newest) {
                    plan.forgets.push(task.id());
                } else if !wanted && !ended && !task.released {
                    plan.release(task.id());
                }
            }
        }
        plan
    }

    fn noticed(&mut self, _: Moment, changes: &[Change]) {
        for change in changes {
            let Change::Task { before, after } = change else {
                continue;
            };
            let ended = |t: &plenum_model::task::Task| t.status.phase().is_terminal();
            if ended(after) && !after.released && before.as_ref().is_some_and(|b| !ended(b)) {
                let series = Backoff::new(Duration::from_millis(500), 1.15, Duration::from_secs(10));
                let at = Moment(after.status.ended_at.unwrap_or(after.status.claimed_at));
                self.delays
                    .entry(after.terms.workload.uid.clone())
                    .or_insert_with(|| LaunchDelay::new(series))
                    .failed(at);
            }
        }
    }

    fn refused(&mut self, _: Moment, _: &[Refusal]) {}
}

pub(crate) fn spec_of(runtime: &str, wish: &Wish) -> TaskSpec {
    let env = vec![("VERSION".to_owned(), Template::text(wish.version.to_string()))];
    TaskSpec {
        containers: vec![ContainerSpec {
            name: "main".to_owned(),
            runtime: runtime.to_owned(),
            args: Some(wish.args.iter().map(|a| Template::text(a.clone())).collect()),
            env,
            caps: Caps::default(),
            stop_grace_ms: 2_000,
            ..ContainerSpec::default()
        }],
        ..TaskSpec::default()
    }
}

pub(crate) fn terms_of(uid: &str, wish: &Wish, spec: &TaskSpec) -> Terms {
    Terms {
        workload: Workload {
            uid: uid.to_owned(),
            name: uid.to_owned(),
            kind: "replicas".to_owned(),
            version: wish.version.to_string(),
        },
        tenant: wish.tenant.clone(),
        charge: wish.charge.clone(),
        devices: BTreeMap::new(),
        ports: wish.ports.clone(),
        spec: spec.id(),
        labels: BTreeMap::new(),
        desired: Desired::Running,
        rules: wish.rules.clone(),
        lost_after: wish.lost_after,
        priority: Priority {
            value: wish.priority,
            scope: None,
        },
        may_preempt: wish.may_preempt,
        budget: wish.min_healthy.map(|min_healthy| Budget {
            group: uid.to_owned(),
            min_healthy,
        }),
        files: Vec::new(),
        keep_ended: 0,
    }
}
