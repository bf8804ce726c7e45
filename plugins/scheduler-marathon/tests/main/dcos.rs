//! The front door of DC/OS.

use crate::field::Field;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

#[tokio::test]
async fn the_cluster_says_who_it_is_and_keeps_its_id_through_restarts() {
    let mut f = Field::with_room(1).await;
    assert_eq!(f.call("HEAD", "/", None).await.status, 200);
    let challenge = f.call("HEAD", "/pkgpanda/active.buildinfo.full.json", None).await;
    assert_eq!(
        (challenge.status, challenge.header("www-authenticate")),
        (200, "")
    );
    let metadata = f.get("/metadata").await;
    let id = metadata["CLUSTER_ID"].as_str().unwrap().to_owned();
    let version = uuid::Uuid::parse_str(&id).unwrap().get_version_num();
    assert_eq!((version, id.to_lowercase()), (4, id.clone()));
    assert_eq!(
        f.get("/dcos-metadata/dcos-version.json").await["version"],
        "1.13.9"
    );
    let capabilities = f.call("GET", "/capabilities", None).await;
    assert_eq!(
        capabilities.header("content-type"),
        "application/vnd.dcos.capabilities+json;charset=utf-8;version=v1"
    );
    f.restart().await;
    assert_eq!(f.get("/metadata").await["CLUSTER_ID"], id);
}

#[tokio::test]
async fn marathons_tree_stands_under_the_name_of_its_service_too() {
    let f = Field::with_room(1).await;
    assert_eq!(f.get("/service/marathon/v2/info").await, f.get("/v2/info").await);
    f.create("/g/a", 1).await;
    assert_eq!(
        f.get("/service/marathon//v2/apps//g/a").await["app"]["id"],
        "/g/a"
    );
    let none = f.call("GET", "/service/marathon/v2/apps/none", None).await;
    assert_eq!(
        (none.status, none.text.as_str()),
        (404, r#"{"message":"App '/none' does not exist"}"#)
    );
    assert_eq!(f.call("GET", "/service/marathon/nothing", None).await.status, 404);
}

#[tokio::test]
async fn what_is_not_served_is_refused_by_name() {
    let f = Field::with_room(1).await;
    for (method, path, status) in [
        ("GET", "/cluster/v1/links", 404),
        ("GET", "/ca/dcos-ca.crt", 404),
        ("GET", "/acs/api/v1/auth/providers", 404),
        ("GET", "/dcos-metadata/bootstrap-config.json", 404),
        ("POST", "/package/list", 404),
        ("GET", "/service/metronome/v1/jobs", 404),
        ("GET", "/mesos/files/read.json?path=/master/log", 404),
        ("GET", "/slave/n1/files/read.json?path=/slave/log", 404),
        ("GET", "/slave/n1/metrics", 404),
        ("GET", "/slave/none/state.json", 404),
        ("POST", "/mesos/master/teardown", 501),
    ] {
        let answer = f.call(method, path, None).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text);
        assert!(
            answer.json()["message"].is_string(),
            "{method} {path}: {}",
            answer.text
        );
    }
    let call = f
        .call("POST", "/mesos/api/v1", Some(r#"{"type":"GET_FLAGS"}"#))
        .await;
    assert_eq!(call.status, 400, "{}", call.text);
    let login = f
        .call("POST", "/acs/api/v1/auth/login", Some(r#"{"uid":"u"}"#))
        .await;
    assert_eq!(login.status, 400, "{}", login.text);
}

#[tokio::test]
async fn the_state_of_mesos_is_that_of_the_pool() {
    let f = Field::with_room(2).await;
    f.create("/g/web", 2).await;
    let state = f.get("/mesos/master/state.json").await;
    let frameworks = state["frameworks"].as_array().unwrap();
    let names: Vec<_> = frameworks.iter().map(|f| f["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["marathon", "swarm"]);
    let tasks = frameworks[0]["tasks"].as_array().unwrap();
    let mut ids: Vec<String> = tasks
        .iter()
        .map(|t| t["id"].as_str().unwrap().to_owned())
        .collect();
    ids.sort();
    assert_eq!(ids, f.task_ids("/g/web").await);
    let task = &tasks[0];
    assert_eq!(
        (
            &task["name"],
            &task["state"],
            &task["slave_id"],
            &task["framework_id"]
        ),
        (
            &json!("web.g"),
            &json!("TASK_RUNNING"),
            &json!("n1"),
            &json!("marathon")
        )
    );
    assert_eq!(task["resources"]["cpus"], 0.1);
    assert_eq!(task["resources"]["mem"], 16.0);
    let agent = &state["slaves"][0];
    assert_eq!(
        (&agent["hostname"], &agent["active"]),
        (&json!("127.77.0.1"), &json!(true))
    );
    assert_eq!(agent["resources"]["cpus"], 4.0);
    let summary = f.get("/mesos/state-summary").await;
    assert_eq!(summary["slaves"][0]["TASK_RUNNING"], 2);
    assert_eq!(summary["frameworks"][0]["slave_ids"], json!(["n1"]));
    let master = f.get("/mesos_dns/v1/hosts/master.mesos").await;
    assert_eq!(master[0]["ip"], state["hostname"]);
    assert_eq!(
        f.get("/mesos_dns/v1/hosts/web.g.marathon.mesos").await,
        json!([{"host": "web.g.marathon.mesos.", "ip": "127.77.0.1"}])
    );
    f.call("DELETE", "/v2/apps/g/web", None).await.good();
    f.until("no task is left", async || {
        let state = f.get("/mesos/master/state.json").await;
        state["frameworks"][0]["tasks"] == json!([])
    })
    .await;
}

#[tokio::test]
async fn a_log_is_lines_or_events_or_a_file() {
    let f = Field::with_room(1).await;
    f.create("/web", 1).await;
    let id = f.task_ids("/web").await.remove(0);
    let log = |query: &str| format!("/system/v1/logs/v2/task/{id}/file/{query}");
    for (query, status, text) in [
        ("stdout", 200, "one\n{\"two\":2}\nthrée\n"),
        ("stdout?cursor=END&skip=-1", 200, "thrée\n"),
        ("stdout?skip=1&limit=1", 200, "{\"two\":2}\n"),
        ("stderr?cursor=END&skip=-10", 204, ""),
    ] {
        let answer = f.call("GET", &log(query), None).await;
        assert_eq!((answer.status, answer.text.as_str()), (status, text), "{query}");
    }
    let none = f
        .call("GET", "/system/v1/logs/v2/task/none/file/stdout", None)
        .await;
    assert_eq!(none.status, 404);
    let events = |last: &'static str| {
        let request = f
            .http
            .get(format!("{}{}", f.url, log("stdout?cursor=END&skip=-2")));
        let request = request
            .header("Accept", "text/event-stream")
            .header("Last-Event-ID", last);
        async move { request.send().await.unwrap().chunk().await.unwrap().unwrap() }
    };
    let first = events("").await;
    assert_eq!(
        first,
        "id: 2000000\ndata: {\"fields\":{\"MESSAGE\":\"{\\\"two\\\":2}\"}}\n\n"
    );
    let next = String::from_utf8(events("2000000").await.to_vec()).unwrap();
    assert!(
        next.ends_with("data: thrée\n\n"),
        "it goes on where it was cut: {next}"
    );

    let agent = f.get("/slave/n1/state.json").await;
    let executor = &agent["frameworks"][0]["executors"][0];
    assert_eq!(executor["id"], id);
    let file = format!("{}/stdout", executor["directory"].as_str().unwrap());
    let read = async |rest: &str| {
        f.get(&format!("/slave/n1/files/read.json?path={file}{rest}"))
            .await
    };
    assert_eq!(
        read("&offset=-1&length=0").await,
        json!({"data": "", "offset": 21})
    );
    assert_eq!(
        read("&offset=4&length=9").await,
        json!({"data": "{\"two\":2}", "offset": 4})
    );
    assert_eq!(read("&offset=99").await, json!({"data": "", "offset": 21}));
}

/// Records of RecordIO.
fn records(values: &[Value]) -> String {
    let texts = values.iter().map(Value::to_string);
    texts.map(|text| format!("{}\n{text}", text.len())).collect()
}

/// What a process said, as the records of its output.
fn said(pieces: &[(&str, &str)]) -> String {
    let record = |(kind, text): &(&str, &str)| {
        let text = STANDARD.encode(text);
        let record = format!(r#"{{"type":"DATA","data":{{"type":"{kind}","data":"{text}"}}}}"#);
        format!("{}\n{record}", record.len())
    };
    pieces.iter().map(record).collect()
}

fn input(io: Value) -> Value {
    json!({"type": "ATTACH_CONTAINER_INPUT", "attach_container_input": {"type": "PROCESS_IO", "process_io": io}})
}

async fn attach(f: &Field, values: &[Value]) -> u16 {
    let request = f.http.post(format!("{}/slave/n1/api/v1", f.url));
    let request = request.header("Content-Type", "application/recordio");
    let request = request.header("Message-Content-Type", "application/json");
    request
        .body(records(values))
        .send()
        .await
        .unwrap()
        .status()
        .as_u16()
}

#[tokio::test]
async fn a_process_gets_its_input_by_one_request_and_gives_its_output_by_another() {
    let f = Field::with_room(1).await;
    f.create("/web", 1).await;
    let state = f.get("/mesos/master/state.json").await;
    let status = &state["frameworks"][0]["tasks"][0]["statuses"][0];
    let parent = status["container_status"]["container_id"].clone();
    let id = json!({"value": "nested", "parent": parent});
    let launch = |id: &Value, argv: &[&str]| {
        json!({"type": "LAUNCH_NESTED_CONTAINER_SESSION", "launch_nested_container_session": {
            "container_id": id, "container": {"type": "MESOS", "tty_info": {}},
            "command": {"value": argv[0], "arguments": argv, "shell": false}}})
    };
    let names = json!({"type": "ATTACH_CONTAINER_INPUT",
        "attach_container_input": {"type": "CONTAINER_ID", "container_id": id}});
    assert_eq!(
        attach(&f, std::slice::from_ref(&names)).await,
        404,
        "nothing was launched yet"
    );
    let mut output = f
        .http
        .post(format!("{}/slave/n1/api/v1", f.url))
        .json(&launch(&id, &["cat"]));
    output = output.header("Accept", "application/recordio");
    let mut output = output.send().await.unwrap();
    assert_eq!(output.headers()["content-type"], "application/recordio");
    assert_eq!(
        attach(&f, std::slice::from_ref(&names)).await,
        200,
        "a try that says nothing leaves the input open"
    );
    let control = |control: Value| input(json!({"type": "CONTROL", "control": control}));
    let data =
        |text: &str| input(json!({"type": "DATA", "data": {"type": "STDIN", "data": STANDARD.encode(text)}}));
    let size = json!({"type": "TTY_INFO", "tty_info": {"window_size": {"rows": 4, "columns": 9}}});
    let beat = json!({"type": "HEARTBEAT", "heartbeat": {"interval": {"nanoseconds": 1}}});
    let all = [
        names.clone(),
        control(size),
        control(beat),
        data("hello"),
        data(""),
    ];
    assert_eq!(attach(&f, &all).await, 200);
    let mut text = String::new();
    while let Some(chunk) = output.chunk().await.unwrap() {
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    assert_eq!(text, said(&[("STDERR", "4x9"), ("STDOUT", "hello")]));
    assert_eq!(
        attach(&f, &[names, data("late")]).await,
        200,
        "input for what has ended goes nowhere"
    );
    let wait = json!({"type": "WAIT_NESTED_CONTAINER", "wait_nested_container": {"container_id": id}});
    let waited = f.post("/slave/n1/api/v1", &wait).await.good();
    assert_eq!(waited["wait_nested_container"], json!({"exit_status": 7 << 8}));

    let again = f.post("/slave/n1/api/v1", &launch(&id, &["cat"])).await;
    assert_eq!(again.status, 400, "{}", again.text);
    let other = json!({"value": "other", "parent": parent});
    let failed = f.post("/slave/n1/api/v1", &launch(&other, &["nothing"])).await;
    assert_eq!(failed.text, said(&[("STDERR", "command not found: nothing\n")]));
    let nobody = json!({"value": "x", "parent": {"value": uuid::Uuid::nil().to_string()}});
    assert_eq!(
        f.post("/slave/n1/api/v1", &launch(&nobody, &["cat"]))
            .await
            .status,
        404
    );
}
