//! A task as the broker knows it: what was claimed, what the broker decided, what the agent saw. Each of the
//! three has one writer.
//!
//! A task whose containers are restarted one by one stays in its phase while one of them waits to be started
//! again; its incarnation counts only runs of the whole task. What each container does is part of the numbered
//! observation: like readiness and addresses the newest one wins, whole.

use crate::claim::{Desired, Seat, Terms};
use crate::ids::{Generation, Incarnation, NodeId, SchedulerId, Seq, TaskId};
use crate::phase::{Phase, Progress};
use crate::why::Why;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How a task ended, or could not start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// The main process's exit code, if it exited.
    pub code: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
    /// The stable cause.
    pub reason: ExitReason,
    /// The cause in words; for errors what the runtime said.
    pub message: String,
}

/// Stable causes of an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitReason {
    /// The main process ended by itself.
    Exited,
    /// It was asked to stop.
    Asked,
    /// It went beyond its memory limit.
    OutOfMemory,
    /// The image cannot be had.
    Image,
    /// The command cannot be started.
    Command,
    /// A port it was given is taken by something outside the pool.
    Port,
    /// A mount, a user or another part of the spec cannot be satisfied on the node.
    Setup,
    /// The runtime failed.
    Runtime,
    /// A probe failed.
    Unhealthy,
    /// The machine was restarted, or the container vanished.
    Gone,
    /// Its node was silent longer than allowed.
    NodeLost,
    /// Its deadline as a held task passed.
    HeldTooLong,
    /// It was stopped for another task, after it was announced.
    Preempted,
}

/// What one container of a task does, of a task that restarts them one by one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerStatus {
    /// Its name in the spec.
    pub name: String,
    /// What it does now.
    pub state: ContainerState,
    /// Restarts in place so far.
    pub restarts: u32,
    /// How its run before this one ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<ContainerEnd>,
    /// Whether it runs, is started and its readiness checks pass; an init container: whether it has succeeded.
    pub ready: bool,
    /// Whether it runs and its startup check, if it has one, has passed.
    pub started: bool,
    /// What its runtime calls the newest one that was made, without the runtime's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What its runtime calls the image it was made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_id: Option<String>,
}

/// What a container does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContainerState {
    /// Nothing of it runs yet, or again.
    Waiting {
        /// For what.
        reason: WaitReason,
        /// In words; for errors what the runtime said.
        message: String,
    },
    /// It runs.
    Running {
        /// Since then, in Unix milliseconds.
        started_at: u64,
    },
    /// It has ended for good.
    Ended(ContainerEnd),
}

/// For what a container waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitReason {
    /// For others, which come first.
    Turn,
    /// It is being made or started.
    Creating,
    /// It is made; the task is held.
    Held,
    /// For the restart in place.
    BackOff,
    /// Its image could not be had; that is tried again.
    Image,
    /// It could not be made for another reason; that is tried again.
    Setup,
}

/// How one told probe of a task goes. A row of failures is told one by one while it is short, then as it doubles.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckStatus {
    /// Whether it passes; none: not settled yet.
    pub passes: Option<bool>,
    /// Failures in a row that count.
    pub failures: u32,
    /// Unix milliseconds of the first success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_success: Option<u64>,
    /// Unix milliseconds of the newest success that was told: the first one, or the first after a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_success: Option<u64>,
    /// Unix milliseconds of the newest failure that was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<u64>,
    /// That failure in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cause: String,
}

/// How one run of a container ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerEnd {
    /// How.
    pub exit: Exit,
    /// Unix milliseconds of its start; none: it never ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<u64>,
    /// Unix milliseconds of its end, as the agent learnt of it.
    pub ended_at: u64,
    /// What its runtime called it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// What an agent saw of one task. `(task, incarnation, seq)` identifies it; the newest wins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// Which task.
    pub task: TaskId,
    /// Numbered by the agent.
    pub seq: Seq,
    /// Incarnation and phase.
    pub progress: Progress,
    /// Whether its readiness checks pass; none: it has none. While none has failed yet the message is empty.
    pub ready: Option<bool>,
    /// Its own address, where it has one.
    pub address: Option<String>,
    /// How it ended; with every terminal phase.
    pub exit: Option<Exit>,
    /// What goes on, in words (`pulling nginx`).
    pub message: String,
    /// When, in Unix milliseconds by the node's clock.
    pub at: u64,
    /// Its containers, in the order of the spec. Empty: the task is restarted as a whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub containers: Vec<ContainerStatus>,
    /// Its told probes, container by container in the order of the spec. Empty: it has none, or none had a result
    /// yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<CheckStatus>,
}

/// That a task will be stopped for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Preempting {
    /// Unix milliseconds, not before which it is.
    pub deadline: u64,
    /// For which.
    pub by: TaskId,
}

/// Where a task stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Incarnation and phase.
    pub progress: Progress,
    /// The newest observation it comes from.
    pub seq: Seq,
    /// Where it is placed.
    pub node: Option<NodeId>,
    /// The host port given to each port asked for.
    pub ports: Vec<u16>,
    /// Whether its readiness checks pass; none: it has none. While none has failed yet the message is empty.
    pub ready: Option<bool>,
    /// Its own address, where it has one.
    pub address: Option<String>,
    /// Whether its node is silent.
    pub unreachable: bool,
    /// Why it waits.
    pub why: Option<Why>,
    /// While it waits: the node where room is kept for it, free already or about to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nominated: Option<NodeId>,
    /// It will be stopped for another task unless its owner lets go of something else before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preempting: Option<Preempting>,
    /// How it ended.
    pub exit: Option<Exit>,
    /// What goes on, in words.
    pub message: String,
    /// Unix milliseconds of the claim.
    pub claimed_at: u64,
    /// Unix milliseconds of the placement.
    pub placed_at: Option<u64>,
    /// Unix milliseconds of the newest start.
    pub started_at: Option<u64>,
    /// Unix milliseconds of the end.
    pub ended_at: Option<u64>,
    /// Its containers, as last seen. Empty: nothing was seen yet, or the task is restarted as a whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub containers: Vec<ContainerStatus>,
    /// Its told probes, as last seen. Empty: it has none, or none had a result yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<CheckStatus>,
}

impl Status {
    /// A task just claimed.
    #[must_use]
    pub fn pending(claimed_at: u64) -> Self {
        Self {
            progress: Progress::START,
            seq: Seq(0),
            node: None,
            ports: Vec::new(),
            ready: None,
            address: None,
            unreachable: false,
            why: None,
            nominated: None,
            preempting: None,
            exit: None,
            message: String::new(),
            claimed_at,
            placed_at: None,
            started_at: None,
            ended_at: None,
            containers: Vec::new(),
            checks: Vec::new(),
        }
    }

    /// How far it has come.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.progress.phase
    }

    /// Takes over what an agent saw, if it is news. Phase and incarnation only move forward; readiness,
    /// address, containers and message follow the highest `seq`. Says whether anything changed.
    pub fn observe(&mut self, seen: &Observation) -> bool {
        if self.progress.phase.is_final() || seen.progress.incarnation < self.progress.incarnation {
            return false;
        }
        let moved = self.progress.next(seen.progress);
        if moved.is_none() && seen.seq <= self.seq {
            return false;
        }
        let ended = self.progress.phase.is_terminal() && moved.is_none();
        if ended {
            return false;
        }
        self.seq = self.seq.max(seen.seq);
        if let Some(progress) = moved {
            self.advance(progress, seen);
        }
        self.ready = seen.ready;
        self.address.clone_from(&seen.address);
        self.message.clone_from(&seen.message);
        self.containers.clone_from(&seen.containers);
        self.checks.clone_from(&seen.checks);
        true
    }

    fn advance(&mut self, progress: Progress, seen: &Observation) {
        self.progress = progress;
        self.exit.clone_from(&seen.exit);
        if progress.phase == Phase::Running {
            self.started_at = Some(seen.at);
        }
        self.ended_at = progress.phase.is_terminal().then_some(seen.at);
    }
}

/// A task as the broker knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Whose task.
    pub scheduler: SchedulerId,
    /// What is its own.
    pub seat: Seat,
    /// What it shares with others of its version.
    pub terms: Arc<Terms>,
    /// Raised by claim, amend and release.
    pub generation: Generation,
    /// What shall be true of it; starts as `terms.desired`.
    pub desired: Desired,
    /// Whether its scheduler has released it.
    pub released: bool,
    /// Where it stands.
    pub status: Status,
}

impl Task {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> TaskId {
        self.seat.id
    }

    /// Restarts in place so far.
    #[must_use]
    pub fn restarts(&self) -> u32 {
        let Incarnation(n) = self.status.progress.incarnation;
        n
    }
}
