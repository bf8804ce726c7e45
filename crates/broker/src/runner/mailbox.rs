//! What waits for one agent. Not a queue: a task to be said anew stands in it once, an acknowledgement is the
//! newest only, so it never holds more than the node has tasks. What is said is read from the view when the
//! agent takes it.

use parking_lot::Mutex;
use plenum_contract::dispatcher::{DispatchError, StreamId};
use plenum_contract::streams::{NodeRequest, StreamRequest};
use plenum_model::ids::{Seq, TaskId};
use std::collections::{BTreeSet, VecDeque};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Streams that may wait until the agent takes them; somebody waits at the other end of each.
const STREAMS: usize = 256;

/// What waits for one agent.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    state: Mutex<State>,
    notify: Notify,
    closed: CancellationToken,
}

#[derive(Debug, Default)]
struct State {
    closed: Option<DispatchError>,
    say: BTreeSet<TaskId>,
    remove: BTreeSet<TaskId>,
    acked: Option<Seq>,
    streams: VecDeque<(StreamId, Asked)>,
}

/// Where a stream shall lead, and what is asked there.
#[derive(Debug)]
pub(super) enum Asked {
    /// To a task's container.
    Task(TaskId, StreamRequest),
    /// To the node itself.
    Node(NodeRequest),
}

/// What an agent takes out at once.
pub(super) enum Taken {
    /// The attachment is over.
    Closed(DispatchError),
    /// Observations up to this one are durable.
    Acked(Seq),
    /// Somebody asks for a stream.
    Stream(StreamId, Asked),
    /// Assignments to be said anew, and tasks to be removed.
    Tasks { say: Vec<TaskId>, remove: Vec<TaskId> },
    /// Nothing.
    Nothing,
}

impl Mailbox {
    /// The assignment of a task is to be said, or taken back. `wake` afterwards.
    pub(super) fn mark(&self, task: TaskId, here: bool) {
        let mut state = self.state.lock();
        if here {
            state.say.insert(task);
        } else {
            state.say.remove(&task);
            state.remove.insert(task);
        }
    }

    /// Observations up to `seq` are durable. `wake` afterwards.
    pub(super) fn acked(&self, seq: Seq) {
        let mut state = self.state.lock();
        state.acked = state.acked.max(Some(seq));
    }

    /// Asks the agent to open a stream; says whether there was room.
    pub(super) fn open_stream(&self, id: StreamId, asked: Asked) -> bool {
        let mut state = self.state.lock();
        if state.closed.is_some() || state.streams.len() >= STREAMS {
            return false;
        }
        state.streams.push_back((id, asked));
        drop(state);
        self.wake();
        true
    }

    /// Ends the attachment; the first reason stands.
    pub(super) fn close(&self, why: DispatchError) {
        self.state.lock().closed.get_or_insert(why);
        self.closed.cancel();
        self.wake();
    }

    /// Resolves when the attachment is over.
    pub(super) fn token(&self) -> &CancellationToken {
        &self.closed
    }

    /// Has whoever waits look.
    pub(super) fn wake(&self) {
        self.notify.notify_one();
    }

    /// Waits until there may be something to take.
    pub(super) async fn wait(&self) {
        self.notify.notified().await;
    }

    /// Forgets which tasks are to be said: the full set will say them all.
    pub(super) fn clear_tasks(&self) {
        let mut state = self.state.lock();
        state.say.clear();
        state.remove.clear();
    }

    /// Takes out what comes next, at most `limit` tasks.
    pub(super) fn take(&self, limit: usize) -> Taken {
        let mut state = self.state.lock();
        if let Some(why) = &state.closed {
            return Taken::Closed(why.clone());
        }
        if let Some(seq) = state.acked.take() {
            return Taken::Acked(seq);
        }
        if let Some((id, asked)) = state.streams.pop_front() {
            return Taken::Stream(id, asked);
        }
        if state.say.is_empty() && state.remove.is_empty() {
            return Taken::Nothing;
        }
        let remove = std::mem::take(&mut state.remove).into_iter().collect();
        let say: Vec<_> = state.say.iter().take(limit).copied().collect();
        for id in &say {
            state.say.remove(id);
        }
        Taken::Tasks { say, remove }
    }
}
