//! A group with all below it, as answers and events show it.

use crate::group::Group;
use crate::path::AppId;
use crate::stamp::Stamp;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Which parts of a group are shown; the others are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    /// Its apps.
    pub apps: bool,
    /// The groups in it.
    pub groups: bool,
    /// Its pods, of which there are none.
    pub pods: bool,
}

impl Parts {
    /// Everything.
    pub const ALL: Self = Self {
        apps: true,
        groups: true,
        pods: true,
    };
}

/// A group. `A` is what is shown of an app.
#[derive(Debug, Clone, Serialize)]
pub struct GroupAnswer<A> {
    id: AppId,
    #[serde(skip_serializing_if = "Option::is_none")]
    apps: Option<Vec<A>>,
    dependencies: BTreeSet<AppId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<Vec<GroupAnswer<A>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pods: Option<[(); 0]>,
    version: Stamp,
}

/// What stands in the tree, by path.
#[derive(Debug)]
pub struct Members<'a, A> {
    /// The version of all groups.
    pub version: Stamp,
    /// Every group; the root need not be there.
    pub groups: &'a BTreeMap<AppId, Group>,
    /// The apps.
    pub apps: BTreeMap<AppId, A>,
}

impl<A> GroupAnswer<A> {
    /// The group `id`, with all below it.
    #[must_use]
    pub fn of(id: &AppId, mut members: Members<'_, A>, parts: Parts) -> Self {
        let mut direct: BTreeMap<AppId, Vec<A>> = BTreeMap::new();
        while let Some((app, shown)) = members.apps.pop_first() {
            direct.entry(app.parent()).or_default().push(shown);
        }
        let mut inner: BTreeMap<AppId, Vec<&AppId>> = BTreeMap::new();
        for group in members.groups.keys().filter(|g| !g.is_root()) {
            inner.entry(group.parent()).or_default().push(group);
        }
        Self::grown(id, members.groups, members.version, parts, &mut direct, &inner)
    }

    fn grown(
        id: &AppId,
        groups: &BTreeMap<AppId, Group>,
        version: Stamp,
        parts: Parts,
        apps: &mut BTreeMap<AppId, Vec<A>>,
        inner: &BTreeMap<AppId, Vec<&AppId>>,
    ) -> Self {
        let below = inner.get(id).map_or(&[][..], Vec::as_slice);
        let mut grow = |group: &&AppId| Self::grown(group, groups, version, parts, apps, inner);
        let below = parts.groups.then(|| below.iter().map(&mut grow).collect());
        Self {
            apps: parts.apps.then(|| apps.remove(id).unwrap_or_default()),
            dependencies: groups.get(id).map(|g| g.dependencies.clone()).unwrap_or_default(),
            groups: below,
            id: id.clone(),
            pods: parts.pods.then_some([]),
            version,
        }
    }
}
