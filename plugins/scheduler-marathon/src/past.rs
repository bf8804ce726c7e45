//! Versions of the tree of apps and groups, kept by what each change replaced: the tree of before is the tree of
//! now with the newest changes taken back. So a version costs what changed and not what there is.

use crate::app::App;
use crate::group::Group;
use crate::path::AppId;
use crate::stamp::Stamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a change replaced.
#[derive(Debug, Clone, PartialEq)]
pub struct Past {
    /// The version that the change made.
    pub version: Stamp,
    /// The apps that it changed, as they were; none: they were not there.
    pub apps: BTreeMap<AppId, Option<Arc<App>>>,
    /// The groups that it changed, likewise.
    pub groups: BTreeMap<AppId, Option<Group>>,
}

/// All apps and groups at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tree {
    /// What it is called by; all groups in it have this version.
    pub version: Stamp,
    /// By id.
    pub apps: BTreeMap<AppId, Arc<App>>,
    /// By id; the root only if it has dependencies.
    pub groups: BTreeMap<AppId, Group>,
}

impl Tree {
    /// Takes a change back.
    fn undo(&mut self, past: &Past) {
        restore(&mut self.apps, &past.apps);
        restore(&mut self.groups, &past.groups);
    }

    /// Whether there is such a group.
    #[must_use]
    pub fn has_group(&self, id: &AppId) -> bool {
        id.is_root() || self.groups.contains_key(id)
    }

    /// The tree as it was at each version from this one down, newest first. `history` is oldest first and ends
    /// with the change that made this one; what was before the oldest change has no version.
    pub fn back<'a>(self, history: &'a [Arc<Past>]) -> impl Iterator<Item = Self> + 'a {
        let mut next = Some(self);
        let mut older = history.iter().rev();
        std::iter::from_fn(move || {
            let tree = next.take()?;
            if let (Some(past), Some(before)) = (older.next(), older.clone().next()) {
                let mut earlier = tree.clone();
                earlier.undo(past);
                earlier.version = before.version;
                next = Some(earlier);
            }
            Some(tree)
        })
    }
}

fn restore<T: Clone>(there: &mut BTreeMap<AppId, T>, was: &BTreeMap<AppId, Option<T>>) {
    for (id, before) in was {
        match before {
            Some(before) => there.insert(id.clone(), before.clone()),
            None => there.remove(id),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::app_at;

    #[test]
    fn a_tree_goes_back_version_by_version_and_ends_at_the_oldest_change() {
        let at = |ms| Arc::new(app_at(r#"{"id":"/g/a","cmd":"xx"}"#, ms));
        let id = AppId::from_root("/g/a");
        let past = |version, before: Option<Arc<App>>, group: Option<Option<Group>>| {
            let group = group.map(|g| (AppId::from_root("/g"), g));
            Arc::new(Past {
                version: Stamp::from_ms(version),
                apps: [(id.clone(), before)].into(),
                groups: group.into_iter().collect(),
            })
        };
        let history = [
            past(1, None, Some(None)),
            past(2, Some(at(1)), None),
            past(3, Some(at(2)), Some(Some(Group::default()))),
        ];
        let now = Tree {
            version: Stamp::from_ms(3),
            ..Tree::default()
        };
        let shown: Vec<_> = now
            .back(&history)
            .map(|t| {
                let app = t.apps.get(&id).map(|a| a.version.ms());
                (t.version.ms(), app, t.has_group(&AppId::from_root("/g")))
            })
            .collect();
        assert_eq!(shown, [(3, None, false), (2, Some(2), true), (1, Some(1), true)]);
        assert_eq!(Tree::default().back(&[]).count(), 1);
    }
}
