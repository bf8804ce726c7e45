//! A simulated scheduler process: a planner made by its factory, the real mirror, and the driver's own way from
//! plans to calls. A planner's memory dies with the process; what its users want does not.

use crate::checker::Checker;
use crate::queue::{BrokerEvent, EPOCH, Event, Life, Link, Queue, Request, SchedulerEvent};
use plenum_contract::broker::{Hello, WatchBatch};
use plenum_model::ids::SpecId;
use plenum_sdk::calls::{Call, Reply, calls, claim_batch, settle};
use plenum_sdk::observed::Observed;
use plenum_sdk::planner::Planner;
use plenum_sdk::time::Moment;
use std::collections::{BTreeSet, VecDeque};
use std::fmt;

/// Makes the planner of a scheduler, again after each crash.
pub type Factory = Box<dyn Fn() -> Box<dyn Planner>>;

/// Tasks of one call.
const BATCH: usize = 200;
/// News that come together are planned for once.
const SETTLE: u64 = 5;
/// Refused steps are tried again.
const RETRY_REFUSED: u64 = 2_000;

/// Who the schedulers are, by index.
#[derive(Debug, Default)]
pub(crate) struct Names(pub(crate) Vec<Hello>);

impl Names {
    pub(crate) fn hello(&self, index: usize) -> Hello {
        self.0[index].clone()
    }
}

/// See the module.
pub(crate) struct SimScheduler {
    index: usize,
    hello: Hello,
    factory: Factory,
    process: Option<Process>,
}

struct Process {
    life: Life,
    planner: Box<dyn Planner>,
    observed: Observed,
    session: Option<Session>,
    waking: Option<u64>,
}

struct Session {
    link: Link,
    sent: BTreeSet<SpecId>,
    calls: VecDeque<Call>,
    under_way: Option<(Call, Vec<SpecId>)>,
    wake_at: Option<u64>,
    dirty: bool,
}

impl fmt::Debug for SimScheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimScheduler")
            .field("hello", &self.hello)
            .finish_non_exhaustive()
    }
}

impl SimScheduler {
    pub(crate) fn new(index: usize, hello: Hello, factory: Factory) -> Self {
        Self {
            index,
            hello,
            factory,
            process: None,
        }
    }

    /// What it sees, while it lives.
    pub(crate) fn observed(&self) -> Option<&Observed> {
        self.process.as_ref().map(|p| &p.observed)
    }

    /// The process starts.
    pub(crate) fn start(&mut self, queue: &mut Queue) {
        let life = queue.number();
        self.process = Some(Process {
            life,
            planner: (self.factory)(),
            observed: Observed::new(self.hello.scheduler.clone()),
            session: None,
            waking: None,
        });
        queue.after(1, Event::Scheduler(self.index, SchedulerEvent::Dial(life)));
    }

    /// The process dies and starts again.
    pub(crate) fn kill(&mut self, queue: &mut Queue) {
        self.hang_up(queue);
        self.start(queue);
    }

    /// The connection breaks.
    pub(crate) fn hang_up(&mut self, queue: &mut Queue) {
        let session = self.process.as_mut().and_then(|p| p.session.take());
        if let Some(session) = session {
            let hung = BrokerEvent::Hung {
                scheduler: self.index,
                link: session.link,
            };
            queue.send(session.link, true, Event::Broker(hung));
            self.redial(queue);
        }
    }

    fn redial(&mut self, queue: &mut Queue) {
        let pause = queue.rng.between(20, 1_000);
        if let Some(process) = self.process.as_mut() {
            process.observed.end_session();
            let dial = SchedulerEvent::Dial(process.life);
            queue.after(pause, Event::Scheduler(self.index, dial));
        }
    }

    pub(crate) fn happen(&mut self, queue: &mut Queue, checker: &mut Checker, event: SchedulerEvent) {
        match event {
            SchedulerEvent::Dial(life) => self.dial(queue, life),
            SchedulerEvent::Opened(link) => {
                if let Some(process) = self.process_on(link) {
                    process.observed.begin_session();
                }
            }
            SchedulerEvent::News(link, batch) => self.news(queue, link, batch),
            SchedulerEvent::Reply(link, reply) => self.reply(queue, checker, link, reply),
            SchedulerEvent::Cut(link) => {
                if let Some(process) = self.process_on(link) {
                    process.session = None;
                    self.redial(queue);
                }
            }
            SchedulerEvent::Wake => {
                if let Some(process) = self.process.as_mut() {
                    process.waking = None;
                    if let Some(session) = process.session.as_mut() {
                        session.dirty = true;
                    }
                    self.plan(queue, checker);
                }
            }
        }
    }

    fn process_on(&mut self, link: Link) -> Option<&mut Process> {
        self.process
            .as_mut()
            .filter(|p| p.session.as_ref().is_some_and(|s| s.link == link))
    }

    fn dial(&mut self, queue: &mut Queue, life: Life) {
        let Some(process) = self
            .process
            .as_mut()
            .filter(|p| p.life == life && p.session.is_none())
        else {
            return;
        };
        let link = queue.number();
        process.session = Some(Session {
            link,
            sent: BTreeSet::new(),
            calls: VecDeque::new(),
            under_way: None,
            wake_at: None,
            dirty: true,
        });
        queue.send(
            link,
            true,
            Event::Broker(BrokerEvent::Opened {
                scheduler: self.index,
                link,
            }),
        );
    }

    fn news(&mut self, queue: &mut Queue, link: Link, batch: WatchBatch) {
        let index = self.index;
        let Some(process) = self.process_on(link) else {
            return;
        };
        let now = Moment(EPOCH + queue.now);
        let cursor = batch.cursor;
        let changes = process.observed.apply(now, batch);
        process.planner.noticed(now, &changes);
        if let Some(session) = process.session.as_mut() {
            session.dirty = true;
        }
        if queue.rng.per_mille(50) {
            let called = BrokerEvent::Called {
                scheduler: index,
                link,
                request: Request::Ack(cursor),
            };
            queue.send(link, true, Event::Broker(called));
        }
        self.wake_in(queue, SETTLE);
    }

    /// Plans again in so long, or sooner if that was said before.
    fn wake_in(&mut self, queue: &mut Queue, ms: u64) {
        let Some(process) = self.process.as_mut() else {
            return;
        };
        let at = queue.now + ms;
        if process.waking.is_none_or(|w| w > at) {
            process.waking = Some(at);
            queue.at(at, Event::Scheduler(self.index, SchedulerEvent::Wake));
        }
    }

    fn plan(&mut self, queue: &mut Queue, checker: &mut Checker) {
        let Some(process) = self.process.as_mut() else {
            return;
        };
        let Some(session) = process.session.as_mut() else {
            return;
        };
        let busy = session.under_way.is_some() || !session.calls.is_empty();
        if busy || !session.dirty || !process.observed.is_synced() {
            return;
        }
        session.dirty = false;
        let now = Moment(EPOCH + queue.now);
        let plan = process.planner.plan(now, &process.observed);
        let wake_at = plan.wake_at.map(|at| at.0.saturating_sub(EPOCH));
        session.calls = calls(plan, BATCH).into();
        session.wake_at = wake_at;
        if let Some(at) = wake_at {
            self.wake_in(queue, at.saturating_sub(queue.now).max(1));
        }
        self.call(queue, checker);
    }

    fn call(&mut self, queue: &mut Queue, checker: &mut Checker) {
        let Some(process) = self.process.as_mut() else {
            return;
        };
        let Some(session) = process.session.as_mut() else {
            return;
        };
        let Some(call) = session.calls.pop_front() else {
            if session.dirty {
                self.wake_in(queue, SETTLE);
            }
            return;
        };
        let mut specs = Vec::new();
        let request = match &call {
            Call::Amend(amends) => Request::Amend(amends.clone()),
            Call::Claim {
                claims,
                all_or_nothing,
            } => {
                let batch = claim_batch(claims, *all_or_nothing, &session.sent);
                specs.extend(batch.specs.iter().map(|s| s.id()));
                Request::Claim(batch)
            }
            Call::Release { ids, grace_ms } => Request::Release(ids.clone(), *grace_ms),
            Call::Forget(ids) => {
                checker.forgetting(ids);
                Request::Forget(ids.clone())
            }
        };
        session.under_way = Some((call, specs));
        let link = session.link;
        queue.send(
            link,
            true,
            Event::Broker(BrokerEvent::Called {
                scheduler: self.index,
                link,
                request,
            }),
        );
    }

    fn reply(&mut self, queue: &mut Queue, checker: &mut Checker, link: Link, reply: Result<Reply, String>) {
        let Some(process) = self.process_on(link) else {
            return;
        };
        let Some(session) = process.session.as_mut() else {
            return;
        };
        let Some((call, specs)) = session.under_way.take() else {
            return;
        };
        let Ok(reply) = reply else {
            self.hang_up(queue);
            return;
        };
        session.sent.extend(specs);
        checker.acknowledged(&call, &reply);
        let now = Moment(EPOCH + queue.now);
        let settled = settle(now, &call, reply, &mut process.observed);
        session.dirty |= settled.learnt;
        if !settled.refused.is_empty() {
            process.planner.refused(now, &settled.refused);
            session.dirty = true;
            self.wake_in(queue, RETRY_REFUSED);
        }
        self.call(queue, checker);
    }
}
