//! `plenum apply` tells the files of the orchestrators apart, and `plenum ps` shows what came of each as users know it:
//! an app, a service, a deployment, however many tasks it has.

use super::{DOORS, deployment, pods};
use crate::support::image::docker;
use crate::support::kubectl::{Kubectl, STAYS, program};
use crate::support::up::Up;
use serde_json::{Value, json};
use std::process::Output;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_told_apart_and_what_came_of_them_is_one_line_each() {
    let (true, Some(program)) = (docker(), program()) else {
        return;
    };
    let up = Up::start_with(2, &DOORS).await;
    let kubectl = Kubectl::of(&up, program);
    kubectl.nodes(2).await;
    let app = |id: &str, n: u32| json!({"id": id, "cmd": STAYS, "cpus": 0.05, "mem": 16, "instances": n});
    let group =
        json!({"id": "/shop", "apps": [app("web", 2)], "groups": [{"id": "back", "apps": [app("db", 1)]}]});
    assert_eq!(
        taken(&apply(&up, &group)),
        "marathon/shop/web\nmarathon/shop/back/db\n"
    );
    let api = deployment("api", 2, "50m", STAYS);
    assert_eq!(taken(&apply(&up, &api)), "kubernetes/default/api\n");

    let compose = json!({"services": {"web": {"image": "nginx:1", "deploy": {"replicas": 2}}}});
    let out = apply(&up, &compose);
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(
        out.status.code() == Some(1)
            && said.contains("is a compose file, which apply does not take")
            && said.contains("docker service create --name web --replicas 2 nginx:1"),
        "{out:?}"
    );

    let shown: Value = serde_json::from_str(&up.cli_ok(&["ps", "-o", "json"])).unwrap();
    let row =
        |w: &Value| format!("{} {} {}/{}", w["id"], w["kind"], w["ready"], w["wanted"]).replace('"', "");
    let rows: Vec<String> = shown["items"].as_array().unwrap().iter().map(row).collect();
    assert_eq!(
        rows,
        [
            "kubernetes/default/api Deployment 2/2",
            "marathon/shop/back/db app 1/1",
            "marathon/shop/web app 2/2",
        ]
    );
    let pod = pods(&kubectl, "api").remove(0);
    let pod = format!("default/{}", pod["metadata"]["name"].as_str().unwrap());
    for name in ["kubernetes/default/api", "shop/web", &pod] {
        let why = up.cli_ok(&["why", name]);
        assert!(why.contains("running"), "{name}: {why}");
    }
}

fn apply(up: &Up, value: &Value) -> Output {
    let file = up.data().join("applied");
    std::fs::write(&file, value.to_string()).unwrap();
    up.cli(&["apply", "-f", &file.display().to_string()])
}

fn taken(out: &Output) -> String {
    assert!(out.status.success(), "{out:?}");
    String::from_utf8(out.stdout.clone()).unwrap()
}
