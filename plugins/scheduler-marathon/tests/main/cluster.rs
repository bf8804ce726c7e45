//! The whole cluster in one process, with the real planner and desk: the broker's core and supervised nodes in
//! simulated time. Invariants are checked at each step; once it is calm, what runs is what users want.

use crate::state::MemoryState;
use plenum_contract::broker::Refusal;
use plenum_model::ids::{SchedulerId, SessionEpoch, SpecId};
use plenum_model::spec::TaskSpec;
use plenum_sdk::desk::SessionState;
use plenum_sdk::driver::{DriverState, Waker};
use plenum_sdk::observed::Observed;
use plenum_sdk::plan::Plan;
use plenum_sdk::planner::{Change, Planner};
use plenum_sdk::time::{Clock, Moment};
use plenum_testkit::Factory;
use plenum_testkit::machine::{RUNTIME, Temper};
use plenum_testkit::sim::Sim;
use scheduler_marathon::canonical::canonical;
use scheduler_marathon::change::{Force, Limits, Wish};
use scheduler_marathon::config::MarathonConfig;
use scheduler_marathon::desired::Desired;
use scheduler_marathon::desk::{Desk, Done, desk};
use scheduler_marathon::events::Hub;
use scheduler_marathon::path::AppId;
use scheduler_marathon::planner::MarathonPlanner;
use scheduler_marathon::planner::launches::Launches;
use scheduler_marathon::refusal::Refusal as Refused;
use scheduler_marathon::regroup;
use scheduler_marathon::request::app::{Form, parse_body, read_app};
use scheduler_marathon::request::group::read_group;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The planner, with its process runtime exchanged for the simulated one of the cluster.
struct OnSimulated {
    planner: MarathonPlanner,
    /// One exchanged spec for all tasks of a version, as the planner has one.
    specs: BTreeMap<SpecId, Arc<TaskSpec>>,
}

impl Planner for OnSimulated {
    fn plan(&mut self, now: Moment, observed: &Observed) -> Plan {
        let mut plan = self.planner.plan(now, observed);
        for claim in &mut plan.claims {
            let exchanged = self.specs.entry(claim.terms.spec).or_insert_with(|| {
                let mut spec = claim.spec.as_ref().clone();
                spec.containers
                    .iter_mut()
                    .for_each(|c| c.runtime = RUNTIME.to_owned());
                Arc::new(spec)
            });
            claim.spec = Arc::clone(exchanged);
            Arc::make_mut(&mut claim.terms).spec = exchanged.id();
        }
        plan
    }

    fn noticed(&mut self, now: Moment, changes: &[Change]) {
        self.planner.noticed(now, changes);
    }

    fn refused(&mut self, now: Moment, refusals: &[Refusal]) {
        self.planner.refused(now, refusals);
    }
}

/// A cluster with a Marathon whose users are heard between two stretches of simulated time.
pub(crate) struct Cluster {
    pub(crate) sim: Sim,
    pub(crate) desk: Desk,
    users: Runtime,
    stop: CancellationToken,
    _session: watch::Sender<DriverState>,
}

impl Cluster {
    pub(crate) fn new(seed: u64, nodes: usize, temper: Temper) -> Self {
        let users = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let config = MarathonConfig {
            node_timeout_seconds: 20,
            ..MarathonConfig::default()
        };
        let limits = Limits::of(&config);
        let hub = Hub::default();
        // Simulated time has begun long ago: what users wish is of its past, never of its future.
        let clock = Clock::starting_at(Sim::seeded(seed).moment());
        let (desk, runner, clerk) = desk(Arc::new(MemoryState::default()), limits, hub.clone(), clock);
        // The desk has one owner in the simulation, so its session never changes; the cluster's sessions do.
        let (session, state) = watch::channel(DriverState::Live(SessionEpoch(1)));
        let stop = CancellationToken::new();
        users.spawn(runner.run(clerk, Waker::default(), state.clone(), stop.clone()));
        users.block_on(desk.until_read()).unwrap();
        let shared = Arc::new(SessionState::new());
        shared.get_or_init(|| state);
        let its_desk = desk.clone();
        let factory: Factory = Box::new(move || {
            let launches = Arc::new(Launches::default());
            let (desk, config, hub) = (its_desk.clone(), config.clone(), hub.clone());
            let planner = MarathonPlanner::new(desk, config, launches, hub, Arc::clone(&shared), Moment(0));
            Box::new(OnSimulated {
                planner,
                specs: BTreeMap::new(),
            })
        });
        let name = SchedulerId::new("marathon").unwrap();
        let sim = Sim::seeded(seed).temper(temper).nodes(nodes);
        Self {
            sim: sim.scheduler(name, factory),
            desk,
            users,
            stop,
            _session: session,
        }
    }

    /// A user changes what is wanted, by force.
    pub(crate) fn change(
        &mut self,
        decide: impl FnOnce(&Desired) -> Result<Vec<(AppId, Wish)>, Refused> + Send + 'static,
    ) -> Result<Done, Refused> {
        let done = self
            .users
            .block_on(self.desk.change(Force::Yes, Box::new(decide)));
        self.sim.wake(0);
        done
    }

    pub(crate) fn wish(&mut self, id: &str, wish: Wish) {
        let id = AppId::from_root(id);
        self.change(move |_| Ok(vec![(id, wish)])).unwrap();
    }

    pub(crate) fn app(&mut self, id: &str, version: u32, instances: u32) {
        let text = format!(
            r#"{{"id":"{id}","cmd":"serve {version}","cpus":0.1,"mem":16,"instances":{instances},
                "upgradeStrategy":{{"minimumHealthCapacity":0.5,"maximumOverCapacity":0.5}}}}"#
        );
        self.app_as(&text);
    }

    pub(crate) fn app_as(&mut self, text: &str) {
        let body = parse_body(text.as_bytes()).unwrap();
        let app = canonical(read_app(&body, Form::Whole, Default::default()).unwrap()).unwrap();
        self.wish(&app.id.to_string(), Wish::Become(Box::new(app)));
    }

    /// What `PUT /v2/groups/PATH` does.
    pub(crate) fn group(&mut self, path: &str, text: &str) -> Result<Done, Refused> {
        let body = parse_body(text.as_bytes()).unwrap();
        let fields = read_group(&body, Default::default()).unwrap();
        let wanted = regroup::wanted(&AppId::from_root(path), fields).unwrap();
        self.change(move |desired| regroup::wishes(desired, wanted))
    }

    /// What `DELETE /v2/groups/PATH` does.
    pub(crate) fn remove_group(&mut self, path: &str) -> Result<Done, Refused> {
        let id = AppId::from_root(path);
        self.change(move |desired| regroup::removed(desired, &id))
    }

    /// How many containers of each app run, on whatever machine.
    pub(crate) fn running(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        let Some(observed) = self.sim.observed(0) else {
            return counts;
        };
        for (_, container) in self.sim.running() {
            if let Some(task) = observed.task(container.task) {
                *counts.entry(task.terms.workload.name.clone()).or_default() += 1;
            }
        }
        counts
    }

    /// Simulated time passes, then the desk takes in what the planner noted.
    pub(crate) fn pass(&mut self, ms: u64) {
        self.sim.run_for(ms);
        self.users.block_on(async {
            for _ in 0..16 {
                tokio::task::yield_now().await;
            }
        });
        self.sim.wake(0);
    }

    fn wanted(&self) -> usize {
        self.desk
            .desired()
            .apps
            .values()
            .map(|r| r.app.instances as usize)
            .sum()
    }

    fn is_as_wanted(&self) -> bool {
        self.sim.is_whole()
            && self.desk.desired().deployments.is_empty()
            && self.sim.running().count() == self.wanted()
    }

    pub(crate) fn settle(&mut self, seed: u64) {
        self.sim.calm();
        let settled = (0..1_200).any(|_| {
            self.pass(500);
            self.is_as_wanted()
        });
        self.sim.check_copies();
        assert!(
            self.sim.violations().is_empty(),
            "seed {seed}: {:#?}",
            self.sim.violations()
        );
        let (running, wanted) = (self.sim.running().count(), self.wanted());
        let open = &self.desk.desired().deployments;
        assert!(
            settled,
            "seed {seed}: {running} of {wanted} run after ten calm minutes, open: {open:#?}"
        );
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
