//! Groups of which some must stay healthy: who belongs to each, so that a look at one does not go through all tasks.

use super::Ledger;
use plenum_model::claim::Budget;
use plenum_model::ids::{SchedulerId, TaskId};
use plenum_model::phase::Phase;
use std::collections::{BTreeMap, BTreeSet};

/// A group within the ledger.
pub type Group = (SchedulerId, String);

/// All groups.
#[derive(Debug, Default)]
pub struct Budgets(BTreeMap<Group, BTreeSet<TaskId>>);

impl Budgets {
    /// A task with a budget is there now, or is gone.
    pub fn put(&mut self, scheduler: &SchedulerId, budget: &Budget, id: TaskId, there: bool) {
        let group = (scheduler.clone(), budget.group.clone());
        let members = self.0.entry(group.clone()).or_default();
        if there {
            members.insert(id);
        } else {
            members.remove(&id);
        }
        if members.is_empty() {
            self.0.remove(&group);
        }
    }
}

impl Ledger {
    /// The group of a task, if it has one.
    #[must_use]
    pub fn group_of(&self, id: TaskId) -> Option<Group> {
        let task = &self.tasks.get(id)?.task;
        let budget = task.terms.budget.as_ref()?;
        Some((task.scheduler.clone(), budget.group.clone()))
    }

    /// Whether a task runs, is ready where it says whether it is, and is to stay.
    #[must_use]
    pub fn is_healthy(&self, id: TaskId) -> bool {
        self.tasks.get(id).is_some_and(|row| {
            let status = &row.task.status;
            let well = status.phase() == Phase::Running && status.ready != Some(false) && !status.unreachable;
            well && status.preempting.is_none() && !self.is_leaving(id)
        })
    }

    /// How many healthy tasks a group can spare.
    #[must_use]
    pub fn can_spare(&self, group: &Group) -> usize {
        let (healthy, least) = self.health(group);
        healthy.saturating_sub(least)
    }

    /// Whether as many of a group are healthy as must be.
    #[must_use]
    pub fn keeps(&self, group: &Group) -> bool {
        let (healthy, least) = self.health(group);
        healthy >= least
    }

    /// How many of a group are healthy, and how many must be.
    fn health(&self, group: &Group) -> (usize, usize) {
        let members = self.budgets.0.get(group);
        let members = members.into_iter().flatten().copied();
        let (mut healthy, mut least) = (0_usize, 0);
        for id in members {
            healthy += usize::from(self.is_healthy(id));
            let budget = self.tasks.get(id).and_then(|row| row.task.terms.budget.as_ref());
            least = budget.map_or(least, |budget| least.max(budget.min_healthy));
        }
        (healthy, usize::try_from(least).unwrap_or(usize::MAX))
    }
}
