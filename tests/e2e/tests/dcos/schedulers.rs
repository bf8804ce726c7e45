//! The other schedulers' tasks are frameworks of their own, and what everybody holds adds up.

use crate::support::dcos::Dcos;
use crate::support::docker::clis;
use crate::support::image::{BUSYBOX, docker};
use crate::support::up::Up;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn tasks_of_another_scheduler_are_a_framework_of_their_own_and_the_room_adds_up() {
    if !docker() {
        return;
    }
    let up = Up::start_with(3, &["marathon", "swarm"]).await;
    let d = Dcos::of(&up);
    let docker = clis(up.url("docker")).remove(0);
    let create =
        "service create --no-resolve-image --replicas 2 --reserve-cpu 0.1 --reserve-memory 32M --name other";
    let mut args: Vec<&str> = create.split(' ').collect();
    args.extend([BUSYBOX, "sh", "-c", "echo from swarm; sleep 1000"]);
    docker.ok(&args);
    let app = json!({"id": "web", "cmd": "sleep 1000", "cpus": 0.1, "mem": 16, "instances": 2});
    d.add(&up, &app).await;

    let services = d.json(&["service", "--json"]);
    let of = |name: &str| {
        services
            .as_array()
            .unwrap()
            .iter()
            .find(|s| s["name"] == name)
            .unwrap()
    };
    for (name, mem) in [("marathon", 32.0), ("swarm", 64.0)] {
        let service = of(name);
        assert_eq!(service["tasks"].as_array().unwrap().len(), 2, "{service}");
        assert_eq!(
            (&service["resources"]["cpus"], &service["resources"]["mem"]),
            (&json!(0.2), &json!(mem))
        );
        assert_eq!(service["active"], true);
    }
    assert_eq!(d.ok(&["service"]).lines().count(), 3);
    let all = d.json(&["service", "--inactive", "--completed", "--json"]);
    assert_eq!(all.as_array().unwrap().len(), 2, "{all}");
    let other = d.tasks("other.");
    assert_eq!(other.len(), 2);
    assert_eq!(d.ok(&["task", "log", &other[0]]), "from swarm\n");
    assert_eq!(d.ok(&["task", "exec", &other[0], "echo", "in it"]), "in it\n");

    // what a node has less what all hold is what the pool has free there
    let nodes = d.json(&["node", "--json"]);
    let agents = nodes.as_array().unwrap().iter().filter(|n| n["type"] == "agent");
    for agent in agents {
        let node = up
            .api(&format!("/v1/nodes/{}", agent["id"].as_str().unwrap()))
            .await;
        let free = |what: &str| {
            agent["resources"][what].as_f64().unwrap() - agent["used_resources"][what].as_f64().unwrap()
        };
        assert!(
            near(free("cpus") * 1000.0, &node["free"]["cpu_millis"]),
            "{agent} {node}"
        );
        assert!(
            near(free("mem") * 1_048_576.0, &node["free"]["memory_bytes"]),
            "{agent} {node}"
        );
    }
    docker.ok(&["service", "rm", "other"]);
    d.ok(&["marathon", "app", "remove", "web"]);
}

fn near(one: f64, other: &Value) -> bool {
    (one - other.as_f64().unwrap()).abs() < 0.5
}
