//! The timeline: the newest events of the pool, put into words when somebody reads them.

use crate::input::{Happened, TaskEvent, What};
use plenum_model::event::Event;
use plenum_model::ids::Cursor;
use plenum_model::phase::Phase;
use plenum_model::task::{ExitReason, Task};
use std::collections::VecDeque;

/// The newest events.
#[derive(Debug, Default)]
pub struct Timeline {
    events: VecDeque<Happened>,
    kept: usize,
    /// What happened up to here is no longer known.
    floor: Cursor,
}

impl Timeline {
    pub(super) fn new(kept: usize) -> Self {
        Self {
            kept,
            ..Self::default()
        }
    }

    pub(super) fn start(&mut self, cursor: Cursor) {
        self.events.clear();
        self.floor = cursor;
    }

    pub(super) fn push(&mut self, happened: Happened) {
        self.events.push_back(happened);
        while self.events.len() > self.kept {
            if let Some(gone) = self.events.pop_front() {
                self.floor = gone.cursor;
            }
        }
    }

    /// The place after which events can still be had.
    #[must_use]
    pub fn floor(&self) -> Cursor {
        self.floor
    }

    /// The place of the newest event.
    #[must_use]
    pub fn newest(&self) -> Cursor {
        self.events.back().map_or(self.floor, |e| e.cursor)
    }

    /// At most so many events after a place; none if that place is no longer kept.
    #[must_use]
    pub fn after(&self, from: Cursor, limit: usize) -> Option<Vec<Event>> {
        if from < self.floor {
            return None;
        }
        let start = self.events.partition_point(|e| e.cursor <= from);
        Some(self.events.range(start..).take(limit).map(in_words).collect())
    }
}

fn in_words(happened: &Happened) -> Event {
    let mut event = Event {
        cursor: happened.cursor,
        at: happened.at,
        kind: String::new(),
        object: String::new(),
        task: None,
        node: None,
        actor: "broker".to_owned(),
        message: String::new(),
    };
    match &happened.what {
        What::Task(what, task, detail) => of_task(&mut event, *what, task, detail),
        What::Node(kind, node, actor) => {
            (event.kind, event.object) = ((*kind).to_owned(), node.to_string());
            event.node = Some(node.clone());
            if !actor.is_empty() {
                event.actor.clone_from(actor);
            }
            event.message = match *kind {
                "node.joined" => "joined the pool",
                "node.unreachable" => "is silent",
                "node.ready" => "is heard again",
                "node.opened" => "takes new tasks",
                "node.cordoned" => "takes no new tasks",
                "node.draining" => "takes no new tasks, and its own move away",
                "node.tainted" => "has other taints",
                "node.removed" => "left for good",
                other => other,
            }
            .to_owned();
        }
        What::Tenant(tenant, actor) => {
            (event.kind, event.object) = ("tenant.set".to_owned(), tenant.path.to_string());
            event.actor.clone_from(actor);
            event.message = format!("weight {}", tenant.weight);
        }
        What::Scheduler(kind, id, epoch) => {
            (event.kind, event.object) = ((*kind).to_owned(), id.to_string());
            event.actor = id.to_string();
            event.message = format!("session {epoch}");
        }
        What::Led(epoch) => {
            "broker.led".clone_into(&mut event.kind);
            "broker".clone_into(&mut event.object);
            event.message = format!("leads with epoch {epoch}");
        }
    }
    event
}

fn of_task(event: &mut Event, what: TaskEvent, task: &Task, detail: &str) {
    task.seat.name.clone_into(&mut event.object);
    event.task = Some(task.id());
    event.node.clone_from(&task.status.node);
    let node = || task.status.node.as_ref().map_or("-", |n| n.as_str());
    let (kind, actor, message) = match what {
        TaskEvent::Claimed => (
            "task.claimed",
            task.scheduler.as_str(),
            format!("charged to {}", task.terms.tenant),
        ),
        TaskEvent::Pending => (
            "task.pending",
            "broker",
            task.status
                .why
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
        ),
        TaskEvent::Nominated => (
            "task.nominated",
            "broker",
            format!("room on {detail} is kept for it"),
        ),
        TaskEvent::Preempting => (
            "task.preempting",
            "broker",
            format!("on {}: it will be stopped for task {detail}", node()),
        ),
        TaskEvent::Spared => (
            "task.spared",
            "broker",
            format!("task {detail} needs it no longer"),
        ),
        TaskEvent::Placed => ("task.placed", "broker", format!("on {}", node())),
        TaskEvent::Running => ("task.running", "agent", format!("on {}", node())),
        TaskEvent::Released => ("task.released", task.scheduler.as_str(), String::new()),
        TaskEvent::Stopping => ("task.stopping", detail, format!("on {}", node())),
        TaskEvent::Ended => ("task.ended", ended_by(task), ended(task)),
    };
    (event.kind, event.actor, event.message) = (kind.to_owned(), actor.to_owned(), message);
}

fn ended_by(task: &Task) -> &'static str {
    let by_agent = task.status.node.is_some() && task.status.phase() != Phase::Lost;
    if by_agent { "agent" } else { "broker" }
}

fn ended(task: &Task) -> String {
    let phase = task.status.phase();
    let Some(exit) = &task.status.exit else {
        return phase.to_string();
    };
    let how = match (exit.code, exit.signal) {
        (_, Some(signal)) => format!(" by signal {signal}"),
        (Some(code), None) if exit.reason == ExitReason::Exited => format!(" with code {code}"),
        _ => String::new(),
    };
    match exit.message.as_str() {
        "" => format!("{phase}{how}"),
        message => format!("{phase}{how}: {message}"),
    }
}
