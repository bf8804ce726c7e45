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
mod tests {
    use super::*;
    use crate::plan::Kind;
    use crate::tests::canonical;

    fn limits() -> Limits {
        Limits {
            service_ports: 10_000..20_000,
            deployments: 3,
            versions: 3,
        }
    }

    fn occasion(ms: i64, force: Force) -> Occasion {
        Occasion {
            now: Stamp::from_ms(ms),
            deployment: format!("d{ms}"),
            force,
        }
    }

    fn become_(text: &str) -> (AppId, Wish) {
        let app = canonical(text).unwrap();
        (app.id.clone(), Wish::Become(Box::new(app)))
    }

    fn propose_one(
        desired: &Desired,
        wish: (AppId, Wish),
        ms: i64,
        force: Force,
    ) -> Result<Proposal, Refusal> {
        propose(desired, vec![wish], &occasion(ms, force), &limits()).map_err(|declined| declined.refusal)
    }

    fn a() -> AppId {
        AppId::from_root("/a")
    }

    fn with_a() -> Desired {
        let made = propose_one(
            &Desired::default(),
            become_(r#"{"id":"a","cmd":"one"}"#),
            1,
            Force::No,
        )
        .unwrap();
        Desired {
            deployments: Vec::new(),
            ..made.desired
        }
    }

    #[test]
    fn a_new_app_gets_ports_a_version_a_uid_and_a_deployment() {
        let made = propose_one(
            &Desired::default(),
            become_(r#"{"id":"a","cmd":"one"}"#),
            7,
            Force::No,
        )
        .unwrap();
        let record = made.desired.app(&a()).unwrap();
        assert_eq!(
            (record.uid.as_str(), record.app.version),
            ("/a@7", Stamp::from_ms(7))
        );
        assert_eq!(record.app.config.service_ports(), [10_000]);
        assert_eq!(made.put, [a()].into());
        assert_eq!(made.desired.deployments[0].current()[0].kind, Kind::Start);
    }

    #[test]
    fn a_change_under_a_deployment_is_locked_and_forcing_it_cancels_the_other() {
        let desired = propose_one(&with_a(), become_(r#"{"id":"a","cmd":"two"}"#), 2, Force::No)
            .unwrap()
            .desired;
        let again = become_(r#"{"id":"a","cmd":"three"}"#);
        let refused = propose_one(&desired, again.clone(), 3, Force::No).unwrap_err();
        assert_eq!(refused, Refusal::Locked(vec!["d2".into()]));
        let forced = propose_one(&desired, again, 3, Force::Yes).unwrap();
        assert_eq!(
            forced
                .cancelled
                .iter()
                .map(|d| d.plan.id.as_str())
                .collect::<Vec<_>>(),
            ["d2"]
        );
        assert_eq!(forced.desired.deployments.len(), 1);
    }

    #[test]
    fn nothing_changed_is_no_deployment_and_is_never_locked() {
        let desired = propose_one(&with_a(), become_(r#"{"id":"a","cmd":"two"}"#), 2, Force::No)
            .unwrap()
            .desired;
        let same = propose_one(&desired, become_(r#"{"id":"a","cmd":"two"}"#), 3, Force::No).unwrap();
        assert!(same.plan.steps().is_empty() && same.put.is_empty());
        assert_eq!(same.desired, desired);
    }

    #[test]
    fn too_many_deployments_are_refused() {
        let mut desired = Desired::default();
        for (i, id) in ["x", "y", "z"].iter().enumerate() {
            let wish = become_(&format!(r#"{{"id":"{id}","cmd":"one"}}"#));
            desired = propose_one(&desired, wish, i64::try_from(i).unwrap(), Force::No)
                .unwrap()
                .desired;
        }
        let more = become_(r#"{"id":"w","cmd":"one"}"#);
        assert_eq!(
            propose_one(&desired, more, 9, Force::No).unwrap_err(),
            Refusal::TooManyDeployments(3)
        );
    }

    #[test]
    fn a_wish_on_an_app_that_is_not_there_is_refused() {
        for wish in [Wish::Restart, Wish::Gone, Wish::Shrink([].into())] {
            let refused = propose_one(&Desired::default(), (a(), wish), 1, Force::Yes).unwrap_err();
            assert_eq!(refused, Refusal::NoApp(a(), None));
        }
    }

    #[test]
    fn an_app_cannot_be_where_a_group_is_nor_a_group_where_an_app_is() {
        let desired = propose_one(&with_a(), become_(r#"{"id":"/g/b","cmd":"one"}"#), 2, Force::No)
            .unwrap()
            .desired;
        for id in ["/g", "/a/c"] {
            let refused = propose_one(
                &desired,
                become_(&format!(r#"{{"id":"{id}","cmd":"one"}}"#)),
                3,
                Force::No,
            );
            assert_eq!(refused.unwrap_err().status(), 422, "{id}");
        }
    }

    #[test]
    fn a_deleted_app_is_stopped_by_its_uid_and_one_of_the_same_name_is_another() {
        let gone = propose_one(&with_a(), (a(), Wish::Gone), 2, Force::Yes).unwrap();
        assert!(gone.desired.apps.is_empty());
        assert_eq!(gone.plan.apps[&a()].stopped_uid.as_deref(), Some("/a@1"));
        let anew = propose_one(&gone.desired, become_(r#"{"id":"a","cmd":"one"}"#), 3, Force::Yes).unwrap();
        assert_eq!(anew.desired.app(&a()).unwrap().uid, "/a@3");
    }

    #[test]
    fn old_versions_are_dropped_beyond_the_limit() {
        let mut desired = with_a();
        let mut dropped = Vec::new();
        for n in 2..6_i64 {
            let wish = become_(&format!(r#"{{"id":"a","cmd":"one","instances":{n}}}"#));
            let next = propose_one(&desired, wish, n, Force::Yes).unwrap();
            dropped.extend(next.dropped_versions.iter().map(|(_, v)| v.ms()));
            desired = next.desired;
        }
        assert_eq!(dropped, [1, 2]);
        let kept: Vec<_> = desired
            .app(&a())
            .unwrap()
            .versions
            .keys()
            .map(|v| v.ms())
            .collect();
        assert_eq!(kept, [3, 4, 5]);
    }

    #[test]
    fn killing_with_scale_lowers_the_count_and_names_the_victims() {
        let desired = {
            let wish = become_(r#"{"id":"a","cmd":"one","instances":3}"#);
            let made = propose_one(&with_a(), wish, 2, Force::No).unwrap().desired;
            Desired {
                deployments: Vec::new(),
                ..made
            }
        };
        let victims: BTreeSet<_> = [TaskId([7; 16])].into();
        let shrunk = propose_one(&desired, (a(), Wish::Shrink(victims.clone())), 3, Force::No).unwrap();
        assert_eq!(shrunk.desired.app(&a()).unwrap().app.instances, 2);
        assert_eq!(shrunk.plan.apps[&a()].victims, victims);
        assert_eq!(shrunk.plan.steps()[0][0].kind, Kind::Scale);
    }

    #[test]
    fn reverting_brings_back_what_was_and_removes_what_is_new() {
        let changed = propose_one(&with_a(), become_(r#"{"id":"a","cmd":"two"}"#), 2, Force::No)
            .unwrap()
            .desired;
        let wishes = reverting(&changed, &changed.deployments[0]);
        let back = propose(&changed, wishes, &occasion(3, Force::Yes), &limits()).unwrap();
        assert_eq!(
            back.desired.app(&a()).unwrap().app.config.cmd.as_deref(),
            Some("one")
        );
        assert_eq!(back.plan.steps()[0][0].kind, Kind::Restart);

        let made = propose_one(
            &Desired::default(),
            become_(r#"{"id":"a","cmd":"one"}"#),
            1,
            Force::No,
        )
        .unwrap();
        let wishes = reverting(&made.desired, &made.desired.deployments[0]);
        assert_eq!(wishes, [(a(), Wish::Gone)]);
    }

    #[test]
    fn an_update_that_asks_for_any_port_keeps_its_own() {
        let desired = with_a();
        let next = propose_one(&desired, become_(r#"{"id":"a","cmd":"two"}"#), 2, Force::No).unwrap();
        assert_eq!(
            next.desired.app(&a()).unwrap().app.config.service_ports(),
            [10_000]
        );
    }
}
