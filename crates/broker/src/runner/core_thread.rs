//! The thread that owns the core. In: calls, from one bounded queue. Out: what they lead to, to the log
//! thread, in order. Where the log fails, the core is dropped and built again from the log; until that
//! succeeds calls are refused.

use super::log_thread::ToLog;
use super::stats::{add, add_since, count};
use super::{Call, Clock, Decided, Failed, Shared, ToCore};
use crate::config::BrokerConfig;
use crate::decide::Core;
use crate::fact::Fact;
use crate::input::{Change, Effects, Input};
use plenum_model::ids::LeaderEpoch;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Receiver;

/// How long after a failed attempt the log is tried again: short enough that a freed disk is soon used, long
/// enough that reading the log again does not keep a processor busy.
const RETRY: Duration = Duration::from_secs(1);

pub(super) struct CoreThread {
    core: Core,
    config: BrokerConfig,
    clock: Clock,
    epoch: LeaderEpoch,
    to_log: SyncSender<ToLog>,
    /// Raised by the log thread when it could not make a group durable, lowered when it serves again.
    failed: Arc<AtomicBool>,
    shared: Weak<Shared>,
    /// Bytes of records since the last snapshot.
    logged: u64,
    /// When the log is tried again, and what it said last.
    trouble: Option<(Instant, Failed)>,
}

impl CoreThread {
    pub(super) fn new(
        core: Core,
        config: BrokerConfig,
        clock: Clock,
        epoch: LeaderEpoch,
        to_log: SyncSender<ToLog>,
        failed: Arc<AtomicBool>,
        shared: &Arc<Shared>,
    ) -> Self {
        let shared = Arc::downgrade(shared);
        Self {
            core,
            config,
            clock,
            epoch,
            to_log,
            failed,
            shared,
            logged: 0,
            trouble: None,
        }
    }

    /// The body of the thread; ends when every sender of calls is gone or the queue is closed.
    pub(super) fn run(mut self, mut inbox: Receiver<ToCore>) -> impl FnOnce() + Send + 'static {
        move || {
            while let Some(message) = inbox.blocking_recv() {
                let call = match message {
                    ToCore::Call(call) => call,
                    ToCore::Copy(reply) => {
                        // Whoever asked may have gone.
                        let _ = reply.send(self.core.snapshot());
                        continue;
                    }
                    ToCore::Stop => {
                        // What was taken before is still decided.
                        inbox.close();
                        continue;
                    }
                };
                if self.failed.load(Ordering::Acquire) && !self.recovered() {
                    self.refuse(call);
                    continue;
                }
                if !self.take(call) {
                    return;
                }
            }
        }
    }

    /// Decides one call; says whether the log thread is still there.
    fn take(&mut self, call: Call) -> bool {
        let begun = Instant::now();
        let mut effects = Effects::default();
        self.core.step(self.clock.now(), call.input, &mut effects);
        let record = (!effects.facts.is_empty()).then(|| self.core.record(&effects.facts));
        self.logged += record.as_ref().map_or(0, |r| count(r.len()));
        if let Some(shared) = self.shared.upgrade() {
            let stats = &shared.stats;
            add(&stats.steps, 1);
            effects.facts.iter().for_each(|fact| tally(stats, fact));
            stats.holds(self.core.counts());
            add_since(&stats.core_micros, begun);
        }
        let Effects { changes, answer, .. } = effects;
        let decided = Decided {
            record,
            changes,
            answer,
            reply: call.reply,
            mailbox: call.mailbox,
        };
        if self.to_log.send(ToLog::Decided(decided)).is_err() {
            return false;
        }
        if self.logged >= self.config.snapshot_bytes {
            self.logged = 0;
            return self.to_log.send(ToLog::Snapshot(self.core.snapshot())).is_ok();
        }
        true
    }

    fn refuse(&self, call: Call) {
        let failed = match &self.trouble {
            Some((_, failed)) => failed.clone(),
            None => Failed::Unavailable("the ledger is being built again".to_owned()),
        };
        super::publisher::refuse(call.reply, call.mailbox, failed);
    }

    /// Tries to go on after a failed commit: the log is read back, and must take a record again.
    fn recovered(&mut self) -> bool {
        if self.trouble.as_ref().is_some_and(|(at, _)| at.elapsed() < RETRY) {
            return false;
        }
        match self.rebuild() {
            Ok(()) => {
                tracing::info!("the ledger is built again from its log");
                self.trouble = None;
                true
            }
            Err(failed) => {
                tracing::warn!(?failed, "the ledger's log does not serve yet");
                self.trouble = Some((Instant::now(), failed));
                false
            }
        }
    }

    fn rebuild(&mut self) -> Result<(), Failed> {
        let gone = || Failed::stopping();
        let (reply, answer) = std::sync::mpsc::sync_channel(1);
        let probe = self.core.record(&[]);
        self.to_log
            .send(ToLog::Rebuild { probe, reply })
            .map_err(|_| gone())?;
        let (loaded, shown) = answer.recv().map_err(|_| gone())??;
        let mut changes: Vec<Change> = Vec::new();
        let restored = Core::restore(
            self.config.core.clone(),
            loaded.snapshot.as_deref(),
            &loaded.records,
            |change| {
                changes.push(change);
            },
        );
        let mut core = restored.map_err(|e| Failed::Unavailable(e.to_string()))?;
        core.adopt_sessions(self.core.take_sessions());
        if core.ledger().cursor == shown {
            // Readers have seen exactly what is durable.
            changes.clear();
        }
        let mut effects = Effects {
            changes,
            ..Effects::default()
        };
        core.step(self.clock.now(), Input::Lead(self.epoch), &mut effects);
        self.core = core;
        self.logged = loaded.records.iter().map(|r| count(r.len())).sum();
        self.failed.store(false, Ordering::Release);
        let record = (!effects.facts.is_empty()).then(|| self.core.record(&effects.facts));
        let Effects { changes, .. } = effects;
        let decided = Decided {
            record,
            changes,
            answer: None,
            reply: None,
            mailbox: None,
        };
        self.to_log.send(ToLog::Decided(decided)).map_err(|_| gone())
    }
}

fn tally(stats: &super::stats::Stats, fact: &Fact) {
    if let Fact::Claimed { seats, .. } = fact {
        add(&stats.claims, count(seats.len()));
    } else if let Fact::Placed { .. } = fact {
        add(&stats.placements, 1);
    } else if let Fact::Seen { .. } = fact {
        add(&stats.observations, 1);
    }
}
