//! A runtime in memory that outlives the agents which drive it.

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use plenum_contract::runtime::*;
use plenum_contract::streams::*;
use plenum_model::ids::Incarnation;
use plenum_model::node::RuntimeFacts;
use plenum_model::spec::Mount;
use plenum_model::task::{Exit, ExitReason};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;

#[derive(Default)]
pub(crate) struct FakeRuntime {
    pub(crate) containers: Mutex<BTreeMap<ContainerKey, FoundState>>,
    pub(crate) starts: Mutex<Vec<ContainerKey>>,
    pub(crate) away: AtomicBool,
    /// What the last container that was prepared had mounted.
    pub(crate) mounts: Mutex<Vec<Mount>>,
    changed: Notify,
}

pub(crate) fn key(slot: u64) -> ContainerKey {
    ContainerKey {
        task: crate::id(slot),
        container: "main".into(),
        incarnation: Incarnation(0),
    }
}

impl FakeRuntime {
    pub(crate) fn end(&self, key: &ContainerKey, code: i32) {
        let exit = Exit {
            code: Some(code),
            signal: None,
            reason: ExitReason::Exited,
            message: format!("code {code}"),
        };
        if let Some(state) = self.containers.lock().unwrap().get_mut(key)
            && *state == FoundState::Running
        {
            *state = FoundState::Ended(exit);
        }
        self.changed.notify_waiters();
    }

    pub(crate) fn state(&self, slot: u64) -> Option<FoundState> {
        self.containers.lock().unwrap().get(&key(slot)).cloned()
    }

    pub(crate) fn started(&self) -> usize {
        self.starts.lock().unwrap().len()
    }

    fn there(&self) -> Result<(), RuntimeError> {
        match self.away.load(Ordering::SeqCst) {
            true => Err(RuntimeError::Failed {
                runtime: "fake",
                op: "answer",
                why: "away".into(),
            }),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Runtime for FakeRuntime {
    fn name(&self) -> &'static str {
        "fake"
    }

    async fn facts(&self) -> Result<RuntimeFacts, RuntimeError> {
        self.there().map(|()| RuntimeFacts {
            version: "1".into(),
            ..RuntimeFacts::default()
        })
    }

    async fn prepare(&self, plan: &ContainerPlan) -> Result<(), RuntimeError> {
        self.there()?;
        assert!(plan.sandbox.is_dir(), "the sandbox is there before");
        self.mounts.lock().unwrap().clone_from(&plan.mounts);
        self.containers
            .lock()
            .unwrap()
            .entry(plan.key.clone())
            .or_insert(FoundState::Prepared);
        Ok(())
    }

    async fn start(&self, key: &ContainerKey) -> Result<(), RuntimeError> {
        self.there()?;
        let mut containers = self.containers.lock().unwrap();
        let state = containers
            .get_mut(key)
            .ok_or_else(|| RuntimeError::NotFound { key: key.clone() })?;
        if *state == FoundState::Prepared {
            *state = FoundState::Running;
            self.starts.lock().unwrap().push(key.clone());
        }
        Ok(())
    }

    async fn wait(&self, key: &ContainerKey) -> Result<Exit, RuntimeError> {
        loop {
            let changed = self.changed.notified();
            match self.containers.lock().unwrap().get(key) {
                None => return Err(RuntimeError::NotFound { key: key.clone() }),
                Some(FoundState::Ended(exit)) => return Ok(exit.clone()),
                Some(FoundState::Prepared | FoundState::Running) => {}
            }
            changed.await;
        }
    }

    async fn signal(&self, key: &ContainerKey, signal: &str) -> Result<(), RuntimeError> {
        self.there()?;
        self.end(key, if signal == "SIGKILL" { 137 } else { 143 });
        Ok(())
    }

    async fn remove(&self, key: &ContainerKey) -> Result<(), RuntimeError> {
        self.there()?;
        self.containers.lock().unwrap().remove(key);
        Ok(())
    }

    async fn recover(&self) -> Result<Vec<Found>, RuntimeError> {
        self.there()?;
        let containers = self.containers.lock().unwrap();
        Ok(containers
            .iter()
            .map(|(key, state)| Found {
                key: key.clone(),
                state: state.clone(),
                names: ContainerNames::default(),
            })
            .collect())
    }
}

#[async_trait]
impl RuntimeIo for FakeRuntime {
    async fn logs(&self, key: &ContainerKey, _query: LogQuery) -> Result<StreamOutput, StreamError> {
        let line = LogLine {
            at_nanos: 1,
            source: LogSource::Stdout,
            bytes: Bytes::from(format!("{}\n", key.container)),
        };
        Ok(futures::stream::iter([Ok(Output::Log(line))]).boxed())
    }

    /// Echoes its input; exits with 7 at its end.
    async fn exec(
        &self,
        _key: &ContainerKey,
        _request: ExecRequest,
        input: BoxStream<'static, StreamInput>,
    ) -> Result<StreamOutput, StreamError> {
        let echo = input
            .take_while(|i| std::future::ready(*i != StreamInput::Eof))
            .filter_map(|i| async move {
                match i {
                    StreamInput::Data(bytes) => Some(Ok(Output::Stdout(bytes))),
                    StreamInput::Resize(_) | StreamInput::Eof => None,
                }
            });
        Ok(echo
            .chain(futures::stream::iter([Ok(Output::Exit { code: 7 })]))
            .boxed())
    }

    async fn attach(
        &self,
        _key: &ContainerKey,
        _input: BoxStream<'static, StreamInput>,
    ) -> Result<StreamOutput, StreamError> {
        Err(StreamError::State {
            why: "container is not running".into(),
        })
    }

    async fn top(&self, _key: &ContainerKey, arguments: &str) -> Result<ProcessTable, StreamError> {
        Ok(ProcessTable {
            titles: vec!["PID".to_owned()],
            processes: vec![vec![arguments.to_owned()]],
        })
    }

    async fn stats(&self, _key: &ContainerKey) -> Result<Stats, StreamError> {
        Ok(Stats {
            pids: 3,
            ..Stats::default()
        })
    }
}
