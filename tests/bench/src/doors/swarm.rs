//! What `docker` asks of its manager.

use super::{Tool, json_of};
use crate::house::House;
use crate::http::Api;
use crate::report::Failed;
use plenum_contract::scheduler::RunningScheduler;
use scheduler_swarm::SwarmScheduler;
use serde_json::json;

pub(super) struct Docker(Api);

/// The door, and its tool.
pub(super) async fn open(house: &House) -> Result<(Docker, Box<dyn RunningScheduler>), Failed> {
    let config = json!({"listen": "127.0.0.1:0"});
    let (door, url) = house.door(&SwarmScheduler, config, "docker").await?;
    Ok((Docker(Api::at(&format!("{url}/v1.41"))?), door))
}

impl Tool for Docker {
    fn name(&self) -> &'static str {
        "docker"
    }

    async fn make(&self, workload: &str, tasks: u32) -> Result<(), Failed> {
        let service = json!({
            "Name": workload, "Mode": {"Replicated": {"Replicas": tasks}},
            "TaskTemplate": {
                "ContainerSpec": {"Image": "busybox:latest", "Command": ["sleep", "1000"]},
                "Resources": {"Reservations": {"NanoCPUs": 10_000_000, "MemoryBytes": 32 << 20}},
            },
        });
        self.0.post("/services/create", &service).await.map(drop)
    }

    async fn running(&self, workload: &str) -> Result<u64, Failed> {
        // What `docker service create` asks again and again until its bar is full.
        let filter = format!("%7B%22service%22%3A%7B%22{workload}%22%3Atrue%7D%7D");
        let found = self.0.get(&format!("/tasks?filters={filter}")).await?;
        let tasks = found.as_array().map(Vec::as_slice).unwrap_or_default();
        let running = tasks.iter().filter(|t| t["Status"]["State"] == "running");
        Ok(running.count() as u64)
    }

    fn lists(&self) -> Vec<(&'static str, Vec<(String, &'static str)>)> {
        let one = "%7B%22service%22%3A%5B%22w0%22%5D%7D";
        let one = format!("/tasks?filters={one}");
        vec![
            ("docker service ls", json_of(&["/services?status=true"])),
            ("docker service ps", json_of(&["/services/w0", &one, "/nodes"])),
            ("docker node ls", json_of(&["/nodes", "/info"])),
            ("docker ps", json_of(&["/containers/json"])),
            ("all tasks of a swarm", json_of(&["/tasks"])),
        ]
    }

    fn api(&self) -> &Api {
        &self.0
    }
}
