//! From `service create` until all replicas run, by turns; and the engines alone, with nobody to ask them.

use super::{Both, Sides};
use crate::eventually::eventually;
use crate::http::Api;
use crate::report::Failed;
use crate::times::Times;
use futures::future::try_join_all;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// What each container does: nothing.
const COMMAND: [&str; 2] = ["sleep", "86400"];

/// Containers under way at once in one engine: more make it no faster.
const AT_ONCE: usize = 8;

/// The times of all turns.
pub(super) struct Turns {
    pub(super) both: Both,
    /// The same containers, asked for without any scheduler.
    pub(super) alone: Times,
}

/// So many turns of each side.
pub(super) async fn measure(sides: &Sides, replicas: u32, rounds: u32) -> Result<Turns, Failed> {
    let (mut plenum, mut swarm, mut engines) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=rounds {
        let ours = turn(sides, &sides.plenum, replicas).await?;
        let theirs = turn(sides, &sides.swarm, replicas).await?;
        let alone = alone(sides, replicas).await?;
        eprintln!(
            "plenum-bench: {replicas} replicas, turn {round}: {ours:.2?}, swarm {theirs:.2?}, \
             engines alone {alone:.2?}"
        );
        plenum.push(ours);
        swarm.push(theirs);
        engines.push(alone);
    }
    Ok(Turns {
        both: Both {
            plenum: Times::new(plenum),
            swarm: Times::new(swarm),
        },
        alone: Times::new(engines),
    })
}

/// As many containers spread over the engines, straight through their API.
async fn alone(sides: &Sides, replicas: u32) -> Result<Duration, Failed> {
    let begun = Instant::now();
    let work = sides.engines.iter().enumerate().map(|(i, engine)| {
        let share = (i..replicas as usize).step_by(sides.engines.len());
        stream::iter(share)
            .map(move |_| started(engine, &sides.image))
            .buffer_unordered(AT_ONCE)
            .try_collect::<Vec<String>>()
    });
    let ids = try_join_all(work).await?;
    let took = begun.elapsed();
    for (engine, ids) in sides.engines.iter().zip(ids) {
        let removed = ids.into_iter().map(|id| async move {
            let path = format!("/containers/{id}?force=true");
            engine.call(Method::DELETE, &path, None).await
        });
        stream::iter(removed)
            .buffer_unordered(AT_ONCE)
            .try_collect::<Vec<_>>()
            .await?;
    }
    Ok(took)
}

/// One more container that runs; its id.
async fn started(engine: &Api, image: &str) -> Result<String, Failed> {
    let body = json!({"Image": image, "Cmd": COMMAND});
    let id = id(
        "containers",
        &engine.post("/containers/create", &body).await?["Id"],
    )?;
    engine
        .call(Method::POST, &format!("/containers/{id}/start"), None)
        .await?;
    Ok(id)
}

async fn turn(sides: &Sides, api: &Api, replicas: u32) -> Result<Duration, Failed> {
    let begun = Instant::now();
    let id = create(api, &sides.image, "turn", replicas).await?;
    running(api, &id, replicas).await?;
    let took = begun.elapsed();
    let containers = containers(sides, "/containers/json").await?;
    if containers != replicas as usize {
        return Err(Failed::Measured {
            what: format!("{replicas} replicas are said to run"),
            why: format!("the engines have {containers} containers running"),
        });
    }
    api.call(Method::DELETE, &format!("/services/{id}"), None).await?;
    eventually("nothing is left of a turn", || async {
        let left = containers_or_tasks(sides, api).await?;
        Ok(left == 0)
    })
    .await?;
    Ok(took)
}

/// Creates a service; its id.
pub(super) async fn create(api: &Api, image: &str, name: &str, replicas: u32) -> Result<String, Failed> {
    let spec = json!({
        "Name": name,
        "TaskTemplate": {"ContainerSpec": {
            "Image": image,
            "Args": COMMAND,
            // They do not hear the signal to stop, being the first process of their container.
            "StopGracePeriod": Duration::from_millis(100).as_nanos(),
        }},
        "Mode": {"Replicated": {"Replicas": replicas}},
    });
    id("services", &api.post("/services/create", &spec).await?["ID"])
}

fn id(kind: &str, answer: &Value) -> Result<String, Failed> {
    answer
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| Failed::Measured {
            what: format!("POST /{kind}/create"),
            why: format!("no id but {answer}"),
        })
}

/// Waits until as many run, as `docker service ls` counts them.
pub(super) async fn running(api: &Api, id: &str, replicas: u32) -> Result<(), Failed> {
    let filters = json!({"id": {id: true}}).to_string();
    let path = format!("/services?status=true&filters={filters}");
    eventually("all replicas run", || async {
        let listed = api.get(&path).await?;
        Ok(listed[0]["ServiceStatus"]["RunningTasks"] == replicas)
    })
    .await
}

async fn containers(sides: &Sides, path: &str) -> Result<usize, Failed> {
    let mut all = 0;
    for engine in &sides.engines {
        all += engine.count(path).await?;
    }
    Ok(all)
}

async fn containers_or_tasks(sides: &Sides, api: &Api) -> Result<usize, Failed> {
    Ok(api.count("/tasks").await? + containers(sides, "/containers/json?all=1").await?)
}
