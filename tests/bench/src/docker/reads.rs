//! How long the requests behind `docker service ls`, `ps` and `inspect` take while many services exist.

use super::{Both, Sides, turns};
use crate::http::Api;
use crate::report::Failed;
use crate::times::Times;
use reqwest::Method;
use serde_json::json;
use std::time::{Duration, Instant};

/// Requests to one side before it is the other's turn: few, so that whatever else the machine does for some
/// milliseconds meets both.
const BLOCK: u32 = 10;

/// A request of one kind, about one service.
type Path = fn(&str) -> String;

const KINDS: [(&str, Path); 3] = [
    ("service ls", |_| "/services?status=true".to_owned()),
    ("service ps", |id| {
        format!("/tasks?filters={}", json!({"service": {id: true}}))
    }),
    ("service inspect", |id| {
        format!("/services/{id}?insertDefaults=false")
    }),
];

/// The times of each kind.
pub(super) async fn measure(
    sides: &Sides,
    services: u32,
    requests: u32,
) -> Result<Vec<(&'static str, Both)>, Failed> {
    eprintln!("plenum-bench: {services} services on each side");
    let plenum = fill(&sides.plenum, &sides.image, services).await?;
    let swarm = fill(&sides.swarm, &sides.image, services).await?;
    let mut out = Vec::new();
    for (name, path) in KINDS {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        while ours.len() < requests as usize {
            block(&sides.plenum, &plenum, path, &mut ours).await?;
            block(&sides.swarm, &swarm, path, &mut theirs).await?;
        }
        out.push((
            name,
            Both {
                plenum: Times::new(ours),
                swarm: Times::new(theirs),
            },
        ));
    }
    Ok(out)
}

/// Creates the services and waits until each has its task running; their ids.
async fn fill(api: &Api, image: &str, services: u32) -> Result<Vec<String>, Failed> {
    let mut ids = Vec::new();
    for number in 0..services {
        ids.push(turns::create(api, image, &format!("many-{number}"), 1).await?);
    }
    for id in &ids {
        turns::running(api, id, 1).await?;
    }
    Ok(ids)
}

async fn block(api: &Api, ids: &[String], path: Path, times: &mut Vec<Duration>) -> Result<(), Failed> {
    for _ in 0..BLOCK {
        let path = path(&ids[times.len() % ids.len()]);
        let begun = Instant::now();
        api.call(Method::GET, &path, None).await?;
        times.push(begun.elapsed());
    }
    Ok(())
}
