//! From `service create` until all replicas run, by turns.

use super::api::Api;
use super::{Both, Sides, eventually};
use crate::report::Failed;
use crate::times::Times;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// So many turns of each side.
pub(super) async fn both(sides: &Sides, replicas: u32, rounds: u32) -> Result<Both, Failed> {
    let (mut plenum, mut swarm) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        let ours = turn(sides, &sides.plenum, replicas).await?;
        let theirs = turn(sides, &sides.swarm, replicas).await?;
        eprintln!("plenum-bench: {replicas} replicas, turn {round}: {ours:.2?}, swarm {theirs:.2?}");
        plenum.push(ours);
        swarm.push(theirs);
    }
    Ok(Both {
        plenum: Times::new(plenum),
        swarm: Times::new(swarm),
    })
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
            "Args": ["sleep", "86400"],
            // They do not hear the signal to stop, being the first process of their container.
            "StopGracePeriod": Duration::from_millis(100).as_nanos(),
        }},
        "Mode": {"Replicated": {"Replicas": replicas}},
    });
    let made = api.post("/services/create", &spec).await?;
    match &made["ID"] {
        Value::String(id) => Ok(id.clone()),
        other => Err(Failed::Measured {
            what: "POST /services/create".to_owned(),
            why: format!("no id but {other}"),
        }),
    }
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
