//! A machine with a simulated runtime: containers that outlive the agent. Pure: verbs change it, time is
//! handed in, what will end when is answered. What a container does stands in its arguments:
//! `sleep MS CODE` ends by itself, `stubborn` ignores the request to stop, anything else runs until stopped.

use crate::rng::Rng;
use plenum_agent::supervisor::{Answer, Verb, WorkError};
use plenum_contract::runtime::{
    ContainerKey, ContainerNames, Found, FoundState, PublishedPort, RuntimeError, SandboxFacts, SandboxPlan,
};
use plenum_model::claim::Protocol;
use plenum_model::ids::TaskId;
use plenum_model::task::{Exit, ExitReason};
use std::collections::{BTreeMap, BTreeSet};

/// The name of the simulated runtime in specs.
pub const RUNTIME: &str = "simulated";

/// How the runtime of a machine behaves. Chances are per mille.
#[derive(Debug, Clone, Copy, Default)]
pub struct Temper {
    /// A verb fails, trying again may help.
    pub flaky: u64,
    /// An image cannot be had.
    pub no_image: u64,
    /// A container that runs until stopped fails by itself within a minute.
    pub mortal: u64,
}

/// A container.
#[derive(Debug, Clone)]
struct Container {
    state: FoundState,
    script: Script,
    ports: Vec<PublishedPort>,
}

/// What a container does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Script {
    Forever,
    Stubborn,
    Sleep { ms: u64, code: i32 },
}

/// A machine.
#[derive(Debug, Default)]
pub struct Machine {
    containers: BTreeMap<ContainerKey, Container>,
}

/// What performing a verb led to.
#[derive(Debug)]
pub struct Performed {
    /// The answer; none: it comes when the container ends.
    pub answer: Option<Result<Answer, WorkError>>,
    /// In so many milliseconds the container ends, so.
    pub ends: Option<(u64, Exit)>,
}

impl Performed {
    fn done() -> Self {
        Self {
            answer: Some(Ok(Answer::Done)),
            ends: None,
        }
    }

    fn failed(error: RuntimeError) -> Self {
        Self {
            answer: Some(Err(error.into())),
            ends: None,
        }
    }
}

impl Machine {
    /// Every container.
    #[must_use]
    pub fn recover(&self) -> Vec<Found> {
        let found = |(key, c): (&ContainerKey, &Container)| Found {
            key: key.clone(),
            state: c.state.clone(),
            names: ContainerNames::default(),
        };
        self.containers.iter().map(found).collect()
    }

    /// The tasks of which a container runs, once per container.
    pub fn running(&self) -> impl Iterator<Item = &ContainerKey> {
        let runs = |c: &Container| c.state == FoundState::Running;
        self.containers
            .iter()
            .filter(move |(_, c)| runs(c))
            .map(|(key, _)| key)
    }

    /// A port that two running containers publish.
    #[must_use]
    pub fn doubly_held_port(&self) -> Option<(u16, TaskId)> {
        let mut held: BTreeSet<(u16, u8)> = BTreeSet::new();
        let running = self
            .containers
            .iter()
            .filter(|(_, c)| c.state == FoundState::Running);
        let mut ports = running.flat_map(|(key, c)| c.ports.iter().map(|port| (key.task, port)));
        let double = ports.find(|(_, port)| slots(port).any(|slot| !held.insert(slot)));
        double.map(|(task, port)| (port.host, task))
    }

    /// Does what a verb asks.
    pub fn perform(&mut self, rng: &mut Rng, temper: Temper, key: &ContainerKey, verb: &Verb) -> Performed {
        if rng.per_mille(temper.flaky) {
            let why = "the simulated engine stumbled".to_owned();
            return Performed::failed(RuntimeError::Failed {
                runtime: RUNTIME,
                op: "perform",
                why,
            });
        }
        match verb {
            Verb::MakeSandbox(_)
            | Verb::Fetch(_)
            | Verb::MakeVolumes(_)
            | Verb::Hook(_)
            | Verb::RemoveFiles(_)
            | Verb::RemoveVolumes(_)
            | Verb::RemoveSandbox(_) => Performed::done(),
            Verb::MakeNetwork(plan) => self.make_network(plan),
            Verb::CheckPorts(asked) => self.check_ports(asked),
            Verb::Prepare(planned) => {
                let plan = &planned.plan;
                if rng.per_mille(temper.no_image) {
                    let why = "no such image".to_owned();
                    return Performed::failed(RuntimeError::Refused {
                        reason: ExitReason::Image,
                        why,
                    });
                }
                self.containers.entry(key.clone()).or_insert_with(|| Container {
                    state: FoundState::Prepared,
                    script: Script::read(plan.args.as_deref().unwrap_or_default()),
                    ports: plan.ports.clone(),
                });
                Performed::done()
            }
            Verb::Start => self.start(rng, temper, key),
            Verb::Wait => match self.containers.get(key).map(|c| &c.state) {
                None => Performed::failed(RuntimeError::NotFound { key: key.clone() }),
                Some(FoundState::Ended(exit)) => Performed {
                    answer: Some(Ok(Answer::Exit(exit.clone()))),
                    ends: None,
                },
                Some(FoundState::Prepared | FoundState::Running) => Performed {
                    answer: None,
                    ends: None,
                },
            },
            Verb::Stop(_) => self.signal(rng, key, false),
            Verb::Kill => self.signal(rng, key, true),
            Verb::Remove { .. } => {
                self.containers.remove(key);
                Performed::done()
            }
        }
    }

    /// A sandbox holds its ports and runs until it is killed.
    fn make_network(&mut self, plan: &SandboxPlan) -> Performed {
        let made = self
            .containers
            .entry(plan.key.clone())
            .or_insert_with(|| Container {
                state: FoundState::Running,
                script: Script::read(&[]),
                ports: plan.ports.clone(),
            });
        if made.state != FoundState::Running {
            return Performed::failed(RuntimeError::NotFound {
                key: plan.key.clone(),
            });
        }
        let [a, b, c, ..] = plan.key.task.0;
        let address = format!("10.{a}.{b}.{c}");
        Performed {
            answer: Some(Ok(Answer::Network(SandboxFacts { address }))),
            ends: None,
        }
    }

    fn check_ports(&self, asked: &[PublishedPort]) -> Performed {
        let running = self
            .containers
            .values()
            .filter(|c| c.state == FoundState::Running);
        let held: BTreeSet<(u16, u8)> = running.flat_map(|c| c.ports.iter().flat_map(slots)).collect();
        match asked.iter().find(|p| slots(p).any(|slot| held.contains(&slot))) {
            Some(port) => {
                let why = format!("port {} is taken", port.host);
                Performed::failed(RuntimeError::Refused {
                    reason: ExitReason::Port,
                    why,
                })
            }
            None => Performed::done(),
        }
    }

    fn start(&mut self, rng: &mut Rng, temper: Temper, key: &ContainerKey) -> Performed {
        let Some(c) = self.containers.get_mut(key) else {
            return Performed::failed(RuntimeError::NotFound { key: key.clone() });
        };
        if c.state != FoundState::Prepared {
            return Performed::done();
        }
        c.state = FoundState::Running;
        let ends = match c.script {
            Script::Sleep { ms, code } => Some((ms, exited(code))),
            Script::Forever | Script::Stubborn if rng.per_mille(temper.mortal) => {
                Some((rng.between(1, 60_000), exited(1)))
            }
            Script::Forever | Script::Stubborn => None,
        };
        Performed {
            answer: Some(Ok(Answer::Done)),
            ends,
        }
    }

    fn signal(&mut self, rng: &mut Rng, key: &ContainerKey, kill: bool) -> Performed {
        let Some(c) = self.containers.get(key) else {
            return Performed::failed(RuntimeError::NotFound { key: key.clone() });
        };
        let obeys = c.state == FoundState::Running && (kill || c.script != Script::Stubborn);
        let signal = if kill { 9 } else { 15 };
        let exit = Exit {
            code: None,
            signal: Some(signal),
            reason: ExitReason::Exited,
            message: String::new(),
        };
        let ends = obeys.then(|| (rng.between(1, 300), exit));
        Performed {
            answer: Some(Ok(Answer::Done)),
            ends,
        }
    }

    /// A running container ends. Says whether it did; it may be gone or have ended before.
    pub fn end(&mut self, key: &ContainerKey, exit: Exit) -> bool {
        match self.containers.get_mut(key) {
            Some(c) if c.state == FoundState::Running => {
                c.state = FoundState::Ended(exit);
                true
            }
            Some(_) | None => false,
        }
    }

    /// Power is lost: nothing runs any more, and nothing is left of what ran.
    pub fn reboot(&mut self) {
        self.containers.clear();
    }
}

impl Script {
    fn read(args: &[String]) -> Self {
        let words: Vec<&str> = args.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["sleep", ms, code] => match (ms.parse(), code.parse()) {
                (Ok(ms), Ok(code)) => Self::Sleep { ms, code },
                _ => Self::Forever,
            },
            ["stubborn"] => Self::Stubborn,
            _ => Self::Forever,
        }
    }
}

fn exited(code: i32) -> Exit {
    Exit {
        code: Some(code),
        signal: None,
        reason: ExitReason::Exited,
        message: String::new(),
    }
}

fn slots(port: &PublishedPort) -> impl Iterator<Item = (u16, u8)> {
    let host = port.host;
    protocols(port.protocol).iter().map(move |p| (host, *p))
}

/// The protocols that hold a port, as numbers that do not overlap.
pub(crate) fn protocols(protocol: Protocol) -> &'static [u8] {
    match protocol {
        Protocol::Tcp => &[6],
        Protocol::Udp => &[17],
        Protocol::Both => &[6, 17],
    }
}
