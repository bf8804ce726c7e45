//! Deployments: which steps lead from the apps as they are to the apps as they shall be, what a deployment
//! locks, and how it is taken back. Steps say what shall be true, so a plan may be begun again at any time.

use crate::app::App;
use crate::path::AppId;
use crate::stamp::Stamp;
use plenum_model::ids::TaskId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// One app before and after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// As it was; none: it is new.
    pub original: Option<App>,
    /// As it shall be; none: it goes.
    pub target: Option<App>,
    /// Tasks that the user named to go when it is scaled down.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub victims: BTreeSet<TaskId>,
    /// What its tasks belong to while it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_uid: Option<String>,
}

/// A deployment's plan. What is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// A uuid.
    pub id: String,
    /// The version of the apps that it makes.
    pub version: Stamp,
    /// What it changes.
    pub apps: BTreeMap<AppId, Difference>,
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
    /// The steps, in order: what goes, what is new, then every change side by side.
    #[must_use]
    pub fn steps(&self) -> Vec<Step> {
        let step = |kind_of: &dyn Fn(&Difference) -> Option<Kind>| -> Step {
            let actions = self.apps.iter().filter_map(|(app, difference)| {
                kind_of(difference).map(|kind| Action {
                    kind,
                    app: app.clone(),
                })
            });
            actions.collect()
        };
        let all = [
            step(&|d| d.target.is_none().then_some(Kind::Stop)),
            step(&|d| (d.original.is_none() && d.target.is_some()).then_some(Kind::Start)),
            step(&Difference::action),
        ];
        all.into_iter().filter(|actions| !actions.is_empty()).collect()
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

    /// What taking it back makes of its apps: each as it was, or gone.
    #[must_use]
    pub fn reverted(&self) -> BTreeMap<AppId, Option<App>> {
        self.apps
            .iter()
            .map(|(id, d)| (id.clone(), d.original.clone()))
            .collect()
    }
}

/// A deployment under way.
#[derive(Debug, Clone, PartialEq)]
pub struct Deployment {
    /// Its plan.
    pub plan: Plan,
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
        Self { plan, steps, step: 0 }
    }

    /// The actions under way; none once all steps are done.
    #[must_use]
    pub fn current(&self) -> &[Action] {
        self.steps.get(self.step).map_or(&[], Vec::as_slice)
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
        let difference = |original, target| Difference {
            original,
            target,
            victims: [].into(),
            stopped_uid: None,
        };
        let apps = differences
            .into_iter()
            .map(|(id, o, t)| (AppId::from_root(id), difference(o, t)));
        Plan {
            id: "d".into(),
            version: Stamp::from_ms(9),
            apps: apps.collect(),
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
    fn a_plan_reads_back_from_the_store() {
        let p = plan(vec![("/a", Some(app(1, "one", 1)), None)]);
        let bytes = serde_json::to_vec(&p).unwrap();
        assert_eq!(serde_json::from_slice::<Plan>(&bytes).unwrap(), p);
    }
}
