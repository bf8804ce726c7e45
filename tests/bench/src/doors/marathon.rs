//! What `dcos` asks of its cluster.

use super::{Tool, json_of};
use crate::house::House;
use crate::http::Api;
use crate::report::Failed;
use plenum_contract::scheduler::RunningScheduler;
use scheduler_marathon::MarathonScheduler;
use serde_json::json;

pub(super) struct Dcos(Api);

/// The door, and its tool.
pub(super) async fn open(house: &House) -> Result<(Dcos, Box<dyn RunningScheduler>), Failed> {
    let config = json!({"listen": "127.0.0.1:0"});
    let (door, url) = house.door(&MarathonScheduler, config, "marathon").await?;
    Ok((Dcos(Api::at(&url)?), door))
}

impl Tool for Dcos {
    fn name(&self) -> &'static str {
        "dcos"
    }

    async fn make(&self, workload: &str, tasks: u32) -> Result<(), Failed> {
        let app = json!({"id": format!("/{workload}"), "cmd": "sleep 1000", "cpus": 0.01, "mem": 32, "instances": tasks});
        self.0.post("/v2/apps", &app).await.map(drop)
    }

    async fn running(&self, workload: &str) -> Result<u64, Failed> {
        let found = self.0.get(&format!("/v2/apps/{workload}")).await?;
        Ok(found["app"]["tasksRunning"].as_u64().unwrap_or(0))
    }

    fn lists(&self) -> Vec<(&'static str, Vec<(String, &'static str)>)> {
        vec![
            (
                "dcos marathon app list",
                json_of(&["/v2/apps", "/v2/deployments", "/v2/queue"]),
            ),
            ("dcos marathon task list", json_of(&["/v2/tasks"])),
            ("dcos task", json_of(&["/mesos/master/state"])),
            (
                "dcos node",
                json_of(&["/mesos/master/state", "/mesos/master/state-summary"]),
            ),
        ]
    }

    fn api(&self) -> &Api {
        &self.0
    }
}
