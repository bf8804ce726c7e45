//! What a request makes of what is wanted: pure. The desk stores the result before anybody sees it.

use crate::app::App;
use crate::canonical::Canonical;
use crate::desired::{AppRecord, Desired};
use crate::path::AppId;
use crate::plan::{Deployment, Difference, Plan};
use crate::refusal::{Detail, Refusal};
use crate::service_ports;
use crate::stamp::Stamp;
use crate::update;
use plenum_model::ids::TaskId;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

/// What is wished of one app.
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
    /// Versions kept of one app.
    pub versions: usize,
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
/// `NoApp` for a wish on an app that is not there, `Locked` and `TooManyDeployments` unless forced,
/// `Argument` when no service port is free.
pub fn propose(
    desired: &Desired,
    wishes: Vec<(AppId, Wish)>,
    occasion: &Occasion,
    limits: &Limits,
) -> Result<Proposal, Box<Declined>> {
    let version = desired.next_version(occasion.now);
    let plan = Plan {
        id: occasion.deployment.clone(),
        version,
        apps: BTreeMap::new(),
    };
    let mut proposal = Proposal {
        desired: desired.clone(),
        plan,
        cancelled: Vec::new(),
        put: BTreeSet::new(),
        removed: Vec::new(),
        dropped_versions: Vec::new(),
    };
    for (id, wish) in wishes {
        proposal.take(&id, wish, limits)?;
    }
    if proposal.plan.apps.is_empty() {
        return Ok(proposal);
    }
    if let Err(refusal) = proposal.lock(occasion.force, limits.deployments) {
        return Err(Box::new(Declined {
            refusal,
            plan: Some(proposal.plan),
        }));
    }
    let deployment = Deployment::begin(proposal.plan.clone());
    proposal.desired.deployments.push(Arc::new(deployment));
    Ok(proposal)
}

impl Proposal {
    fn take(&mut self, id: &AppId, wish: Wish, limits: &Limits) -> Result<(), Refusal> {
        let record = self.desired.app(id).cloned();
        match (record, wish) {
            (None, Wish::Become(new)) => self.create(id, *new, limits),
            (Some(record), Wish::Become(new)) => self.change(id, &record, *new, limits),
            (Some(record), Wish::Restart) => {
                let app = update::restarted(&record.app, self.plan.version);
                self.put(id, &record, app, BTreeSet::new(), limits);
                Ok(())
            }
            (Some(record), Wish::Shrink(victims)) => {
                let mut new = update::of_version(&record.app);
                new.instances = new
                    .instances
                    .saturating_sub(u32::try_from(victims.len()).unwrap_or(u32::MAX));
                if let Some(app) = update::changed(&record.app, new, self.plan.version) {
                    self.put(id, &record, app, victims, limits);
                }
                Ok(())
            }
            (Some(record), Wish::Gone) => {
                self.remove(id, record);
                Ok(())
            }
            (None, Wish::Restart | Wish::Shrink(_) | Wish::Gone) => Err(Refusal::NoApp(id.clone(), None)),
        }
    }

    fn create(&mut self, id: &AppId, mut new: Canonical, limits: &Limits) -> Result<(), Refusal> {
        let clash = |other: &AppId| other.is_within(id) || id.is_within(other);
        if self.desired.apps.keys().any(clash) {
            let error = "Groups and Applications may not have the same identifier.";
            return Err(Refusal::Rules(vec![Detail::new("/", error)]));
        }
        self.number_ports(&mut new, &[], limits)?;
        let app = Arc::new(update::created(new, self.plan.version));
        let record = AppRecord {
            uid: format!("{id}@{}", self.plan.version.ms()),
            versions: [(app.version, Arc::clone(&app))].into(),
            app: Arc::clone(&app),
        };
        self.desired.apps.insert(id.clone(), Arc::new(record));
        self.put.insert(id.clone());
        self.note(id, None, Some((*app).clone()), BTreeSet::new());
        Ok(())
    }

    fn change(
        &mut self,
        id: &AppId,
        record: &AppRecord,
        mut new: Canonical,
        limits: &Limits,
    ) -> Result<(), Refusal> {
        let own = record.app.config.service_ports();
        self.number_ports(&mut new, &own, limits)?;
        if let Some(app) = update::changed(&record.app, new, self.plan.version) {
            self.put(id, record, app, BTreeSet::new(), limits);
        }
        Ok(())
    }

    fn put(&mut self, id: &AppId, record: &AppRecord, app: App, victims: BTreeSet<TaskId>, limits: &Limits) {
        let app = Arc::new(app);
        let mut versions = record.versions.clone();
        versions.insert(app.version, Arc::clone(&app));
        while versions.len() > limits.versions {
            let Some((oldest, _)) = versions.pop_first() else {
                break;
            };
            self.dropped_versions.push((record.uid.clone(), oldest));
        }
        let next = AppRecord {
            uid: record.uid.clone(),
            versions,
            app: Arc::clone(&app),
        };
        self.desired.apps.insert(id.clone(), Arc::new(next));
        self.put.insert(id.clone());
        self.note(id, Some((*record.app).clone()), Some((*app).clone()), victims);
    }

    fn remove(&mut self, id: &AppId, record: Arc<AppRecord>) {
        self.desired.apps.remove(id);
        self.put.remove(id);
        self.note(id, Some((*record.app).clone()), None, BTreeSet::new());
        if let Some(difference) = self.plan.apps.get_mut(id) {
            difference.stopped_uid = Some(record.uid.clone());
        }
        self.removed.push(record);
    }

    /// An app that is named twice in one request differs from what it was before the request.
    fn note(&mut self, id: &AppId, original: Option<App>, target: Option<App>, victims: BTreeSet<TaskId>) {
        let original = match self.plan.apps.remove(id) {
            Some(earlier) => earlier.original,
            None => original,
        };
        let difference = Difference {
            original,
            target,
            victims,
            stopped_uid: None,
        };
        self.plan.apps.insert(id.clone(), difference);
    }

    fn number_ports(&self, new: &mut Canonical, own: &[u16], limits: &Limits) -> Result<(), Refusal> {
        let taken = self.desired.service_ports(&new.id);
        service_ports::assign(&mut new.config, own, &taken, &limits.service_ports)
            .map_err(|e| Refusal::Argument(e.to_string()))
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
}

/// The wishes that take `deployment` back: its apps become what they were before it.
#[must_use]
pub fn reverting(desired: &Desired, deployment: &Deployment) -> Vec<(AppId, Wish)> {
    let back = deployment
        .plan
        .reverted()
        .into_iter()
        .filter_map(|(id, original)| {
            let wish = match original {
                Some(app) => Wish::Become(Box::new(update::of_version(&app))),
                None => Wish::Gone,
            };
            let there = desired.app(&id).is_some();
            (there || wish != Wish::Gone).then_some((id, wish))
        });
    back.collect()
}

#[cfg(test)]
mod tests;
