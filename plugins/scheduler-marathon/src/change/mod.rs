//! What a request makes of what is wanted: pure. The desk stores the result before anybody sees it.

mod apply;
pub mod revert;

use crate::app::App;
use crate::canonical::Canonical;
use crate::config::MarathonConfig;
use crate::dependency::{self, Cyclic};
use crate::desired::{AppRecord, Desired};
use crate::group::Group;
use crate::past::Past;
use crate::path::AppId;
use crate::plan::{Deployment, Plan};
use crate::refusal::{Detail, Refusal};
use crate::service_ports::Taken;
use crate::stamp::Stamp;
use plenum_model::ids::TaskId;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

/// What is wished of one app, or of one group.
#[derive(Debug, Clone, PartialEq)]
pub enum Wish {
    /// That it is this; made if it is not there.
    Become(Box<Canonical>),
    /// That all its tasks are replaced.
    Restart,
    /// That it has so many instances less, and that these tasks go first.
    Shrink(BTreeSet<TaskId>),
    /// That it is gone.
    Gone,
    /// That there is a group of this name, as said; made if it is not there.
    Group(Group),
    /// That there is no group of this name; its members are wished away one by one.
    NoGroup,
}

/// Whether a change may cancel deployments that stand in its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Force {
    /// It may.
    Yes,
    /// It is refused instead.
    No,
}

/// Bounds that a change keeps to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Service ports that may be given out.
    pub service_ports: Range<u16>,
    /// Deployments under way at once.
    pub deployments: usize,
    /// Versions kept of one app, and of the tree.
    pub versions: usize,
}

impl Limits {
    /// Those that are configured.
    #[must_use]
    pub fn of(config: &MarathonConfig) -> Self {
        Self {
            service_ports: config.service_ports(),
            deployments: config.max_running_deployments,
            versions: config.max_versions,
        }
    }
}

/// When, and under which name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occasion {
    /// Now.
    pub now: Stamp,
    /// The id of the deployment: a uuid made by the caller.
    pub deployment: String,
    /// Whether others may be cancelled.
    pub force: Force,
}

/// A change that is not refused.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// What is wanted then.
    pub desired: Desired,
    /// How it comes about. Without steps there is nothing to do and no deployment.
    pub plan: Plan,
    /// Deployments that it cancelled.
    pub cancelled: Vec<Arc<Deployment>>,
    /// Apps whose record is new or changed.
    pub put: BTreeSet<AppId>,
    /// Records that are gone.
    pub removed: Vec<Arc<AppRecord>>,
    /// Versions that are too old to be kept, by the app's uid.
    pub dropped_versions: Vec<(String, Stamp)>,
    /// Changes that are too old to be kept.
    pub dropped_past: Vec<Arc<Past>>,
    /// The service ports of all apps then.
    pub ports: Taken,
}

/// A change that is refused.
#[derive(Debug, Clone, PartialEq)]
pub struct Declined {
    /// Why.
    pub refusal: Refusal,
    /// The plan that was refused, if it came so far.
    pub plan: Option<Plan>,
}

impl From<Refusal> for Box<Declined> {
    fn from(refusal: Refusal) -> Self {
        Self::new(Declined { refusal, plan: None })
    }
}

/// What `wishes` make of `desired`.
///
/// # Errors
/// `NoApp` for a wish on an app that is not there, `Argument` when no service port is free, `Rules` when the
/// tree that comes of it is none, `Locked` and `TooManyDeployments` unless forced.
pub fn propose(
    desired: &Desired,
    wishes: Vec<(AppId, Wish)>,
    occasion: &Occasion,
    limits: &Limits,
) -> Result<Proposal, Box<Declined>> {
    let mut proposal = Proposal::nothing(desired, occasion);
    for (id, wish) in wishes {
        proposal.take(&id, wish, limits)?;
    }
    if proposal.plan.is_empty() {
        return Ok(proposal);
    }
    proposal.order(desired)?;
    if let Err(refusal) = proposal.lock(occasion.force, limits.deployments) {
        return Err(Box::new(Declined {
            refusal,
            plan: Some(proposal.plan),
        }));
    }
    proposal.remember(limits.versions);
    let deployment = Deployment::begin(proposal.plan.clone());
    if !deployment.steps.is_empty() {
        proposal.desired.deployments.push(Arc::new(deployment));
    }
    Ok(proposal)
}

impl Proposal {
    fn nothing(desired: &Desired, occasion: &Occasion) -> Self {
        let plan = Plan {
            id: occasion.deployment.clone(),
            version: desired.next_version(occasion.now),
            ..Plan::default()
        };
        let mut ports = Taken::default();
        desired.apps.values().for_each(|r| ports.add(&r.app.config));
        Self {
            ports,
            desired: desired.clone(),
            plan,
            cancelled: Vec::new(),
            put: BTreeSet::new(),
            removed: Vec::new(),
            dropped_versions: Vec::new(),
            dropped_past: Vec::new(),
        }
    }

    /// Checks the tree that came of the wishes, and says which apps start before which.
    fn order(&mut self, before: &Desired) -> Result<(), Refusal> {
        self.check_names()?;
        let circle = |e: Cyclic| Refusal::Rules(vec![Detail::new("/", e.to_string())]);
        let apps = |of: &Desired| -> Vec<Arc<App>> { of.apps.values().map(|r| Arc::clone(&r.app)).collect() };
        let (now, was) = (apps(&self.desired), apps(before));
        let now = dependency::layers(now.iter().map(|a| &**a), &self.desired.groups).map_err(circle)?;
        // what is stored has been checked; a tree that is not in order is still taken down
        let was = dependency::layers(was.iter().map(|a| &**a), &before.groups).unwrap_or_default();
        for (id, difference) in &mut self.plan.apps {
            let layers = if difference.target.is_some() { &now } else { &was };
            difference.layer = layers.of(id);
        }
        Ok(())
    }

    /// Apps and groups share one space of names.
    fn check_names(&self) -> Result<(), Refusal> {
        let apps = &self.desired.apps;
        let app_clashes = |id: &AppId| {
            apps.contains_key(id)
                && (self.desired.groups.contains_key(id) || id.ancestors().any(|a| apps.contains_key(&a)))
        };
        let group_clashes = |id: &AppId| {
            self.desired.groups.contains_key(id)
                && (apps.contains_key(id) || id.ancestors().any(|a| apps.contains_key(&a)))
        };
        if self.plan.apps.keys().any(app_clashes) || self.plan.groups.keys().any(group_clashes) {
            let error = "Groups and Applications may not have the same identifier.";
            return Err(Refusal::Rules(vec![Detail::new("/", error)]));
        }
        Ok(())
    }

    fn lock(&mut self, force: Force, most: usize) -> Result<(), Refusal> {
        let conflicts = self.desired.conflicts(&self.plan);
        if !conflicts.is_empty() && force == Force::No {
            return Err(Refusal::Locked(conflicts));
        }
        let (cancelled, kept): (Vec<_>, Vec<_>) = self
            .desired
            .deployments
            .drain(..)
            .partition(|d| conflicts.contains(&d.plan.id));
        if kept.len() >= most && force == Force::No {
            return Err(Refusal::TooManyDeployments(most));
        }
        (self.cancelled, self.desired.deployments) = (cancelled, kept);
        Ok(())
    }

    /// Makes the next version of the tree.
    fn remember(&mut self, most: usize) {
        let history = &mut self.desired.history;
        self.desired.version = self.plan.version;
        history.push(Arc::new(self.plan.past()));
        let surplus = history.len().saturating_sub(most);
        self.dropped_past = history.drain(..surplus).collect();
    }
}

#[cfg(test)]
mod tests;
