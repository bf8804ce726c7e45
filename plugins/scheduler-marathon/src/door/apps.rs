//! `/v2/apps` and everything below an app but its tasks.

use super::reply::{Answer, Refused, deployed, json, ok, with_deployment, with_location};
use super::request::{AppPath, Caller, Query};
use super::view::{AppInfo, Embed, Id};
use super::{Door, app_tasks};
use crate::answer::app::AppAnswer;
use crate::canonical::canonical;
use crate::change::{Force, Wish};
use crate::desired::{AppRecord, Desired};
use crate::desk::Done;
use crate::events::Body;
use crate::json::Json;
use crate::path::AppId;
use crate::refusal::{Detail, Refusal};
use crate::request::app::{Form, parse_body, read_app, read_apps};
use crate::request::fields::AppFields;
use crate::request::names::UnknownFields;
use crate::selector::Selectors;
use crate::stamp::Stamp;
use crate::update::{self, Change};
use axum::extract::{Path, State};
use bytes::Bytes;
use http::{Method, StatusCode};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Serialize)]
struct Apps {
    apps: Vec<AppInfo>,
}

#[derive(Serialize)]
struct OneApp {
    app: AppInfo,
}

#[derive(Serialize)]
struct Versions {
    versions: Vec<Stamp>,
}

/// `GET /v2/apps`
pub(super) async fn list(State(door): State<Arc<Door>>, query: Query) -> Answer {
    let labels = match query.0.get("label") {
        Some(text) => Selectors::parse(text).map_err(|e| Refusal::Argument(e.to_string()))?,
        None => Selectors::default(),
    };
    let part = |key| query.0.get(key).map(str::to_lowercase);
    let (cmd, id) = (part("cmd"), part("id"));
    let meant = |record: &&Arc<AppRecord>| {
        let app = &record.app;
        let has =
            |text: &str, part: &Option<String>| part.as_ref().is_none_or(|p| text.to_lowercase().contains(p));
        let has_cmd = cmd.is_none() || app.config.cmd.as_deref().is_some_and(|c| has(c, &cmd));
        has_cmd && has(&app.id.to_string(), &id) && labels.matches(&app.config.labels)
    };
    let embed = embed(&query)?;
    let desired = door.desk.desired();
    let apps = infos(&door, &desired, embed, meant);
    ok(&Apps { apps })
}

fn infos(
    door: &Door,
    desired: &Desired,
    embed: Embed,
    meant: impl Fn(&&Arc<AppRecord>) -> bool,
) -> Vec<AppInfo> {
    door.mirror.read(|observed| {
        let info = |r: &Arc<AppRecord>| AppInfo::of(door, desired, observed, r, embed);
        desired.apps.values().filter(meant).map(info).collect()
    })
}

/// What `embed` asks for, with either prefix.
fn embed(query: &Query) -> Result<Embed, Refusal> {
    let mut embed = Embed {
        counts: true,
        deployments: true,
        ..Embed::default()
    };
    for asked in query.0.all("embed") {
        let name = asked
            .strip_prefix("apps.")
            .or_else(|| asked.strip_prefix("app."))
            .unwrap_or(asked);
        match name {
            "tasks" => embed.tasks = true,
            "lastTaskFailure" => embed.last_task_failure = true,
            "failures" => {
                embed.tasks = true;
                embed.last_task_failure = true;
            }
            "readiness" => embed.readiness = true,
            "counts" | "deployments" => {}
            _ => {
                let text = format!("embed={asked} is not supported by this version of Plenum");
                return Err(Refusal::BadRequest(text));
            }
        }
    }
    Ok(embed)
}

/// `POST /v2/apps`
pub(super) async fn create(
    State(door): State<Arc<Door>>,
    query: Query,
    caller: Caller,
    body: Bytes,
) -> Answer {
    let app = canonical(read_app(
        &parse_body(&body)?,
        Form::Whole,
        door.config.unknown_fields,
    )?)?;
    let id = app.id.clone();
    let new = id.clone();
    let decide = move |desired: &Desired| match desired.app(&new) {
        Some(_) => Err(Refusal::Exists(new)),
        None => Ok(vec![(new, Wish::Become(Box::new(app)))]),
    };
    let done = door.desk.change(query.force(), Box::new(decide)).await?;
    post_event(&door, &done, &id, &caller);
    let record = done
        .after
        .app(&id)
        .ok_or_else(|| Refusal::NoApp(id.clone(), None))?;
    let info = AppInfo::new(
        record,
        vec![Id {
            id: done.plan.id.clone(),
        }],
    );
    let response = with_location(json(StatusCode::CREATED, &info), &format!("/v2/apps{id}"));
    Ok(with_deployment(response, &done))
}

/// `GET` below `/v2/apps/`
pub(super) async fn get(State(door): State<Arc<Door>>, Path(path): Path<String>, query: Query) -> Answer {
    let desired = door.desk.desired();
    embed(&query)?; // all that can be embedded always is here
    let embed = Embed {
        counts: true,
        deployments: true,
        tasks: true,
        last_task_failure: true,
        readiness: true,
    };
    match AppPath::parse(&path)? {
        AppPath::App(id) => {
            let record = there(&desired, &id)?;
            let info = |observed: &_| AppInfo::of(&door, &desired, observed, record, embed);
            ok(&OneApp {
                app: door.mirror.read(info),
            })
        }
        AppPath::AppsOf(group) => {
            group_there(&desired, &group)?;
            let apps = infos(&door, &desired, embed, |r| r.app.id.is_within(&group));
            ok(&BTreeMap::from([("*", apps)]))
        }
        AppPath::Tasks(id) => app_tasks::list(&door, &desired, &[there(&desired, &id)?]),
        AppPath::TasksOf(group) => {
            group_there(&desired, &group)?;
            let within = desired
                .apps
                .values()
                .filter(|r| r.app.id.is_within(&group))
                .collect::<Vec<_>>();
            app_tasks::list(&door, &desired, &within)
        }
        AppPath::Versions(id) => {
            let versions = there(&desired, &id)?.versions.keys().rev().copied().collect();
            ok(&Versions { versions })
        }
        AppPath::Version(id, version) => {
            let version: Stamp = version.parse().map_err(|_| Refusal::no_version(&version))?;
            let app = there(&desired, &id)?.versions.get(&version);
            let app = app.ok_or_else(|| Refusal::NoApp(id.clone(), Some(version)))?;
            ok(&AppAnswer::of(app))
        }
        AppPath::Restart(id) => Err(Refusal::NoApp(AppId::from_root(&format!("{id}/restart")), None).into()),
        AppPath::Task(..) => Err(Refusal::NoRoute.into()),
    }
}

/// `PUT /v2/apps/ID`
pub(super) async fn put(
    State(door): State<Arc<Door>>,
    Path(path): Path<String>,
    query: Query,
    caller: Caller,
    body: Bytes,
) -> Answer {
    let partial = query.flag_or("partialUpdate", true);
    change_one(
        &door,
        &path,
        query.force(),
        partial,
        Creation::Allowed,
        &caller,
        &body,
    )
    .await
}

/// `PATCH /v2/apps/ID`
pub(super) async fn patch(
    State(door): State<Arc<Door>>,
    Path(path): Path<String>,
    query: Query,
    caller: Caller,
    body: Bytes,
) -> Answer {
    change_one(
        &door,
        &path,
        query.force(),
        true,
        Creation::Refused,
        &caller,
        &body,
    )
    .await
}

/// Whether a change to an app that is not there makes it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Creation {
    Allowed,
    Refused,
}

async fn change_one(
    door: &Door,
    path: &str,
    force: Force,
    partial: bool,
    creation: Creation,
    caller: &Caller,
    body: &[u8],
) -> Answer {
    let AppPath::App(id) = AppPath::parse(path)? else {
        return Err(Refusal::NoRoute.into());
    };
    let sent = parse_body(body)?;
    let unknown = door.config.unknown_fields;
    let changed = id.clone();
    let decide = move |desired: &Desired| {
        let wish = wish_of(desired, &changed, sent, partial, creation, unknown)?;
        Ok(vec![(changed, wish)])
    };
    let done = door.desk.change(force, Box::new(decide)).await?;
    post_event(door, &done, &id, caller);
    if done.before.app(&id).is_some() {
        return Ok(deployed(StatusCode::OK, &done));
    }
    Ok(with_location(
        deployed(StatusCode::CREATED, &done),
        &format!("/v2/apps{id}"),
    ))
}

fn wish_of(
    desired: &Desired,
    id: &AppId,
    mut sent: Json,
    partial: bool,
    creation: Creation,
    unknown: UnknownFields,
) -> Result<Wish, Refusal> {
    let existing = desired.app(id);
    if existing.is_none() && creation == Creation::Refused {
        return Err(Refusal::NoApp(id.clone(), None));
    }
    match existing {
        Some(record) if partial => wish_of_change(record, read_app(&sent, Form::Change, unknown)?),
        Some(_) | None => {
            sent.set("id", Json::Text(id.to_string()));
            let fields = read_app(&sent, Form::Whole, unknown)?;
            Ok(Wish::Become(Box::new(update::replacement(fields, id)?)))
        }
    }
}

fn wish_of_change(record: &AppRecord, fields: AppFields) -> Result<Wish, Refusal> {
    let new = match update::partial(fields, &record.app)? {
        Change::To(new) => new,
        Change::Back(version) => {
            let old = record.versions.get(&version);
            let old = old.ok_or_else(|| Refusal::NoApp(record.app.id.clone(), None))?;
            Box::new(update::of_version(old))
        }
    };
    Ok(Wish::Become(new))
}

/// `PUT /v2/apps`
pub(super) async fn put_many(State(door): State<Arc<Door>>, query: Query, body: Bytes) -> Answer {
    let partial = query.flag_or("partialUpdate", true);
    change_many(&door, query.force(), partial, Creation::Allowed, &body).await
}

/// `PATCH /v2/apps`
pub(super) async fn patch_many(State(door): State<Arc<Door>>, query: Query, body: Bytes) -> Answer {
    change_many(&door, query.force(), true, Creation::Refused, &body).await
}

async fn change_many(door: &Door, force: Force, partial: bool, creation: Creation, body: &[u8]) -> Answer {
    let form = if partial { Form::Change } else { Form::Whole };
    let all = read_apps(&parse_body(body)?, form, door.config.unknown_fields)?;
    let decide = move |desired: &Desired| {
        all.into_iter()
            .enumerate()
            .map(|(i, fields)| one_of_many(desired, i, fields, partial, creation))
            .collect()
    };
    let done = door.desk.change(force, Box::new(decide)).await?;
    Ok(deployed(StatusCode::OK, &done))
}

fn one_of_many(
    desired: &Desired,
    index: usize,
    fields: AppFields,
    partial: bool,
    creation: Creation,
) -> Result<(AppId, Wish), Refusal> {
    let Some(text) = &fields.id else {
        let error = "'id' is undefined on object: an element of an array of apps needs one";
        return Err(Refusal::Fields(vec![Detail::new(format!("({index})/id"), error)]));
    };
    let id = AppId::from_root(text);
    let wish = match desired.app(&id) {
        None if creation == Creation::Refused => return Err(Refusal::NoApp(id, None)),
        Some(record) if partial => wish_of_change(record, fields)?,
        Some(_) | None => Wish::Become(Box::new(update::replacement(fields, &id)?)),
    };
    Ok((id, wish))
}

/// `DELETE` below `/v2/apps/`
pub(super) async fn delete(State(door): State<Arc<Door>>, Path(path): Path<String>, query: Query) -> Answer {
    match AppPath::parse(&path)? {
        AppPath::App(id) => {
            let decide = move |_: &Desired| Ok(vec![(id, Wish::Gone)]);
            let done = door
                .desk
                .change(query.force_or(Force::Yes), Box::new(decide))
                .await?;
            Ok(deployed(StatusCode::OK, &done))
        }
        AppPath::Tasks(id) => app_tasks::kill_all(&door, &id, &query).await,
        AppPath::Task(id, task) => app_tasks::kill_one(&door, &id, &task, &query).await,
        AppPath::AppsOf(_)
        | AppPath::Restart(_)
        | AppPath::TasksOf(_)
        | AppPath::Versions(_)
        | AppPath::Version(..) => Err(Refusal::NoRoute.into()),
    }
}

/// `POST /v2/apps/ID/restart`
pub(super) async fn post(
    State(door): State<Arc<Door>>,
    method: Method,
    Path(path): Path<String>,
    query: Query,
) -> Answer {
    let AppPath::Restart(id) = AppPath::parse(&path)? else {
        return Err(Refused(Refusal::Method(format!("{method} is not for this path"))));
    };
    let decide = move |_: &Desired| Ok(vec![(id, Wish::Restart)]);
    let done = door.desk.change(query.force(), Box::new(decide)).await?;
    Ok(deployed(StatusCode::OK, &done))
}

fn there<'a>(desired: &'a Desired, id: &AppId) -> Result<&'a Arc<AppRecord>, Refusal> {
    desired.app(id).ok_or_else(|| Refusal::NoApp(id.clone(), None))
}

fn group_there(desired: &Desired, group: &AppId) -> Result<(), Refusal> {
    if desired.has_group(group) {
        Ok(())
    } else {
        Err(Refusal::NoGroup(group.clone()))
    }
}

fn post_event(door: &Door, done: &Done, id: &AppId, caller: &Caller) {
    if let Some(record) = done.after.app(id) {
        door.hub.publish(door.now(), || Body::ApiPost {
            client_ip: caller.ip.clone(),
            uri: caller.uri.clone(),
            app_definition: Box::new(AppAnswer::of(&record.app)),
        });
    }
}
