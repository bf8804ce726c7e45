//! The whole cluster in one process, with the real planner and desk: the broker's core, a hundred supervised
//! nodes and bad days by seed. Invariants are checked at each step; once it is calm, what runs is what users want.

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
use plenum_testkit::rng::Rng;
use plenum_testkit::sim::Sim;
use scheduler_marathon::canonical::canonical;
use scheduler_marathon::change::{Force, Limits, Wish};
use scheduler_marathon::config::MarathonConfig;
use scheduler_marathon::desk::{Desk, desk};
use scheduler_marathon::events::Hub;
use scheduler_marathon::path::AppId;
use scheduler_marathon::planner::MarathonPlanner;
use scheduler_marathon::planner::launches::Launches;
use scheduler_marathon::request::app::{Form, parse_body, read_app};
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
struct Cluster {
    sim: Sim,
    desk: Desk,
    users: Runtime,
    stop: CancellationToken,
    _session: watch::Sender<DriverState>,
}

impl Cluster {
    fn new(seed: u64, nodes: usize) -> Self {
        let users = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let config = MarathonConfig {
            node_timeout_seconds: 20,
            ..MarathonConfig::default()
        };
        let limits = Limits {
            service_ports: config.service_ports(),
            deployments: config.max_running_deployments,
            versions: config.max_versions,
        };
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
        let sim = Sim::seeded(seed)
            .temper(Temper {
                flaky: 20,
                ..Temper::default()
            })
            .nodes(nodes);
        Self {
            sim: sim.scheduler(name, factory),
            desk,
            users,
            stop,
            _session: session,
        }
    }

    fn wish(&mut self, id: &str, wish: Wish) {
        let id = AppId::from_root(id);
        let wishes = vec![(id, wish)];
        let decide = Box::new(move |_: &_| Ok(wishes));
        self.users.block_on(self.desk.change(Force::Yes, decide)).unwrap();
        self.sim.wake(0);
    }

    fn app(&mut self, id: &str, version: u32, instances: u32) {
        let text = format!(
            r#"{{"id":"{id}","cmd":"serve {version}","cpus":0.1,"mem":16,"instances":{instances},
                "upgradeStrategy":{{"minimumHealthCapacity":0.5,"maximumOverCapacity":0.5}}}}"#
        );
        let fields = read_app(
            &parse_body(text.as_bytes()).unwrap(),
            Form::Whole,
            Default::default(),
        )
        .unwrap();
        self.wish(id, Wish::Become(Box::new(canonical(fields).unwrap())));
    }

    /// Simulated time passes, then the desk takes in what the planner noted.
    fn pass(&mut self, ms: u64) {
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

    fn settle(&mut self, seed: u64) {
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

fn storm(seed: u64, nodes: usize, apps: u32, faults: u64) {
    let mut cluster = Cluster::new(seed, nodes);
    let mut chance = Rng::new(seed);
    for i in 0..apps {
        cluster.app(&format!("/a{i}"), 1, 10);
    }
    for _ in 0..faults {
        let pause = chance.between(100, 2_000);
        cluster.pass(pause);
        cluster.sim.misfortune();
        if chance.below(5) == 0 {
            let id = format!("/a{}", chance.below(u64::from(apps)));
            let version = u32::try_from(chance.below(3)).unwrap();
            let instances = u32::try_from(chance.between(1, 15)).unwrap();
            cluster.app(&id, version, instances);
        }
    }
    cluster.settle(seed);
    for i in 0..apps {
        cluster.wish(&format!("/a{i}"), Wish::Gone);
    }
    cluster.settle(seed);
    cluster.pass(5_000);
    assert_eq!(
        cluster.sim.task_count(),
        Some(0),
        "seed {seed}: nothing is left of apps that are gone"
    );
}

#[test]
fn apps_are_as_wanted_after_small_storms() {
    (1..=20).for_each(|seed| storm(seed, 5, 3, 25));
}

#[test]
fn a_hundred_nodes_are_as_wanted_after_a_bad_day() {
    storm(42, 100, 12, 120);
}
