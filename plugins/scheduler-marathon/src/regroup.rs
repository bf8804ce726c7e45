//! What a request makes of a group: which apps and groups it wishes to be there, changed, or gone.

use crate::canonical::{Canonical, canonical};
use crate::change::Wish;
use crate::desired::Desired;
use crate::group::Group;
use crate::path::{AppId, ENDS_RESERVED};
use crate::refusal::{Detail, Refusal, add_detail};
use crate::request::fields::AppFields;
use crate::request::group::GroupFields;
use crate::update;
use std::collections::BTreeSet;

/// The counts of Marathon are Java's.
const MOST_INSTANCES: f64 = 2_147_483_647.0;

/// A group as a request wants it, checked and with every id absolute.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// Which group.
    pub id: AppId,
    /// What shall become of it.
    pub change: GroupChange,
}

/// What shall become of a group.
#[derive(Debug, Clone, PartialEq)]
pub enum GroupChange {
    /// It becomes what it was in this version of the tree.
    Back(String),
    /// The counts of all apps in it are multiplied, and rounded up.
    Scale(f64),
    /// It is as said.
    Become(Structure),
}

/// A group as it shall be; what is none stays as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Structure {
    apps: Option<Vec<Canonical>>,
    groups: Option<Vec<(AppId, Structure)>>,
    dependencies: Option<BTreeSet<AppId>>,
}

/// What `fields`, sent to the group `path`, want.
///
/// # Errors
/// The rules that the first app breaks, without its place; else `Rules` with all that is wrong between the
/// groups, by place.
pub fn wanted(path: &AppId, fields: GroupFields) -> Result<Wanted, Refusal> {
    let mut wrong = Vec::new();
    alone(&fields, "", &mut wrong);
    let id = fields
        .id
        .as_deref()
        .map_or_else(|| path.clone(), |id| path.join(id));
    unreserved(&id, "/id", &mut wrong);
    let GroupFields {
        version, scale_by, ..
    } = &fields;
    let change = match (version.clone(), *scale_by) {
        (Some(version), _) => GroupChange::Back(version),
        (None, Some(factor)) => GroupChange::Scale(factor),
        (None, None) => GroupChange::Become(structure(&id, fields, "", &mut wrong)?),
    };
    if wrong.is_empty() {
        Ok(Wanted { id, change })
    } else {
        Err(Refusal::Rules(wrong))
    }
}

/// A version or a factor stands for the whole change.
fn alone(fields: &GroupFields, at: &str, wrong: &mut Vec<Detail>) {
    let others = [
        fields.id.is_some(),
        fields.apps.is_some(),
        fields.groups.is_some(),
        fields.dependencies.is_some(),
        fields.scale_by.is_some(),
        fields.version.is_some(),
    ];
    if others.into_iter().filter(|there| *there).count() > 1 {
        let error = "not allowed in conjunction with other properties.";
        for (there, name) in [
            (fields.version.is_some(), "version"),
            (fields.scale_by.is_some(), "scaleBy"),
        ] {
            if there {
                add_detail(wrong, &format!("{at}/{name}"), error);
            }
        }
    }
}

fn structure(
    id: &AppId,
    fields: GroupFields,
    at: &str,
    wrong: &mut Vec<Detail>,
) -> Result<Structure, Refusal> {
    let apps = match fields.apps {
        Some(apps) => Some(apps_of(id, apps, at, wrong)?),
        None => None,
    };
    let groups = match fields.groups {
        Some(groups) => Some(groups_of(id, groups, at, wrong)?),
        None => None,
    };
    let dependencies = fields
        .dependencies
        .map(|d| d.iter().map(|d| id.join(d)).collect());
    Ok(Structure {
        apps,
        groups,
        dependencies,
    })
}

fn apps_of(
    group: &AppId,
    apps: Vec<AppFields>,
    at: &str,
    wrong: &mut Vec<Detail>,
) -> Result<Vec<Canonical>, Refusal> {
    let mut seen = BTreeSet::new();
    let mut all = Vec::with_capacity(apps.len());
    for (i, mut fields) in apps.into_iter().enumerate() {
        let absolute = |path: &String| group.join(path).to_string();
        fields.id = fields.id.as_ref().map(absolute);
        fields.dependencies = fields.dependencies.map(|d| d.iter().map(absolute).collect());
        fields.version = None;
        let app = canonical(fields)?;
        place(group, &app.id, &format!("{at}/apps({i})/id"), &mut seen, wrong);
        all.push(app);
    }
    Ok(all)
}

fn groups_of(
    group: &AppId,
    groups: Vec<GroupFields>,
    at: &str,
    wrong: &mut Vec<Detail>,
) -> Result<Vec<(AppId, Structure)>, Refusal> {
    let mut seen = BTreeSet::new();
    let mut all = Vec::with_capacity(groups.len());
    for (i, fields) in groups.into_iter().enumerate() {
        let at = format!("{at}/groups({i})");
        let id = group.join(fields.id.as_deref().unwrap_or_default());
        place(group, &id, &format!("{at}/id"), &mut seen, wrong);
        unreserved(&id, &format!("{at}/id"), wrong);
        alone(&fields, &at, wrong);
        let structure = structure(&id, fields, &at, wrong)?;
        all.push((id, structure));
    }
    Ok(all)
}

fn unreserved(id: &AppId, at: &str, wrong: &mut Vec<Detail>) {
    if id.ends_reserved() {
        add_detail(wrong, at, ENDS_RESERVED);
    }
}

/// A member lies right under its group, and once.
fn place(group: &AppId, member: &AppId, at: &str, seen: &mut BTreeSet<AppId>, wrong: &mut Vec<Detail>) {
    if member.is_root() || member.parent() != *group {
        let error = format!("Identifier is not child of {group}. Hint: use relative paths.");
        add_detail(wrong, at, error);
    } else if !seen.insert(member.clone()) {
        add_detail(wrong, at, format!("{member} is there twice"));
    }
}

/// The wishes that make of `desired` what is wanted.
///
/// # Errors
/// `Argument` when the version is not kept, or the group was not there then.
pub fn wishes(desired: &Desired, wanted: Wanted) -> Result<Vec<(AppId, Wish)>, Refusal> {
    let Wanted { id, change } = wanted;
    match change {
        GroupChange::Become(structure) => {
            let mut wishes = Wishes::default();
            wishes.become_(desired, &id, structure);
            Ok(wishes.in_order())
        }
        GroupChange::Scale(factor) => Ok(scaled(desired, id, factor)),
        GroupChange::Back(version) => back(desired, id, &version),
    }
}

/// The wishes that remove a group with all below it.
///
/// # Errors
/// `NoGroup`.
pub fn removed(desired: &Desired, id: &AppId) -> Result<Vec<(AppId, Wish)>, Refusal> {
    if !desired.has_group(id) {
        return Err(Refusal::NoGroup(id.clone()));
    }
    let mut wishes = Wishes::default();
    wishes.remove(desired, id);
    Ok(wishes.in_order())
}

/// What goes stands before what comes: it frees names and ports.
#[derive(Default)]
struct Wishes {
    gone: Vec<(AppId, Wish)>,
    there: Vec<(AppId, Wish)>,
}

impl Wishes {
    fn in_order(mut self) -> Vec<(AppId, Wish)> {
        self.gone.append(&mut self.there);
        self.gone
    }

    fn remove(&mut self, desired: &Desired, group: &AppId) {
        let apps = desired.apps_within(group).map(|id| (id.clone(), Wish::Gone));
        self.gone.extend(apps);
        let groups = desired.groups_within(group).map(|id| (id.clone(), Wish::NoGroup));
        self.gone.extend(groups);
    }

    fn become_(&mut self, desired: &Desired, id: &AppId, structure: Structure) {
        let mut group = desired.groups.get(id).cloned().unwrap_or_default();
        if let Some(dependencies) = structure.dependencies {
            group.dependencies = dependencies;
        }
        self.there.push((id.clone(), Wish::Group(group)));
        if let Some(apps) = structure.apps {
            let kept: BTreeSet<&AppId> = apps.iter().map(|a| &a.id).collect();
            let direct = desired.apps_within(id).filter(|a| a.parent() == *id);
            let gone = direct
                .filter(|a| !kept.contains(a))
                .map(|a| (a.clone(), Wish::Gone));
            self.gone.extend(gone);
            let there = apps
                .into_iter()
                .map(|a| (a.id.clone(), Wish::Become(Box::new(a))));
            self.there.extend(there);
        }
        if let Some(groups) = structure.groups {
            let kept: BTreeSet<&AppId> = groups.iter().map(|(id, _)| id).collect();
            let direct: Vec<&AppId> = desired
                .groups_within(id)
                .filter(|g| !g.is_root() && g.parent() == *id && !kept.contains(g))
                .collect();
            direct.into_iter().for_each(|gone| self.remove(desired, gone));
            for (id, structure) in groups {
                self.become_(desired, &id, structure);
            }
        }
    }
}

fn scaled(desired: &Desired, group: AppId, factor: f64) -> Vec<(AppId, Wish)> {
    let records = desired.apps_within(&group).filter_map(|id| desired.app(id));
    let scaled = records.map(|record| {
        let mut new = update::of_version(&record.app);
        let count = (f64::from(new.instances) * factor)
            .ceil()
            .clamp(0.0, MOST_INSTANCES);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // whole and within bounds
        let count = count as u32;
        new.instances = count;
        (record.app.id.clone(), Wish::Become(Box::new(new)))
    });
    let mut wishes: Vec<_> = scaled.collect();
    let as_is = desired.groups.get(&group).cloned().unwrap_or_default();
    wishes.push((group, Wish::Group(as_is)));
    wishes
}

fn back(desired: &Desired, group: AppId, version: &str) -> Result<Vec<(AppId, Wish)>, Refusal> {
    let not_kept = || Refusal::Argument(format!("Group {group} not available in version {version}"));
    let stamp = version.parse().map_err(|_| Refusal::no_version(version))?;
    let tree = desired.tree_at(stamp).ok_or_else(not_kept)?;
    if !tree.has_group(&group) {
        return Err(not_kept());
    }
    let mut wishes = Wishes::default();
    for id in desired
        .apps_within(&group)
        .filter(|id| !tree.apps.contains_key(id))
    {
        wishes.gone.push((id.clone(), Wish::Gone));
    }
    for id in desired.groups_within(&group).filter(|id| !tree.has_group(id)) {
        wishes.gone.push((id.clone(), Wish::NoGroup));
    }
    for (id, app) in tree.apps.iter().filter(|(id, _)| id.is_within(&group)) {
        let app = Wish::Become(Box::new(update::of_version(app)));
        wishes.there.push((id.clone(), app));
    }
    for (id, was) in tree.groups.iter().filter(|(id, _)| id.is_within(&group)) {
        wishes.there.push((id.clone(), Wish::Group(was.clone())));
    }
    if group.is_root() && !tree.groups.contains_key(&group) {
        wishes.there.push((group, Wish::Group(Group::default())));
    }
    Ok(wishes.in_order())
}

#[cfg(test)]
mod tests;
