//! A core on which placements are only tried. Choosing and booking are those of the live core, with the limits of
//! tenants and the rules about other tasks; nothing it decides is a fact, and no task's record changes.

use super::Core;
use crate::place::choose::Chosen;
use plenum_model::ids::TaskId;

/// A core that decides nothing any more: it can only be tried what would be.
#[derive(Debug)]
pub struct Trial(Core);

impl Core {
    /// Gives up deciding.
    #[must_use]
    pub fn into_trial(self) -> Trial {
        Trial(self)
    }
}

impl Trial {
    /// Takes off its node what a task holds in full: where its record says, or where it was tried last.
    pub fn take_off(&mut self, id: TaskId, (node, ports): &Chosen) {
        self.0.ledger.book_on_trial(id, *node, ports, false);
    }

    /// Decides where a task goes that holds nothing, as it is claimed, and books it there; none: it finds no room, or
    /// its tenant has reached a limit.
    pub fn place(&mut self, id: TaskId) -> Option<Chosen> {
        let terms = self.0.ledger.tasks.get(id)?.terms;
        self.0.prepare(terms);
        if self.0.limit(terms, None).is_some() {
            return None;
        }
        let exact = self.0.config.exact_nodes;
        let chosen = self.0.question(terms, id, (None, None), |q| q.among_all(exact))?;
        self.0.ledger.book_on_trial(id, chosen.0, &chosen.1, true);
        Some(chosen)
    }
}
