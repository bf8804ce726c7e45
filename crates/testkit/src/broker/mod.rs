//! The simulated broker process: the real core, a log in memory, group commits that take time, and the view
//! that is handed out of what is durable. It can be killed before and after a commit.

mod process;
mod view;

use crate::checker::Checker;
use crate::queue::{AgentEvent, BrokerEvent, Event, Life, Queue, SchedulerEvent};
use crate::scheduler::Names;
use plenum_broker::decide::Core;
use plenum_broker::input::Input;
use plenum_model::ids::LeaderEpoch;
use process::{Asker, Process};
use std::collections::BTreeMap;
pub(crate) use view::View;

/// Commits after which the log is replaced by a snapshot.
const SNAPSHOT_EVERY: u32 = 200;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct SimBroker {
    log: Vec<Vec<u8>>,
    snapshot: Option<Vec<u8>>,
    epoch: u64,
    process: Option<Process>,
    dies: Option<Death>,
}

/// When the broker dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Death {
    /// What was decided is lost.
    BeforeCommit,
    /// What was decided is durable and nobody was told.
    AfterCommit,
    /// Everybody was told and the disk lied: nothing is durable.
    Forgetful,
}

impl SimBroker {
    pub(crate) fn view(&self) -> Option<&View> {
        self.process.as_ref().map(|p| &p.view)
    }

    /// The broker dies at its next commit.
    pub(crate) fn doom(&mut self, death: Death) {
        self.dies = Some(death);
    }

    pub(crate) fn calm(&mut self) {
        self.dies = None;
    }

    pub(crate) fn is_up(&self) -> bool {
        self.process.is_some()
    }

    pub(crate) fn kill(&mut self, queue: &mut Queue) {
        let Some(process) = self.process.take() else {
            return;
        };
        self.dies = None;
        for agent in process.agents.into_values() {
            queue.send(
                agent.link,
                false,
                Event::Agent(agent.index, AgentEvent::Cut(agent.link)),
            );
        }
        for session in process.sessions.into_values() {
            let cut = SchedulerEvent::Cut(session.link);
            queue.send(session.link, false, Event::Scheduler(session.index, cut));
        }
        let pause = queue.rng.between(50, 8_000);
        queue.after(pause, Event::Broker(BrokerEvent::Start));
    }

    pub(crate) fn happen(
        &mut self,
        queue: &mut Queue,
        names: &Names,
        checker: &mut Checker,
        event: BrokerEvent,
    ) {
        match event {
            BrokerEvent::Start => self.start(queue, checker),
            BrokerEvent::Commit(life) => self.commit(queue, checker, life),
            BrokerEvent::Tick(life) => {
                if let Some(process) = self.process.as_mut().filter(|p| p.life == life) {
                    process.ticking = None;
                    process.step(queue, Input::Tick, Asker::Nobody);
                }
            }
            BrokerEvent::Tenant(tenant) => match self.process.as_mut() {
                Some(process) => {
                    process.step(queue, Input::SetTenant(tenant, "user".to_owned()), Asker::Nobody);
                }
                None => queue.after(1_000, Event::Broker(BrokerEvent::Tenant(tenant))),
            },
            BrokerEvent::Dialled {
                agent,
                link,
                facts,
                epoch,
            } => {
                match self.process.as_mut() {
                    // It obeyed a newer leader: this one must not lead it.
                    Some(process) if epoch.0 <= self.epoch => process.dialled(queue, agent, link, facts),
                    Some(_) | None => {
                        queue.send(link, false, Event::Agent(agent, AgentEvent::Cut(link)));
                    }
                }
            }
            BrokerEvent::Told(agent, link, message) => {
                if let Some(process) = self.process.as_mut() {
                    process.told(queue, agent, link, message);
                }
            }
            BrokerEvent::Opened { scheduler, link } => match self.process.as_mut() {
                Some(process) => process.open(queue, names, scheduler, link),
                None => {
                    queue.send(
                        link,
                        false,
                        Event::Scheduler(scheduler, SchedulerEvent::Cut(link)),
                    );
                }
            },
            BrokerEvent::Called {
                scheduler,
                link,
                request,
            } => {
                if let Some(process) = self.process.as_mut() {
                    process.called(queue, names, scheduler, link, request);
                }
            }
            BrokerEvent::Hung { scheduler, link } => {
                if let Some(process) = self.process.as_mut() {
                    process.hung(queue, names, scheduler, link);
                }
            }
        }
    }

    fn start(&mut self, queue: &mut Queue, checker: &mut Checker) {
        if self.process.is_some() {
            return;
        }
        let mut view = View::default();
        let restored = Core::restore(
            queue.config.clone(),
            self.snapshot.as_deref(),
            &self.log,
            |change| {
                view.apply(&change);
            },
        );
        let core = match restored {
            Ok(core) => core,
            Err(e) => {
                checker.violated(queue.now, format!("the log does not read back: {e:?}"));
                return;
            }
        };
        checker.restarted(queue.now, &view);
        self.epoch += 1;
        let mut process = Process {
            life: queue.number(),
            core,
            staged: Vec::new(),
            committing: false,
            commits: 0,
            view,
            agents: BTreeMap::new(),
            sessions: BTreeMap::new(),
            ticking: None,
        };
        process.step(queue, Input::Lead(LeaderEpoch(self.epoch)), Asker::Nobody);
        self.process = Some(process);
    }

    fn commit(&mut self, queue: &mut Queue, checker: &mut Checker, life: Life) {
        if self.process.as_ref().is_none_or(|p| p.life != life) {
            return;
        }
        if self.dies == Some(Death::BeforeCommit) {
            self.kill(queue);
            return;
        }
        let Some(process) = self.process.as_mut() else {
            return;
        };
        process.committing = false;
        let staged = std::mem::take(&mut process.staged);
        let lies = self.dies == Some(Death::Forgetful);
        for step in &staged {
            if !step.effects.facts.is_empty() && !lies {
                self.log.push(step.record.clone());
            }
        }
        if self.dies == Some(Death::AfterCommit) {
            self.kill(queue);
            return;
        }
        process.commits += 1;
        if process.commits >= SNAPSHOT_EVERY {
            process.commits = 0;
            self.snapshot = Some(process.core.snapshot());
            self.log.clear();
        }
        for step in staged {
            process.tell(queue, checker, step, LeaderEpoch(self.epoch));
        }
        checker.committed(queue.now, &process.view);
        if lies {
            self.kill(queue);
        }
    }
}
