//! Files of sandboxes. What a container wrote to its standard streams are the files `stdout` and `stderr`, as
//! long as its logs are kept; what else is in its sandbox is read in the container while that runs.

use super::front::Front;
use super::mesos::{container_id, task_of_container};
use super::refused::{bad, by_stream, not_found};
use super::sandbox::{self, Entry};
use super::tail::{self, Piece};
use crate::door::reply::{Answer, ok};
use crate::door::request::Query;
use axum::extract::{Path, State};
use plenum_contract::streams::LogSource;
use plenum_model::ids::TaskId;
use plenum_model::node::Node;
use plenum_model::task::Task;
use serde::Serialize;
use std::sync::Arc;

/// Where Mesos keeps sandboxes. Nothing is there: the path says which task and which file are meant.
const ROOT: &str = "/var/lib/mesos/slave/slaves";
/// The most that one read gives: sixteen pages, as Mesos does. Clients ask again.
const MOST: u64 = 16 * 4096;

/// The directory of a task's sandbox.
pub(super) fn directory(task: &Task, node: &Node) -> String {
    format!(
        "{ROOT}/{}/frameworks/{}/executors/{}/runs/{}",
        node.facts.id,
        task.scheduler,
        task.seat.name.replace('/', "_"),
        container_id(task.id())
    )
}

/// A file of a task: its path within the sandbox, which may be empty.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    task: TaskId,
    within: String,
}

impl Place {
    /// Reads a path that begins with a [`directory`]; none for any other.
    fn parse(path: &str) -> Option<Self> {
        let (_, rest) = path.strip_prefix(ROOT)?.split_once("/runs/")?;
        let (container, within) = rest.split_once('/').unwrap_or((rest, ""));
        let mut segments: Vec<&str> = Vec::new();
        for segment in within.split('/').filter(|s| !s.is_empty() && *s != ".") {
            if segment == ".." {
                segments.pop()?;
            } else {
                segments.push(segment);
            }
        }
        Some(Self {
            task: task_of_container(container)?,
            within: segments.join("/"),
        })
    }
}

/// The stream whose file has this name.
pub(super) fn stream_of(file: &str) -> Option<LogSource> {
    match file {
        "stdout" => Some(LogSource::Stdout),
        "stderr" => Some(LogSource::Stderr),
        _ => None,
    }
}

fn place(query: &Query) -> Result<Place, crate::door::reply::Refused> {
    let path = query.0.get("path").ok_or_else(|| bad("which `path`?"))?;
    Place::parse(path).ok_or_else(|| {
        not_found(format!(
            "there is no file `{path}`: only sandboxes of tasks are served"
        ))
    })
}

#[derive(Serialize)]
struct Read {
    data: String,
    offset: u64,
}

/// `GET /slave/ID/files/read.json?path=&offset=&length=`: an offset of -1 asks for the size.
pub(super) async fn read(State(front): State<Arc<Front>>, Path(_): Path<String>, query: Query) -> Answer {
    let place = place(&query)?;
    let number = |key: &str, default: i64| match query.0.get(key).filter(|v| !v.is_empty()) {
        None => Ok(default),
        Some(text) => text
            .parse::<i64>()
            .map_err(|_| bad(format!("`{key}` is a number, not `{text}`"))),
    };
    let (offset, length) = (number("offset", 0)?, number("length", -1)?);
    if offset < -1 || length < -1 {
        return Err(bad("`offset` and `length` are -1 or more"));
    }
    let from = u64::try_from(offset).unwrap_or(u64::MAX);
    let length = u64::try_from(length).unwrap_or(MOST).min(MOST);
    let piece = Piece { from, length };
    let (data, size) = match stream_of(&place.within) {
        Some(source) => tail::piece(&*front.streams, place.task, source, piece).await,
        None => sandbox::read(&*front.streams, place.task, &place.within, piece).await,
    }
    .map_err(by_stream)?;
    ok(&Read {
        data: String::from_utf8_lossy(&data).into_owned(),
        offset: from.min(size),
    })
}

/// `GET /slave/ID/files/browse.json?path=`
pub(super) async fn browse(State(front): State<Arc<Front>>, Path(_): Path<String>, query: Query) -> Answer {
    let place = place(&query)?;
    let at = query
        .0
        .get("path")
        .unwrap_or_default()
        .trim_end_matches("/.")
        .trim_end_matches('/');
    let mut entries = Vec::new();
    if place.within.is_empty() {
        for (name, source) in [("stderr", LogSource::Stderr), ("stdout", LogSource::Stdout)] {
            let log = tail::size(&*front.streams, place.task, source)
                .await
                .map_err(by_stream)?;
            entries.push(Entry::log(&format!("{at}/{name}"), log.bytes, log.newest_ms));
        }
    }
    match sandbox::list(&*front.streams, place.task, &place.within, at).await {
        Ok(found) => entries.extend(found.into_iter().filter(|f| entries_lack(&f.path, at))),
        // a container that has ended has no files but its logs
        Err(plenum_contract::streams::StreamError::State { .. }) if place.within.is_empty() => {}
        Err(error) => return Err(by_stream(error)),
    }
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    ok(&entries)
}

/// Whether a file is not one of the two that stand for the logs.
fn entries_lack(path: &str, at: &str) -> bool {
    let name = path.strip_prefix(at).map(|n| n.trim_start_matches('/'));
    name.is_none_or(|name| stream_of(name).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_a_sandbox_names_the_task_and_the_file_within_and_no_other_path_does() {
        let task = TaskId([7; 16]);
        let dir = format!(
            "{ROOT}/n1/frameworks/marathon/executors/web.1/runs/{}",
            container_id(task)
        );
        for (tail, within) in [
            ("", Some("")),
            ("/.", Some("")),
            ("/stdout", Some("stdout")),
            ("/a//b/../c", Some("a/c")),
            ("/../x", None),
            ("/a/../../x", None),
        ] {
            let found = Place::parse(&format!("{dir}{tail}"));
            let meant = within.map(|within| Place {
                task,
                within: within.to_owned(),
            });
            assert_eq!(found, meant, "{tail}");
        }
        for other in [
            "/etc/passwd",
            "/slave/log",
            "",
            &format!("{ROOT}/n1/runs/none/stdout"),
        ] {
            assert_eq!(Place::parse(other), None, "{other}");
        }
    }
}
