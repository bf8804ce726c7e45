//! Deployments: which steps lead from the apps as they are to the apps as they shall be, what a deployment
//! locks, and how it is taken back. Steps say what shall be true, so a plan may be begun again at any time.

use crate::app::App;
use crate::group::Group;
use crate::past::Past;
use crate::path::AppId;
use crate::stamp::Stamp;
use plenum_model::ids::TaskId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One app before and after.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Difference {
    /// As it was; none: it is new.
    pub original: Option<Arc<App>>,
    /// As it shall be; none: it goes.
    pub target: Option<Arc<App>>,
    /// Tasks that the user named to go when it is scaled down.
    pub victims: BTreeSet<TaskId>,
    /// What its tasks belong to while it goes.
    pub stopped_uid: Option<String>,
    /// How many apps stand below it, itself included: lower layers start first and stop last.
    pub layer: u32,
}

/// One group before and after.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupDifference {
    /// As it was; none: it is new.
    pub original: Option<Group>,
    /// As it shall be; none: it goes.
    pub target: Option<Group>,
}

/// A deployment's plan.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// A uuid.
    pub id: String,
    /// The version of the tree that it makes.
    pub version: Stamp,
    /// The apps that it changes.
    pub apps: BTreeMap<AppId, Difference>,
    /// The groups that it changes; nothing is locked by these.
    pub groups: BTreeMap<AppId, GroupDifference>,
}

/// What a step does to one app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The app is there, with no instance yet.
    Start,
    /// Its tasks are gone.
    Stop,
    /// As many instances as wanted run.
    Scale,
    /// All instances run the new configuration.
    Restart,
}

impl Kind {
    /// The name in the API; clients crash on others.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "StartApplication",
            Self::Stop => "StopApplication",
            Self::Scale => "ScaleApplication",
            Self::Restart => "RestartApplication",
        }
    }
}

/// One action of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// What.
    pub kind: Kind,
    /// To which app.
    pub app: AppId,
}

/// Actions that go on side by side; never empty.
pub type Step = Vec<Action>;

impl Difference {
    /// What brings it about, once a new app is there.
    fn action(&self) -> Option<Kind> {
        let target = self.target.as_ref()?;
        let Some(original) = &self.original else {
            return Some(Kind::Scale);
        };
        let configured = original.config_version() != target.config_version();
        if target.instances == 0 || !configured {
            (original != target).then_some(Kind::Scale)
        } else {
            Some(Kind::Restart)
        }
    }
}

impl Plan {
    /// The steps, in order: what goes, from the top layer down; what is new, at once; then the changes, from
    /// the lowest layer up, those of a layer side by side.
    #[must_use]
    pub fn steps(&self) -> Vec<Step> {
        let stops = self.by_layer(|d| d.target.is_none().then_some(Kind::Stop));
        let is_new = |d: &Difference| (d.original.is_none() && d.target.is_some()).then_some(Kind::Start);
        let mut starts: Step = self.by_layer(is_new).into_values().flatten().collect();
        starts.sort_by(|a, b| a.app.cmp(&b.app));
        let changes = self.by_layer(Difference::action);
        let stops = stops.into_values().rev();
        let starts = (!starts.is_empty()).then_some(starts);
        stops.chain(starts).chain(changes.into_values()).collect()
    }

    fn by_layer(&self, kind_of: impl Fn(&Difference) -> Option<Kind>) -> BTreeMap<u32, Step> {
        let mut layers: BTreeMap<u32, Step> = BTreeMap::new();
        for (app, difference) in &self.apps {
            if let Some(kind) = kind_of(difference) {
                let app = app.clone();
                layers
                    .entry(difference.layer)
                    .or_default()
                    .push(Action { kind, app });
            }
        }
        layers
    }

    /// Whether it changes nothing at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.apps.is_empty() && self.groups.is_empty()
    }

    /// What it replaces.
    #[must_use]
    pub fn past(&self) -> Past {
        let app = |(id, d): (&AppId, &Difference)| (id.clone(), d.original.clone());
        let group = |(id, d): (&AppId, &GroupDifference)| (id.clone(), d.original.clone());
        Past {
            version: self.version,
            apps: self.apps.iter().map(app).collect(),
            groups: self.groups.iter().map(group).collect(),
        }
    }

    /// What it locks.
    pub fn affected(&self) -> impl Iterator<Item = &AppId> {
        self.apps.keys()
    }

    /// Whether it changes an app that `other` changes.
    #[must_use]
    pub fn conflicts_with(&self, other: &Self) -> bool {
        self.affected().any(|app| other.apps.contains_key(app))
    }
}

/// A deployment under way.
#[derive(Debug, Clone, PartialEq)]
pub struct Deployment {
    /// Its plan.
    pub plan: Arc<Plan>,
    /// The plan's steps.
    pub steps: Vec<Step>,
    /// Which of them is under way.
    pub step: usize,
}

/// What a deployment wants of one app at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Nothing: keep as many running as wanted.
    Keep,
    /// It waits for an earlier step: neither start nor stop anything.
    Hold,
    /// The number of instances changes.
    Scale,
    /// Instances are replaced.
    Restart,
}

impl Deployment {
    /// A deployment at the beginning of its plan.
    #[must_use]
    pub fn begin(plan: Plan) -> Self {
        let steps = plan.steps();
        Self {
            plan: Arc::new(plan),
            steps,
            step: 0,
        }
    }

    /// The actions under way; none once all steps are done.
    #[must_use]
    pub fn current(&self) -> &[Action] {
        self.steps.get(self.step).map_or(&[], Vec::as_slice)
    }

    /// What the tasks of apps belong to that it stops in a step after this one.
    pub fn stopped_later(&self) -> impl Iterator<Item = &str> {
        let later = self.steps.iter().skip(self.step + 1).flatten();
        let stops = later.filter(|a| a.kind == Kind::Stop);
        stops.filter_map(|a| self.plan.apps.get(&a.app)?.stopped_uid.as_deref())
    }

    /// What it wants of `app`; none if it does not concern it, or no more.
    #[must_use]
    pub fn mode(&self, app: &AppId) -> Option<Mode> {
        if !self.plan.apps.contains_key(app) {
            return None;
        }
        if let Some(action) = self.current().iter().find(|a| a.app == *app) {
            return Some(match action.kind {
                Kind::Start | Kind::Stop => Mode::Hold,
                Kind::Scale => Mode::Scale,
                Kind::Restart => Mode::Restart,
            });
        }
        let later = self
            .steps
            .iter()
            .skip(self.step + 1)
            .flatten()
            .any(|a| a.app == *app);
        later.then_some(Mode::Hold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::app_at;
    use crate::update;

    fn app(instances: u32, cmd: &str, version: i64) -> App {
        app_at(
            &format!(r#"{{"id":"/a","cmd":"{cmd}","instances":{instances}}}"#),
            version,
        )
    }

    fn after(old: &App, instances: u32, cmd: &str, version: i64) -> App {
        let new = update::of_version(&app(instances, cmd, 0));
        update::changed(old, new, Stamp::from_ms(version)).unwrap_or_else(|| old.clone())
    }

    fn plan(differences: Vec<(&str, Option<App>, Option<App>)>) -> Plan {
        let difference = |original: Option<App>, target: Option<App>| Difference {
            original: original.map(Arc::new),
            target: target.map(Arc::new),
            layer: 1,
            ..Difference::default()
        };
        let apps = differences
            .into_iter()
            .map(|(id, o, t)| (AppId::from_root(id), difference(o, t)));
        Plan {
            id: "d".into(),
            version: Stamp::from_ms(9),
            apps: apps.collect(),
            ..Plan::default()
        }
    }

    fn shown(plan: &Plan) -> Vec<String> {
        let action = |a: &Action| format!("{}{}", a.kind.name(), a.app);
        plan.steps()
            .iter()
            .map(|step| step.iter().map(action).collect::<Vec<_>>().join(" "))
            .collect()
    }

    #[test]
    fn the_steps_follow_what_changes() {
        let old = app(2, "one", 1);
        for (original, target, steps) in [
            (
                None,
                Some(app(2, "one", 1)),
                &["StartApplication/a", "ScaleApplication/a"][..],
            ),
            (Some(old.clone()), None, &["StopApplication/a"]),
            (
                Some(old.clone()),
                Some(after(&old, 5, "one", 2)),
                &["ScaleApplication/a"],
            ),
            (
                Some(old.clone()),
                Some(after(&old, 2, "two", 2)),
                &["RestartApplication/a"],
            ),
            (
                Some(old.clone()),
                Some(after(&old, 5, "two", 2)),
                &["RestartApplication/a"],
            ),
            (
                Some(old.clone()),
                Some(after(&old, 0, "two", 2)),
                &["ScaleApplication/a"],
            ),
            (
                Some(old.clone()),
                Some(update::restarted(&old, Stamp::from_ms(2))),
                &["RestartApplication/a"],
            ),
            (Some(old.clone()), Some(old.clone()), &[]),
        ] {
            assert_eq!(shown(&plan(vec![("/a", original, target)])), steps);
        }
    }

    #[test]
    fn what_goes_comes_first_and_what_is_new_starts_before_anything_scales() {
        let (a, b, c) = (app(1, "one", 1), app(1, "one", 1), app(1, "one", 1));
        let p = plan(vec![
            ("/a", Some(a), None),
            ("/b", None, Some(b.clone())),
            ("/c", Some(c.clone()), Some(after(&c, 3, "one", 2))),
        ]);
        assert_eq!(
            shown(&p),
            [
                "StopApplication/a",
                "StartApplication/b",
                "ScaleApplication/b ScaleApplication/c"
            ]
        );
        let mut d = Deployment::begin(p);
        let of = |d: &Deployment, id| d.mode(&AppId::from_root(id));
        assert_eq!(
            (of(&d, "/b"), of(&d, "/c"), of(&d, "/x")),
            (Some(Mode::Hold), Some(Mode::Hold), None)
        );
        d.step = 2;
        assert_eq!(
            (of(&d, "/a"), of(&d, "/b"), of(&d, "/c")),
            (None, Some(Mode::Scale), Some(Mode::Scale))
        );
        d.step = 3;
        assert!(d.current().is_empty() && of(&d, "/c").is_none());
    }

    #[test]
    fn plans_conflict_when_they_share_an_app() {
        let p = |id| plan(vec![(id, None, Some(app(1, "one", 1)))]);
        assert!(p("/a").conflicts_with(&p("/a")));
        assert!(!p("/a").conflicts_with(&p("/b")));
    }

    #[test]
    fn layers_start_from_below_and_stop_from_above() {
        let app = || Some(app(1, "one", 1));
        let changed = |a: Option<App>| a.map(|a| after(&a, 2, "one", 2));
        let mut p = plan(vec![
            ("/db", None, app()),
            ("/api", app(), changed(app())),
            ("/web", None, app()),
            ("/old-db", app(), None),
            ("/old-web", app(), None),
        ]);
        for (id, layer) in [
            ("/db", 1),
            ("/api", 2),
            ("/web", 3),
            ("/old-db", 1),
            ("/old-web", 2),
        ] {
            p.apps.get_mut(&AppId::from_root(id)).unwrap().layer = layer;
        }
        assert_eq!(
            shown(&p),
            [
                "StopApplication/old-web",
                "StopApplication/old-db",
                "StartApplication/db StartApplication/web",
                "ScaleApplication/db",
                "ScaleApplication/api",
                "ScaleApplication/web",
            ]
        );
    }
}
