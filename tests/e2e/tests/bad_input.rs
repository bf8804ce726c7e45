//! Whatever a user gets wrong is answered by name, and nothing falls over.

use super::support::image::{BUSYBOX, docker};
use super::support::up::Up;
use super::support::{eventually, request};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_request_is_refused_with_the_field_at_fault() {
    let up = Up::start(1).await;
    let url = format!("{}/v2/apps", up.url("marathon"));
    let raw = reqwest::Client::new()
        .post(&url)
        .header("Content-Type", "application/json")
        .body("{\"id\": ");
    let answer = raw.send().await.unwrap();
    assert_eq!(answer.status(), 400);
    assert!(answer.text().await.unwrap().contains("Invalid JSON"));

    let cases = [
        (
            json!({"id": "/x", "cmd": "true", "instnaces": 2}),
            422,
            "instances",
        ),
        (json!({"id": "/x", "cmd": "true", "cpus": -1}), 422, "/cpus"),
        (json!({"cmd": "true"}), 422, "/id"),
        (json!({"id": "/x", "cmd": "true", "mem": "lots"}), 422, "/mem"),
        (json!({"id": "/x"}), 422, "'cmd'"),
        (
            json!({"id": "/x", "cmd": "true", "fetch": [{"uri": "http://127.0.0.1:1/x"}]}),
            422,
            "fetch",
        ),
    ];
    for (app, status, part) in cases {
        let (got, body) = request("POST", &url, Some(&app)).await;
        assert_eq!(got, status, "{app}: {body}");
        assert!(body.to_string().contains(part), "{app}: {body} names {part}");
    }
    let out = up.cli(&["run", "--name", "x", "--cpus=-1", "--", "true"]);
    assert!(!out.status.success());
    let out = up.cli(&["nodes"]);
    assert_eq!(out.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&out.stderr).contains("node"),
        "a suggestion"
    );
    assert_eq!(up.marathon("GET", "/v2/apps", None).await.1, json!({"apps": []}));
}

async fn failure(up: &Up, app: Value) -> (String, String) {
    let id = app["id"].as_str().unwrap().to_owned();
    up.create(app).await;
    let message = eventually(&format!("{id} fails"), || async {
        let (_, body) = up
            .marathon("GET", &format!("/v2/apps{id}?embed=app.lastTaskFailure"), None)
            .await;
        let message = body["app"]["lastTaskFailure"]["message"].as_str();
        message.map(str::to_owned).ok_or_else(|| body.to_string())
    })
    .await;
    let ps = up.cli_ok(&["task", "list", "-o", "json", "--ended"]);
    (message, ps)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_cannot_run_fails_with_its_cause() {
    let up = Up::start(1).await;
    let app = |id: &str, cmd: &str| json!({"id": id, "cmd": cmd, "cpus": 0.05, "mem": 32});

    let mut missing = app("/no-command", "");
    missing.as_object_mut().unwrap().remove("cmd");
    missing["args"] = json!(["/no/such/program"]);
    let (message, _) = failure(&up, missing).await;
    assert!(message.contains("/no/such/program"), "{message}");

    let eater = "a=x; while :; do a=$a$a; done";
    let (message, tasks) = failure(&up, app("/eater", eater)).await;
    assert!(message.to_lowercase().contains("memory"), "{message}");
    assert!(tasks.contains("out_of_memory"), "{tasks}");

    let holder = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = holder.local_addr().unwrap().port();
    let mut taken = app("/taken", "sleep 1000");
    taken["portDefinitions"] = json!([{"port": port, "protocol": "tcp"}]);
    taken["requirePorts"] = json!(true);
    let (message, _) = failure(&up, taken).await;
    assert!(message.contains(&port.to_string()), "{message}");

    if docker() {
        let mut image = app("/no-image", "true");
        image["container"] = json!({"type": "DOCKER", "docker": {"image": "plenum-test/none:1"}});
        let (message, _) = failure(&up, image).await;
        assert!(message.contains("plenum-test/none"), "{message}");

        let mut command = app("/no-binary", "");
        command.as_object_mut().unwrap().remove("cmd");
        command["args"] = json!(["/no/such/program"]);
        command["container"] = json!({"type": "DOCKER", "docker": {"image": BUSYBOX}});
        let (message, _) = failure(&up, command).await;
        assert!(message.contains("/no/such/program"), "{message}");
    }
    up.loop_app("/still-there", 1).await;
}
