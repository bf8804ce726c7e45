//! The simulation: everything on one queue. Made by [`Sim::seeded`], grown by nodes and schedulers, run until a
//! condition holds; the checker looks on at each step.

use crate::agent::SimAgent;
use crate::broker::{Death, SimBroker};
use crate::checker::Checker;
use crate::machine::{RUNTIME, Temper};
use crate::queue::{AgentEvent, BrokerEvent, Event, Queue, SchedulerEvent};
use crate::scheduler::{Factory, Names, SimScheduler};
use plenum_broker::config::CoreConfig;
use plenum_contract::broker::{API_VERSIONS, Hello};
use plenum_contract::runtime::ContainerKey;
use plenum_model::amounts::Amounts;
use plenum_model::ids::{NodeId, SchedulerId, TaskId};
use plenum_model::node::{NodeFacts, PortRange, RuntimeFacts, capability};
use plenum_model::tenant::Tenant;
use plenum_sdk::observed::Observed;
use plenum_sdk::time::Moment;
use std::collections::{BTreeMap, BTreeSet};

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// An agent's connection is cut.
    CutAgent(usize),
    /// An agent is killed after so many more effects, and started again.
    KillAgent(usize, u64),
    /// A machine loses power.
    Reboot(usize),
    /// Nothing gets through to or from a node for so many milliseconds.
    Partition(usize, u64),
    /// A scheduler's connection is cut.
    CutScheduler(usize),
    /// A scheduler is killed and started again.
    KillScheduler(usize),
    /// The broker is killed before its next commit is durable.
    KillBrokerBeforeCommit,
    /// The broker is killed after its next commit is durable, before anybody is told.
    KillBrokerAfterCommit,
    /// The broker is killed now.
    KillBroker,
    /// The broker's disk says that the next commit is durable, which it is not; then the broker is killed. This
    /// breaks the promise on which everything stands: it shows that the checker sees.
    LyingDisk,
}

/// A cluster.
#[derive(Debug)]
pub struct Sim {
    queue: Queue,
    broker: SimBroker,
    agents: Vec<SimAgent>,
    schedulers: Vec<SimScheduler>,
    names: Names,
    checker: Checker,
    by_name: BTreeMap<NodeId, usize>,
    temper: Temper,
}

impl Sim {
    /// An empty cluster whose chance comes from this seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        let mut queue = Queue::new(seed, CoreConfig::default());
        queue.after(0, Event::Broker(BrokerEvent::Start));
        Self {
            queue,
            broker: SimBroker::default(),
            agents: Vec::new(),
            schedulers: Vec::new(),
            names: Names::default(),
            checker: Checker::default(),
            by_name: BTreeMap::new(),
            temper: Temper::default(),
        }
    }

    /// How the runtimes of nodes that are added from now on behave.
    #[must_use]
    pub fn temper(mut self, temper: Temper) -> Self {
        self.temper = temper;
        self
    }

    /// Adds so many nodes of 4 cores, 8 GiB and 100 slots.
    #[must_use]
    pub fn nodes(self, count: usize) -> Self {
        let capacity = Amounts {
            slots: 100,
            ..Amounts::task(4_000, 8 << 30, 100 << 30)
        };
        (0..count).fold(self, |sim, _| sim.node(capacity.clone()))
    }

    /// Adds a node.
    ///
    /// # Panics
    /// Never: its name is made here.
    #[must_use]
    pub fn node(mut self, capacity: Amounts) -> Self {
        let index = self.agents.len();
        let id = NodeId::new(format!("n{index:04}")).expect("a letter and digits are a name");
        self.by_name.insert(id.clone(), index);
        let facts = facts(id, index, capacity);
        self.agents.push(SimAgent::new(index, facts, self.temper));
        let pause = self.queue.rng.between(0, 500);
        self.queue.after(pause, Event::Agent(index, AgentEvent::Start));
        self
    }

    /// Creates or replaces a tenant, once the broker is up.
    pub fn tenant(&mut self, tenant: Tenant) {
        self.queue.after(1, Event::Broker(BrokerEvent::Tenant(tenant)));
    }

    /// Adds a scheduler whose planner this makes.
    #[must_use]
    pub fn scheduler(mut self, id: SchedulerId, factory: Factory) -> Self {
        let index = self.schedulers.len();
        let hello = Hello {
            scheduler: id,
            kind: "simulated".to_owned(),
            api: API_VERSIONS,
            watch_nodes: false,
        };
        self.names.0.push(hello.clone());
        let mut scheduler = SimScheduler::new(index, hello, factory);
        scheduler.start(&mut self.queue);
        self.schedulers.push(scheduler);
        self
    }

    /// Milliseconds since the beginning.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.queue.now
    }

    /// The same as planners know it.
    #[must_use]
    pub fn moment(&self) -> Moment {
        Moment(crate::queue::EPOCH + self.queue.now)
    }

    /// How many nodes there are.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.agents.len()
    }

    /// What a scheduler sees, while it lives.
    #[must_use]
    pub fn observed(&self, scheduler: usize) -> Option<&Observed> {
        self.schedulers.get(scheduler)?.observed()
    }

    /// Desired state of a scheduler has changed.
    pub fn wake(&mut self, scheduler: usize) {
        self.queue
            .after(0, Event::Scheduler(scheduler, SchedulerEvent::Wake));
    }

    /// Every container that runs, by node.
    pub fn running(&self) -> impl Iterator<Item = (usize, &ContainerKey)> {
        let machines = self.agents.iter().enumerate();
        machines.flat_map(|(index, a)| a.machine.running().map(move |key| (index, key)))
    }

    /// What did not hold so far.
    #[must_use]
    pub fn violations(&self) -> &[String] {
        self.checker.violations()
    }

    /// Runs for so many milliseconds.
    pub fn run_for(&mut self, ms: u64) {
        let end = self.queue.now + ms;
        while self.next(end) {}
    }

    /// Runs until this holds, at most so many milliseconds. Says whether it does.
    pub fn until(&mut self, ms: u64, mut holds: impl FnMut(&Self) -> bool) -> bool {
        let end = self.queue.now + ms;
        let mut look = self.queue.now;
        loop {
            if self.queue.now >= look {
                if holds(self) {
                    return true;
                }
                look = self.queue.now + 100;
            }
            if !self.next(end) {
                return holds(self);
            }
        }
    }

    /// The next thing happens. Says whether anything did, before `end`.
    fn next(&mut self, end: u64) -> bool {
        let Some(event) = self.queue.next(end) else {
            return false;
        };
        match event {
            Event::Agent(index, event) => {
                let starts = matches!(event, AgentEvent::Perform(..));
                if let Some(agent) = self.agents.get_mut(index) {
                    agent.happen(&mut self.queue, event);
                }
                if starts {
                    self.check_machine(index);
                }
            }
            Event::Broker(event) => {
                self.broker
                    .happen(&mut self.queue, &self.names, &mut self.checker, event);
            }
            Event::Scheduler(index, event) => {
                if let Some(scheduler) = self.schedulers.get_mut(index) {
                    scheduler.happen(&mut self.queue, &mut self.checker, event);
                }
            }
        }
        true
    }

    fn check_machine(&mut self, index: usize) {
        let now = self.queue.now;
        let Some(agent) = self.agents.get(index) else {
            return;
        };
        let mut seen: BTreeSet<(TaskId, &str)> = BTreeSet::new();
        let double = agent
            .machine
            .running()
            .find(|key| !seen.insert((key.task, key.container.as_str())));
        if let Some(key) = double {
            let what = format!("two copies of {} run on {}", key.task, agent.facts.id);
            self.checker.violated(now, what);
        }
        if let Some((port, task)) = agent.machine.doubly_held_port() {
            let what = format!(
                "port {port} of {} is published twice, by {task} too",
                agent.facts.id
            );
            self.checker.violated(now, what);
        }
    }

    /// Checks what only a look at all machines tells: no task runs on two of them.
    pub fn check_copies(&mut self) {
        let mut nodes: BTreeMap<TaskId, usize> = BTreeMap::new();
        let mut doubles = Vec::new();
        for (index, key) in self.running() {
            if nodes.insert(key.task, index).is_some_and(|other| other != index) {
                doubles.push(key.task);
            }
        }
        for task in doubles {
            self.checker
                .violated(self.queue.now, format!("task {task} runs on two nodes"));
        }
    }

    /// Something goes wrong. What cannot (it is down already) does not.
    pub fn fault(&mut self, fault: Fault) {
        let queue = &mut self.queue;
        match fault {
            Fault::CutAgent(n) => {
                if let Some(link) = self.agents.get(n).and_then(SimAgent::link) {
                    queue.after(0, Event::Agent(n, AgentEvent::Cut(link)));
                }
            }
            Fault::KillAgent(n, effects) => {
                if let Some(agent) = self.agents.get_mut(n).filter(|a| a.is_up()) {
                    agent.doom(effects);
                }
            }
            Fault::Reboot(n) => {
                if let Some(agent) = self.agents.get_mut(n) {
                    agent.reboot(queue);
                }
            }
            Fault::Partition(n, ms) => {
                if let Some(agent) = self.agents.get_mut(n).filter(|a| !a.partitioned) {
                    agent.partitioned = true;
                    queue.after(ms, Event::Agent(n, AgentEvent::Heal));
                }
            }
            Fault::CutScheduler(n) => {
                if let Some(scheduler) = self.schedulers.get_mut(n) {
                    scheduler.hang_up(queue);
                }
            }
            Fault::KillScheduler(n) => {
                if let Some(scheduler) = self.schedulers.get_mut(n) {
                    scheduler.kill(queue);
                }
            }
            Fault::KillBrokerBeforeCommit => self.broker.doom(Death::BeforeCommit),
            Fault::KillBrokerAfterCommit => self.broker.doom(Death::AfterCommit),
            Fault::KillBroker => self.broker.kill(queue),
            Fault::LyingDisk => self.broker.doom(Death::Forgetful),
        }
    }

    /// A fault by chance, of the kinds and in the measure of a bad day.
    pub fn misfortune(&mut self) -> Fault {
        let nodes = self.agents.len() as u64;
        let schedulers = self.schedulers.len() as u64;
        let rng = &mut self.queue.rng;
        let node = usize::try_from(rng.below(nodes)).unwrap_or(0);
        let scheduler = usize::try_from(rng.below(schedulers)).unwrap_or(0);
        let fault = match rng.below(100) {
            0..25 => Fault::CutAgent(node),
            25..55 => Fault::KillAgent(node, rng.below(30)),
            55..60 => Fault::Reboot(node),
            60..75 => Fault::Partition(node, rng.between(500, 60_000)),
            75..82 => Fault::CutScheduler(scheduler),
            82..89 => Fault::KillScheduler(scheduler),
            89..93 => Fault::KillBrokerBeforeCommit,
            93..97 => Fault::KillBrokerAfterCommit,
            _ => Fault::KillBroker,
        };
        self.fault(fault);
        fault
    }

    /// From now on nothing goes wrong any more; what is down comes back.
    pub fn calm(&mut self) {
        self.broker.calm();
        self.agents.iter_mut().for_each(SimAgent::calm);
    }

    /// Whether every process is up and every node reachable.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let connected = |a: &SimAgent| !a.partitioned && a.link().is_some();
        self.broker.is_up()
            && self.agents.iter().all(connected)
            && self
                .schedulers
                .iter()
                .all(|s| s.observed().is_some_and(Observed::is_synced))
    }

    /// All that anybody knows of a task, for the message of a test that failed.
    #[must_use]
    pub fn dossier(&self, id: TaskId) -> String {
        let known = self.broker.view().and_then(|v| v.tasks.get(&id)).map(|t| &t.task);
        let mut out = format!("broker: {known:#?}");
        for scheduler in &self.schedulers {
            if let Some(task) = scheduler.observed().and_then(|o| o.task(id)) {
                out += &format!(
                    "\nscheduler: released {} {:?}",
                    task.released, task.status.progress
                );
            }
        }
        for agent in &self.agents {
            out += &agent.dossier(id);
        }
        out
    }

    /// Events so far.
    #[must_use]
    pub fn event_count(&self) -> u64 {
        self.queue.happened
    }

    /// How many tasks the broker knows; none while it is down.
    #[must_use]
    pub fn task_count(&self) -> Option<usize> {
        self.broker.view().map(|v| v.tasks.len())
    }
}

fn facts(id: NodeId, index: usize, capacity: Amounts) -> NodeFacts {
    let capabilities = [
        capability::MEMORY_LIMIT,
        capability::CPU_LIMIT,
        capability::PIDS_LIMIT,
        capability::PID_NAMESPACE,
        capability::USER,
        capability::BRIDGE,
        capability::IMAGES,
        capability::SHARED_ADDRESS,
        capability::CONTAINERS,
    ];
    let runtime = RuntimeFacts {
        version: "1".to_owned(),
        capabilities: capabilities.into_iter().map(str::to_owned).collect(),
    };
    NodeFacts {
        hostname: id.to_string(),
        address: format!("10.{}.{}.{}", index >> 16 & 255, index >> 8 & 255, index & 255),
        capacity,
        system: Amounts::default(),
        devices: BTreeMap::new(),
        attributes: BTreeMap::from([("rack".to_owned(), format!("r{}", index % 8))]),
        runtimes: BTreeMap::from([(RUNTIME.to_owned(), runtime)]),
        ports: PortRange {
            low: 31_000,
            high: 31_200,
        },
        agent_version: "simulated".to_owned(),
        taints: Vec::new(),
        id,
    }
}
