//! Processes that were started in tasks, by the name that their client gave them: input comes by another request
//! than output goes, and how they ended is asked by a third.

use parking_lot::Mutex;
use plenum_contract::streams::StreamInput;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::sync::watch;

/// Processes that have ended and are still known: long enough for a client to ask how they did.
const REMEMBERED: usize = 256;

/// See the module's header. Short locks only.
#[derive(Default)]
pub(super) struct Sessions(Mutex<Known>);

#[derive(Default)]
struct Known {
    by_name: BTreeMap<String, Session>,
    /// Those that have ended, oldest first.
    ended: VecDeque<String>,
}

/// One process.
#[derive(Clone)]
pub(super) struct Session {
    /// Where its input goes; nowhere once it has ended.
    pub(super) input: Option<mpsc::Sender<StreamInput>>,
    /// How it ended: nothing while it runs, then its exit code, if it came to one.
    pub(super) end: watch::Receiver<Option<Option<i32>>>,
}

/// Whoever passes its output on, and says how it ended: at the latest when dropped.
pub(super) struct Running {
    sessions: Arc<Sessions>,
    name: String,
    end: watch::Sender<Option<Option<i32>>>,
    code: Option<i32>,
}

/// A process of this name is known already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a container of this id was launched before")]
pub(super) struct Taken;

impl Sessions {
    /// A process has been started.
    pub(super) fn begin(
        self: &Arc<Self>,
        name: &str,
        input: mpsc::Sender<StreamInput>,
    ) -> Result<Running, Taken> {
        let (end, seen) = watch::channel(None);
        let mut known = self.0.lock();
        if known.by_name.contains_key(name) {
            return Err(Taken);
        }
        let session = Session {
            input: Some(input),
            end: seen,
        };
        known.by_name.insert(name.to_owned(), session);
        Ok(Running {
            sessions: Arc::clone(self),
            name: name.to_owned(),
            end,
            code: None,
        })
    }

    /// The process of this name.
    pub(super) fn find(&self, name: &str) -> Option<Session> {
        self.0.lock().by_name.get(name).cloned()
    }
}

impl Running {
    /// It has ended by itself.
    pub(super) fn exited(&mut self, code: i32) {
        self.code = Some(code);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut known = self.sessions.0.lock();
        if let Some(session) = known.by_name.get_mut(&self.name) {
            session.input = None;
        }
        known.ended.push_back(std::mem::take(&mut self.name));
        if known.ended.len() > REMEMBERED
            && let Some(oldest) = known.ended.pop_front()
        {
            known.by_name.remove(&oldest);
        }
        drop(known);
        self.end.send_replace(Some(self.code));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_until_enough_others_have_ended_after_it() {
        let sessions = Arc::new(Sessions::default());
        let begin = |name: &str| sessions.begin(name, mpsc::channel(1).0);
        let mut first = begin("first").unwrap();
        assert!(begin("first").is_err() && sessions.find("first").unwrap().input.is_some());
        first.exited(3);
        drop(first);
        let session = sessions.find("first").unwrap();
        assert!(session.input.is_none() && *session.end.borrow() == Some(Some(3)));
        for n in 0..REMEMBERED {
            drop(begin(&n.to_string()).unwrap());
        }
        assert!(sessions.find("first").is_none() && sessions.find("255").is_some());
    }
}
