//! A simulated node: the real supervisor, a journal in memory and a machine. Performs effects in their order
//! and can be killed between any two of them.

use crate::machine::{Machine, RUNTIME, Temper};
use crate::queue::{AgentEvent, BrokerEvent, EPOCH, Event, Life, Link, Queue};
use plenum_agent::supervisor::{
    Answer, Done, Effect, Input, Memory, NodeView, Now, Record, Supervisor, VerbKind, Work, WorkError,
};
use plenum_contract::dispatcher::{AgentMessage, BrokerMessage};
use plenum_contract::runtime::ContainerKey;
use plenum_model::ids::TaskId;
use plenum_model::node::NodeFacts;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Observations of one message, as the agent's runner sends them.
const REPORT: usize = 1000;

/// A node.
#[derive(Debug)]
pub(crate) struct SimAgent {
    pub(crate) facts: NodeFacts,
    pub(crate) machine: Machine,
    pub(crate) partitioned: bool,
    index: usize,
    temper: Temper,
    journal: Vec<Record>,
    process: Option<Process>,
    /// Effects until the process dies; none: it lives.
    dies_after: Option<u64>,
}

/// What is lost when the agent dies.
#[derive(Debug)]
struct Process {
    life: Life,
    supervisor: Supervisor,
    link: Option<Connection>,
    /// Verbs that were begun: a crash may come before or after their effect on the machine.
    under_way: BTreeMap<(ContainerKey, u8), Work>,
    waiting: BTreeSet<ContainerKey>,
    woken_for: Option<u64>,
}

#[derive(Debug)]
struct Connection {
    link: Link,
    welcomed: bool,
    /// Something on it got lost, so nothing that follows can arrive: a stream has no gaps.
    torn: bool,
}

impl SimAgent {
    pub(crate) fn new(index: usize, facts: NodeFacts, temper: Temper) -> Self {
        Self {
            facts,
            machine: Machine::default(),
            partitioned: false,
            index,
            temper,
            journal: Vec::new(),
            process: None,
            dies_after: None,
        }
    }

    /// The connection it thinks it has.
    pub(crate) fn link(&self) -> Option<Link> {
        self.process.as_ref()?.link.as_ref().map(|c| c.link)
    }

    pub(crate) fn is_up(&self) -> bool {
        self.process.is_some()
    }

    /// From now on everything goes well.
    pub(crate) fn calm(&mut self) {
        self.temper = Temper::default();
        self.dies_after = None;
    }

    /// It dies after so many more effects, and is started again.
    pub(crate) fn doom(&mut self, effects: u64) {
        self.dies_after = Some(effects);
    }

    /// What it knows of a task.
    pub(crate) fn dossier(&self, id: TaskId) -> String {
        let supervisor = self.process.as_ref().map(|p| &p.supervisor);
        let known = supervisor.and_then(|s| s.memory().tasks.get(&id));
        let runs = self.machine.running().any(|key| key.task == id);
        if known.is_none() && !runs {
            return String::new();
        }
        let wake = supervisor.and_then(Supervisor::next_wake);
        format!(
            "\n{}: runs {runs}, next wake {wake:?}, knows {known:#?}",
            self.facts.id
        )
    }

    /// Power is lost.
    pub(crate) fn reboot(&mut self, queue: &mut Queue) {
        self.kill(queue);
        self.machine.reboot();
    }

    /// The process ends now; what it had asked its runtime is done or not.
    pub(crate) fn kill(&mut self, queue: &mut Queue) {
        let Some(process) = self.process.take() else {
            return;
        };
        for ((key, _), work) in process.under_way {
            if queue.rng.per_mille(500) {
                let done = self
                    .machine
                    .perform(&mut queue.rng, Temper::default(), &key, &work.verb);
                if let Some((ms, exit)) = done.ends {
                    queue.after(ms, Event::Agent(self.index, AgentEvent::Ends(key, exit)));
                }
            }
        }
        self.dies_after = None;
        let pause = queue.rng.between(50, 3_000);
        queue.after(pause, Event::Agent(self.index, AgentEvent::Start));
    }

    pub(crate) fn happen(&mut self, queue: &mut Queue, event: AgentEvent) {
        match event {
            AgentEvent::Start => self.start(queue),
            AgentEvent::Dial(life) => self.dial(queue, life),
            AgentEvent::Told(link, message) => self.told(queue, link, message),
            AgentEvent::Cut(link) => self.cut(queue, link),
            AgentEvent::Perform(life, work) => self.perform(queue, life, *work),
            AgentEvent::Ends(key, exit) => {
                if self.machine.end(&key, exit.clone()) {
                    self.ended(queue, key, exit);
                }
            }
            AgentEvent::Wake(life, at) => {
                let due = self
                    .process
                    .as_mut()
                    .filter(|p| p.life == life && p.woken_for == Some(at));
                if let Some(process) = due {
                    process.woken_for = None;
                    self.step(queue, Input::Wake);
                }
            }
            AgentEvent::Beat(link) => self.beat(queue, link),
            AgentEvent::Unanswered(link) => {
                if self.connection(link).is_some_and(|c| !c.welcomed) {
                    self.cut(queue, link);
                }
            }
            AgentEvent::Heal => {
                self.partitioned = false;
                let torn = self
                    .process
                    .as_ref()
                    .and_then(|p| p.link.as_ref())
                    .filter(|c| c.torn);
                if let Some(link) = torn.map(|c| c.link) {
                    self.cut(queue, link);
                }
            }
        }
    }

    fn start(&mut self, queue: &mut Queue) {
        if self.process.is_some() {
            return;
        }
        let mut memory = Memory::default();
        self.journal.iter().for_each(|r| memory.apply(r));
        // The journal is compacted at a start, so that what a fold gives back is tested, too.
        self.journal = memory.records();
        let view = NodeView {
            id: self.facts.id.clone(),
            hostname: self.facts.hostname.clone(),
            address: self.facts.address.clone(),
            sandboxes: PathBuf::from("/sandboxes"),
            files: PathBuf::from("/files"),
            secrets: PathBuf::from("/secrets"),
            volumes: PathBuf::from("/volumes"),
            runtimes: BTreeSet::from([RUNTIME.to_owned()]),
        };
        let life = queue.number();
        self.process = Some(Process {
            life,
            supervisor: Supervisor::new(view, memory),
            link: None,
            under_way: BTreeMap::new(),
            waiting: BTreeSet::new(),
            woken_for: None,
        });
        let found = self.machine.recover();
        self.step(
            queue,
            Input::Recovered {
                runtime: RUNTIME.to_owned(),
                found,
            },
        );
        queue.after(1, Event::Agent(self.index, AgentEvent::Dial(life)));
    }

    fn dial(&mut self, queue: &mut Queue, life: Life) {
        let partitioned = self.partitioned;
        let Some(process) = self
            .process
            .as_mut()
            .filter(|p| p.life == life && p.link.is_none())
        else {
            return;
        };
        if partitioned {
            queue.after(1_000, Event::Agent(self.index, AgentEvent::Dial(life)));
            return;
        }
        let link = queue.number();
        process.link = Some(Connection {
            link,
            welcomed: false,
            torn: false,
        });
        let dialled = BrokerEvent::Dialled {
            agent: self.index,
            link,
            facts: Box::new(self.facts.clone()),
            epoch: process.supervisor.epoch(),
        };
        queue.send(link, true, Event::Broker(dialled));
        queue.after(5_000, Event::Agent(self.index, AgentEvent::Unanswered(link)));
    }

    fn connection(&mut self, link: Link) -> Option<&mut Connection> {
        self.process.as_mut()?.link.as_mut().filter(|c| c.link == link)
    }

    fn told(&mut self, queue: &mut Queue, link: Link, message: BrokerMessage) {
        let partitioned = self.partitioned;
        let Some(connection) = self.connection(link) else {
            return;
        };
        connection.torn |= partitioned;
        if connection.torn {
            return;
        }
        match message {
            BrokerMessage::Welcome { epoch, lease_ms } => {
                connection.welcomed = true;
                self.step(queue, Input::Attached(epoch));
                queue.after(lease_ms / 3, Event::Agent(self.index, AgentEvent::Beat(link)));
            }
            BrokerMessage::Assignments(batch) => self.step(queue, Input::Assignments(batch)),
            BrokerMessage::Acked(seq) => self.step(queue, Input::Acked(seq)),
            BrokerMessage::OpenStream { .. } | BrokerMessage::OpenNode { .. } => {}
        }
    }

    fn cut(&mut self, queue: &mut Queue, link: Link) {
        if self.connection(link).is_none() {
            return;
        }
        let Some(process) = self.process.as_mut() else {
            return;
        };
        process.link = None;
        let life = process.life;
        let pause = queue.rng.between(10, 2_000);
        queue.after(pause, Event::Agent(self.index, AgentEvent::Dial(life)));
        self.step(queue, Input::Detached);
    }

    fn beat(&mut self, queue: &mut Queue, link: Link) {
        let partitioned = self.partitioned;
        let Some(connection) = self.connection(link) else {
            return;
        };
        connection.torn |= partitioned;
        if connection.torn {
            // Nothing comes through: the system gives the connection up.
            self.cut(queue, link);
            return;
        }
        let beat = BrokerEvent::Told(self.index, link, AgentMessage::Heartbeat);
        queue.send(link, true, Event::Broker(beat));
        let pause = queue.config.lease_ms / 3;
        queue.after(pause, Event::Agent(self.index, AgentEvent::Beat(link)));
    }

    fn perform(&mut self, queue: &mut Queue, life: Life, work: Work) {
        let key = work.key.clone();
        let verb = work.verb.kind();
        let Some(process) = self.process.as_mut().filter(|p| p.life == life) else {
            return;
        };
        if process.under_way.remove(&(key.clone(), order(verb))).is_none() {
            // It was cancelled.
            return;
        }
        let done = self
            .machine
            .perform(&mut queue.rng, self.temper, &key, &work.verb);
        if let Some((ms, exit)) = done.ends {
            queue.after(ms, Event::Agent(self.index, AgentEvent::Ends(key.clone(), exit)));
        }
        match done.answer {
            Some(result) => self.step(queue, Input::Done(Done { key, verb, result })),
            None => {
                process.waiting.insert(key);
            }
        }
    }

    fn ended(&mut self, queue: &mut Queue, key: ContainerKey, exit: plenum_model::task::Exit) {
        let waited = self.process.as_mut().is_some_and(|p| p.waiting.remove(&key));
        if waited {
            let result = Ok(Answer::Exit(exit));
            self.step(
                queue,
                Input::Done(Done {
                    key,
                    verb: VerbKind::Wait,
                    result,
                }),
            );
        }
    }

    /// One step of the supervisor, its effects in order, then what it has to report.
    fn step(&mut self, queue: &mut Queue, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let Some(process) = self.process.as_mut() else {
                return;
            };
            let now = Now {
                tick: queue.now,
                unix: EPOCH + queue.now,
            };
            for effect in process.supervisor.step(now, input) {
                if let Some(left) = self.dies_after.as_mut() {
                    if *left == 0 {
                        self.kill(queue);
                        return;
                    }
                    *left -= 1;
                }
                inputs.extend(self.effect(queue, effect));
            }
        }
        self.report(queue);
    }

    fn effect(&mut self, queue: &mut Queue, effect: Effect) -> Vec<Input> {
        let Some(process) = self.process.as_mut() else {
            return Vec::new();
        };
        match effect {
            Effect::Persist(record) => self.journal.push(record),
            Effect::Do(work) => {
                let ms = match work.verb.kind() {
                    VerbKind::Prepare => queue.rng.between(20, 400),
                    VerbKind::Wait => 0,
                    _ => queue.rng.between(1, 20),
                };
                let slot = (work.key.clone(), order(work.verb.kind()));
                process.under_way.insert(slot, work.clone());
                let event = AgentEvent::Perform(process.life, Box::new(work));
                queue.after(ms, Event::Agent(self.index, event));
            }
            Effect::Cancel(task) => {
                let making = [VerbKind::Fetch, VerbKind::Prepare].map(order);
                let given_up = process
                    .under_way
                    .extract_if(.., |(key, verb), _| key.task == task && making.contains(verb));
                let done = |((key, _), work): ((ContainerKey, u8), Work)| {
                    let (verb, result) = (work.verb.kind(), Err(WorkError::Cancelled));
                    Input::Done(Done { key, verb, result })
                };
                return given_up.map(done).collect();
            }
            Effect::Refused(_) => {}
            Effect::Reattach(_) => {
                if let Some(link) = self.link() {
                    queue.after(0, Event::Agent(self.index, AgentEvent::Cut(link)));
                }
            }
        }
        Vec::new()
    }

    fn report(&mut self, queue: &mut Queue) {
        let partitioned = self.partitioned;
        let Some(process) = self.process.as_mut() else {
            return;
        };
        if let Some(at) = process.supervisor.next_wake()
            && process.woken_for.is_none_or(|w| w > at)
        {
            process.woken_for = Some(at);
            let event = AgentEvent::Wake(process.life, at);
            queue.at(at, Event::Agent(self.index, event));
        }
        let Some(connection) = process.link.as_mut() else {
            return;
        };
        let link = connection.link;
        while !process.supervisor.outbox_is_empty() {
            let seen = process.supervisor.outbox(REPORT);
            connection.torn |= partitioned;
            if !connection.torn {
                let told = BrokerEvent::Told(self.index, link, AgentMessage::Observed(seen));
                queue.send(link, true, Event::Broker(told));
            }
        }
    }
}

/// Verbs as numbers, to keep those under way apart.
fn order(verb: VerbKind) -> u8 {
    match verb {
        VerbKind::MakeSandbox => 0,
        VerbKind::Fetch => 1,
        VerbKind::Prepare => 2,
        VerbKind::CheckPorts => 3,
        VerbKind::Start => 4,
        VerbKind::Wait => 5,
        VerbKind::Stop => 6,
        VerbKind::Kill => 7,
        VerbKind::Remove => 8,
        VerbKind::RemoveFiles => 9,
        VerbKind::RemoveSandbox => 10,
        VerbKind::MakeVolumes => 11,
        VerbKind::MakeNetwork => 12,
        VerbKind::Hook => 13,
        VerbKind::RemoveVolumes => 14,
    }
}
