//! `/v2/groups` and everything below.

use super::Door;
use super::group_path::GroupPath;
use super::reply::{Answer, Refused, deployed, ok, with_location};
use super::request::Query;
use super::view::{AppInfo, Embed};
use crate::answer::app::AppAnswer;
use crate::answer::deployment::StepsAnswer;
use crate::answer::group::{GroupAnswer, Members, Parts};
use crate::change::{Force, Limits, Occasion, propose};
use crate::desired::Desired;
use crate::path::AppId;
use crate::refusal::Refusal;
use crate::regroup::{self, GroupChange, Wanted};
use crate::request::app::parse_body;
use crate::request::group::read_group;
use crate::stamp::Stamp;
use axum::extract::{Path, State};
use bytes::Bytes;
use http::StatusCode;
use std::sync::Arc;

/// `GET /v2/groups`
pub(super) async fn root(State(door): State<Arc<Door>>, query: Query) -> Answer {
    shown(&door, &AppId::default(), &query)
}

/// `GET` below `/v2/groups/`
pub(super) async fn get(State(door): State<Arc<Door>>, Path(path): Path<String>, query: Query) -> Answer {
    match GroupPath::parse(&path)? {
        GroupPath::Group(id) => shown(&door, &id, &query),
        GroupPath::Apps(id) => {
            let desired = there(&door, &id)?;
            let (_, embed) = embed(&query)?;
            let apps = apps(&door, &desired, embed, &id);
            ok(&apps.into_iter().map(|(_, app)| app).collect::<Vec<_>>())
        }
        GroupPath::Versions(id) => {
            let desired = there(&door, &id)?;
            ok(&desired.versions_of(&id))
        }
        GroupPath::Version(id, version) => {
            let (parts, _) = embed(&query)?;
            shown_at(&door.desk.desired(), &id, &version, parts)
        }
    }
}

/// What is wanted, if there is such a group.
fn there(door: &Door, id: &AppId) -> Result<Arc<Desired>, Refusal> {
    let desired = door.desk.desired();
    if desired.has_group(id) {
        Ok(desired)
    } else {
        Err(Refusal::NoGroup(id.clone()))
    }
}

fn shown(door: &Door, id: &AppId, query: &Query) -> Answer {
    let (parts, embed) = embed(query)?;
    let desired = there(door, id)?;
    let members = Members {
        version: desired.version,
        groups: &desired.groups,
        apps: apps(door, &desired, embed, id).into_iter().collect(),
    };
    ok(&GroupAnswer::of(id, members, parts))
}

fn apps(door: &Door, desired: &Desired, embed: Embed, group: &AppId) -> Vec<(AppId, AppInfo)> {
    door.mirror.read(|observed| {
        let records = desired.apps_within(group).filter_map(|id| desired.app(id));
        records
            .map(|r| (r.app.id.clone(), AppInfo::of(door, desired, observed, r, embed)))
            .collect()
    })
}

fn shown_at(desired: &Desired, id: &AppId, version: &str, parts: Parts) -> Answer {
    let stamp: Stamp = version.parse().map_err(|_| Refusal::no_version(version))?;
    let tree = desired.tree_at(stamp).filter(|t| t.has_group(id));
    let tree = tree.ok_or_else(|| Refusal::NoGroup(id.clone()))?;
    let apps = tree.apps.iter().map(|(id, app)| (id.clone(), AppAnswer::of(app)));
    let members = Members {
        version: tree.version,
        groups: &tree.groups,
        apps: apps.collect(),
    };
    ok(&GroupAnswer::of(id, members, parts))
}

/// Which parts are asked for, and what of each app. Without a word all parts are, and of apps only themselves.
fn embed(query: &Query) -> Result<(Parts, Embed), Refusal> {
    let asked: Vec<&str> = query.0.all("embed").collect();
    if asked.is_empty() {
        return Ok((Parts::ALL, Embed::default()));
    }
    let mut parts = Parts {
        apps: false,
        groups: false,
        pods: false,
    };
    let mut embed = Embed::default();
    for name in asked {
        match name {
            "group.apps" => parts.apps = true,
            "group.groups" => parts.groups = true,
            "group.pods" => parts.pods = true,
            "group.apps.counts" => embed.counts = true,
            "group.apps.tasks" => {
                embed.tasks = true;
                embed.deployments = true;
            }
            "group.apps.deployments" => embed.deployments = true,
            "group.apps.lastTaskFailure" => embed.last_task_failure = true,
            "group.apps.readiness" => {}
            _ => {
                let text = format!("embed={name} is not supported by this version of Plenum");
                return Err(Refusal::BadRequest(text));
            }
        }
    }
    Ok((parts, embed))
}

/// `POST /v2/groups`
pub(super) async fn create_in_root(State(door): State<Arc<Door>>, query: Query, body: Bytes) -> Answer {
    create_at(&door, &AppId::default(), query.force(), &body).await
}

/// `POST /v2/groups/ID`
pub(super) async fn create(
    State(door): State<Arc<Door>>,
    Path(path): Path<String>,
    query: Query,
    body: Bytes,
) -> Answer {
    create_at(&door, &group_only(&path)?, query.force(), &body).await
}

async fn create_at(door: &Door, path: &AppId, force: Force, body: &[u8]) -> Answer {
    let wanted = read(door, path, body)?;
    let id = wanted.id.clone();
    let decide = move |desired: &Desired| {
        let id = &wanted.id;
        if desired.has_group(id) {
            return Err(Refusal::GroupExists(id.clone()));
        }
        if desired.app(id).is_some() {
            return Err(Refusal::AppAt(id.clone()));
        }
        regroup::wishes(desired, wanted)
    };
    let done = door.desk.change(force, Box::new(decide)).await?;
    let response = deployed(StatusCode::CREATED, &done);
    Ok(with_location(response, &format!("/v2/groups{id}")))
}

/// `PUT /v2/groups`
pub(super) async fn put_root(State(door): State<Arc<Door>>, query: Query, body: Bytes) -> Answer {
    let wanted = read(&door, &AppId::default(), &body)?;
    put_at(&door, wanted, &query).await
}

/// `PUT /v2/groups/ID`, and `PUT /v2/groups/ID/versions/VERSION` by which the typed client rolls back.
pub(super) async fn put(
    State(door): State<Arc<Door>>,
    Path(path): Path<String>,
    query: Query,
    body: Bytes,
) -> Answer {
    let wanted = match GroupPath::parse(&path)? {
        GroupPath::Version(id, version) => Wanted {
            id,
            change: GroupChange::Back(version),
        },
        GroupPath::Group(_) | GroupPath::Apps(_) | GroupPath::Versions(_) => {
            read(&door, &group_only(&path)?, &body)?
        }
    };
    put_at(&door, wanted, &query).await
}

async fn put_at(door: &Door, wanted: Wanted, query: &Query) -> Answer {
    if query.0.flag("dryRun") {
        return tried(door, wanted);
    }
    let decide = move |desired: &Desired| regroup::wishes(desired, wanted);
    let done = door.desk.change(query.force(), Box::new(decide)).await?;
    Ok(deployed(StatusCode::OK, &done))
}

/// The steps that a change would take; locks do not matter to it.
fn tried(door: &Door, wanted: Wanted) -> Answer {
    let desired = door.desk.desired();
    let occasion = Occasion {
        now: door.now(),
        deployment: String::new(),
        force: Force::Yes,
    };
    let wishes = regroup::wishes(&desired, wanted)?;
    match propose(&desired, wishes, &occasion, &Limits::of(&door.config)) {
        Ok(proposal) => ok(&StepsAnswer::of(&proposal.plan)),
        Err(declined) => Err(declined.refusal.into()),
    }
}

/// `DELETE /v2/groups`
pub(super) async fn delete_root(State(door): State<Arc<Door>>, query: Query) -> Answer {
    delete_at(&door, AppId::default(), &query).await
}

/// `DELETE /v2/groups/ID`
pub(super) async fn delete(State(door): State<Arc<Door>>, Path(path): Path<String>, query: Query) -> Answer {
    delete_at(&door, group_only(&path)?, &query).await
}

async fn delete_at(door: &Door, id: AppId, query: &Query) -> Answer {
    let decide = move |desired: &Desired| regroup::removed(desired, &id);
    let done = door.desk.change(query.force(), Box::new(decide)).await?;
    Ok(deployed(StatusCode::OK, &done))
}

fn read(door: &Door, path: &AppId, body: &[u8]) -> Result<Wanted, Refusal> {
    regroup::wanted(path, read_group(&parse_body(body)?, door.config.unknown_fields)?)
}

/// The group that a path names; changes are of groups, whatever their last segment is called.
fn group_only(path: &str) -> Result<AppId, Refused> {
    super::request::checked(path)?;
    let id = AppId::from_root(path);
    if !crate::path::is_path(&id.to_string()) {
        return Err(Refused(Refusal::BadRequest(format!(
            "'{path}' is no id of a group"
        ))));
    }
    Ok(id)
}
