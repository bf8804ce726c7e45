//! The life cycle of a task as one exhaustive transition function. Within an incarnation a task only moves
//! forward; what ended is final there. That its node is silent is a fact about the node, not a phase.

use crate::ids::Incarnation;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How far a task has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Claimed, no room yet.
    Pending,
    /// A node is assigned and charged.
    Placed,
    /// The agent fetches what it needs and creates the containers.
    Preparing,
    /// Created and not started: held, or waiting to restart in place.
    Prepared,
    /// Being started.
    Starting,
    /// Its main processes run.
    Running,
    /// Asked to stop, not yet gone.
    Stopping,
    /// Ended by itself with success.
    Finished,
    /// Ended by itself, or could not start, with the reason in the status.
    Failed,
    /// Ended because it was asked to.
    Stopped,
    /// Its node was silent too long. Final for good: a copy that returns is stopped.
    Lost,
    /// It can never run as asked. Final for good.
    Rejected,
}

/// What a phase allows next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A step of the way, by its place.
    Step(u8),
    /// The end of an incarnation; another may follow.
    Ended,
    /// The end of the task.
    Gone,
}

impl Phase {
    /// Every phase, for tests over all pairs and for tables.
    pub const ALL: [Self; 12] = [
        Self::Pending,
        Self::Placed,
        Self::Preparing,
        Self::Prepared,
        Self::Starting,
        Self::Running,
        Self::Stopping,
        Self::Finished,
        Self::Failed,
        Self::Stopped,
        Self::Lost,
        Self::Rejected,
    ];

    fn kind(self) -> Kind {
        match self {
            Self::Pending => Kind::Step(0),
            Self::Placed => Kind::Step(1),
            Self::Preparing => Kind::Step(2),
            Self::Prepared => Kind::Step(3),
            Self::Starting => Kind::Step(4),
            Self::Running => Kind::Step(5),
            Self::Stopping => Kind::Step(6),
            Self::Finished | Self::Failed | Self::Stopped => Kind::Ended,
            Self::Lost | Self::Rejected => Kind::Gone,
        }
    }

    /// Whether nothing of this incarnation runs any more.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        !matches!(self.kind(), Kind::Step(_))
    }

    /// Whether no later incarnation can follow.
    #[must_use]
    pub fn is_final(self) -> bool {
        self.kind() == Kind::Gone
    }

    /// The phase after `seen` was observed in the same incarnation, or `None` if that tells nothing new.
    /// Steps may be skipped (an agent reports the newest it saw), never taken back.
    #[must_use]
    pub fn next(self, seen: Self) -> Option<Self> {
        match (self.kind(), seen.kind()) {
            (Kind::Step(have), Kind::Step(got)) => (got > have).then_some(seen),
            (Kind::Step(_), Kind::Ended | Kind::Gone) => Some(seen),
            (Kind::Ended | Kind::Gone, Kind::Step(_) | Kind::Ended | Kind::Gone) => None,
        }
    }

    /// The name as users read it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Placed => "placed",
            Self::Preparing => "preparing",
            Self::Prepared => "prepared",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
            Self::Lost => "lost",
            Self::Rejected => "rejected",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A phase in its incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Progress {
    /// Which restart in place this is of.
    pub incarnation: Incarnation,
    /// How far it has come.
    pub phase: Phase,
}

impl Progress {
    /// Claimed, nothing done yet.
    pub const START: Self = Self {
        incarnation: Incarnation(0),
        phase: Phase::Pending,
    };

    /// The progress after `seen` was observed, or `None` if that is the past or tells nothing new.
    #[must_use]
    pub fn next(self, seen: Self) -> Option<Self> {
        if self.phase.is_final() || seen.incarnation < self.incarnation {
            return None;
        }
        if seen.incarnation > self.incarnation {
            return Some(seen);
        }
        self.phase.next(seen.phase).map(|phase| Self { phase, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_all_pairs_only_forward_and_ends_are_final() {
        for (i, a) in Phase::ALL.into_iter().enumerate() {
            for (j, b) in Phase::ALL.into_iter().enumerate() {
                let next = a.next(b);
                assert!(
                    next.is_none() || next == Some(b),
                    "{a} {b}: a transition goes where it was seen"
                );
                let forward = !a.is_terminal() && (b.is_terminal() || j > i);
                assert_eq!(next.is_some(), forward, "{a} -> {b}");
            }
        }
    }

    #[test]
    fn over_all_pairs_a_new_incarnation_follows_all_but_what_is_gone() {
        for a in Phase::ALL {
            for b in Phase::ALL {
                let old = Progress {
                    incarnation: Incarnation(1),
                    phase: a,
                };
                let new = Progress {
                    incarnation: Incarnation(2),
                    phase: b,
                };
                assert_eq!(old.next(new).is_some(), !a.is_final(), "{a} -> next {b}");
                assert_eq!(new.next(old), None, "the past is refused");
            }
        }
    }
}
