//! The one queue of a simulation: what will happen, in the order of its time and, at one time, of its coming.

use crate::rng::Rng;
use plenum_broker::config::CoreConfig;
use plenum_contract::broker::{Amend, WatchBatch};
use plenum_contract::dispatcher::{AgentMessage, BrokerMessage};
use plenum_contract::runtime::ContainerKey;
use plenum_model::claim::ClaimBatch;
use plenum_model::ids::{Cursor, LeaderEpoch, TaskId};
use plenum_model::node::NodeFacts;
use plenum_model::task::Exit;
use plenum_model::tenant::Tenant;
use plenum_sdk::calls::Reply;
use std::collections::BTreeMap;

/// A connection; the number tells it from those before.
pub(crate) type Link = u64;

/// A process; the number tells it from those before.
pub(crate) type Life = u64;

/// What happens.
#[derive(Debug)]
pub(crate) enum Event {
    /// At an agent or its machine.
    Agent(usize, AgentEvent),
    /// At the broker.
    Broker(BrokerEvent),
    /// At a scheduler.
    Scheduler(usize, SchedulerEvent),
}

/// What happens at an agent or its machine.
#[derive(Debug)]
pub(crate) enum AgentEvent {
    /// The process starts.
    Start,
    /// It dials the broker.
    Dial(Life),
    /// The broker says something.
    Told(Link, BrokerMessage),
    /// Its connection is gone.
    Cut(Link),
    /// A piece of work is due to be done.
    Perform(Life, Box<plenum_agent::supervisor::Work>),
    /// A container ends.
    Ends(ContainerKey, Exit),
    /// The supervisor asked for this.
    Wake(Life, u64),
    /// Time for a sign of life.
    Beat(Link),
    /// Time for the broker to have answered.
    Unanswered(Link),
    /// The partition that began with this number is over.
    Heal,
}

/// What happens at the broker.
#[derive(Debug)]
pub(crate) enum BrokerEvent {
    /// The process starts.
    Start,
    /// What was decided is durable.
    Commit(Life),
    /// Time passes.
    Tick(Life),
    /// Somebody sets a tenant.
    Tenant(Tenant),
    /// An agent dials.
    Dialled {
        agent: usize,
        link: Link,
        facts: Box<NodeFacts>,
        epoch: LeaderEpoch,
    },
    /// An agent says something.
    Told(usize, Link, AgentMessage),
    /// A scheduler dials.
    Opened { scheduler: usize, link: Link },
    /// A scheduler calls.
    Called {
        scheduler: usize,
        link: Link,
        request: Request,
    },
    /// A scheduler's connection is gone.
    Hung { scheduler: usize, link: Link },
}

/// A call of a session.
#[derive(Debug)]
pub(crate) enum Request {
    Amend(Vec<Amend>),
    Claim(ClaimBatch),
    Release(Vec<TaskId>, Option<u64>),
    Forget(Vec<TaskId>),
    Ack(Cursor),
}

/// What happens at a scheduler.
#[derive(Debug)]
pub(crate) enum SchedulerEvent {
    /// The process starts, or dials again.
    Dial(Life),
    /// The session is open.
    Opened(Link),
    /// News.
    News(Link, WatchBatch),
    /// The answer to the call under way.
    Reply(Link, Result<Reply, String>),
    /// The connection is gone.
    Cut(Link),
    /// The planner asked for this, or desired state has changed.
    Wake,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) now: u64,
    pub(crate) rng: Rng,
    pub(crate) config: CoreConfig,
    pub(crate) happened: u64,
    count: u64,
    events: BTreeMap<(u64, u64), Event>,
    /// When the last message of a direction of a link arrives: what was sent first arrives first.
    arrivals: BTreeMap<(Link, bool), u64>,
}

impl Queue {
    pub(crate) fn new(seed: u64, config: CoreConfig) -> Self {
        Self {
            now: 0,
            rng: Rng::new(seed),
            config,
            happened: 0,
            count: 0,
            events: BTreeMap::new(),
            arrivals: BTreeMap::new(),
        }
    }

    /// A number that was never used.
    pub(crate) fn number(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    /// In so many milliseconds this happens.
    pub(crate) fn after(&mut self, ms: u64, event: Event) {
        self.at(self.now.saturating_add(ms), event);
    }

    /// At this time, or now if it has passed.
    pub(crate) fn at(&mut self, at: u64, event: Event) {
        let number = self.number();
        self.events.insert((at.max(self.now), number), event);
    }

    /// Over a link, in order, after a latency.
    pub(crate) fn send(&mut self, link: Link, up: bool, event: Event) {
        let latency = self.rng.between(1, 4);
        let arrival = self.arrivals.entry((link, up)).or_default();
        *arrival = (*arrival).max(self.now + latency);
        let at = *arrival;
        self.at(at, event);
    }

    /// The next thing that happens, if it does before `end`; the time moves on.
    pub(crate) fn next(&mut self, end: u64) -> Option<Event> {
        let (key, _) = self.events.first_key_value()?;
        if key.0 > end {
            self.now = end;
            return None;
        }
        let ((at, _), event) = self.events.pop_first()?;
        self.now = at;
        self.happened += 1;
        Some(event)
    }
}

/// Unix milliseconds of the simulation's beginning: far from zero, so that nothing mistakes it for "never".
pub(crate) const EPOCH: u64 = 1_700_000_000_000;
