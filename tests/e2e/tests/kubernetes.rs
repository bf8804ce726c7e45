//! Pods on the pool, through the real kubectl: what they ask for, how they are reached, what is said of them, and
//! that nothing of them is lost or started twice when everything around them is killed.

use crate::support::eventually;
use crate::support::image::docker;
use crate::support::kubectl::{Background, Kubectl, STAYS, container, pod, program, ready};
use crate::support::up::Up;
use serde_json::{Value, json};
use std::io::Read as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_gets_everything_it_asks_for_and_is_reached_in_every_way() {
    let (true, Some(program)) = (docker(), program()) else {
        return;
    };
    let up = Up::start_with(2, &["kubernetes"]).await;
    let kubectl = Kubectl::of(&up, program);
    kubectl.apply(&[
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm"}, "data": {"GREETING": "hello"}}),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"pw": "hunter2"}}),
    ]);
    let script =
        "echo \"$GREETING $(cat /shared/from-init) $PW $(cat /s/pw) $NODE $MSG\" | tee /www/index.html; \
                  echo error >&2; httpd -p 8080 -h /www; "
            .to_owned()
            + STAYS;
    let mut main = container("main", &script);
    main["env"] = json!([
        {"name": "PW", "valueFrom": {"secretKeyRef": {"name": "s", "key": "pw"}}},
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        {"name": "MSG", "value": "<$(PW)>"},
    ]);
    main["envFrom"] = json!([{"configMapRef": {"name": "cm"}}]);
    main["ports"] = json!([{"containerPort": 8080, "name": "http"}]);
    main["readinessProbe"] = json!({"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1});
    let mounts = json!([{"name": "shared", "mountPath": "/shared"}, {"name": "s", "mountPath": "/s"}]);
    main["volumeMounts"] = mounts;
    let mut init = container("first", "echo from-init > /shared/from-init");
    init["volumeMounts"] = json!([{"name": "shared", "mountPath": "/shared"}]);
    let spec = json!({
        "terminationGracePeriodSeconds": 5,
        "initContainers": [init], "containers": [main, container("side", STAYS)],
        "volumes": [{"name": "shared", "emptyDir": {}}, {"name": "s", "secret": {"secretName": "s"}}],
    });
    kubectl.apply(&[pod("web", spec)]);
    let object = kubectl.until("web", "is ready", ready).await;
    let node = object["spec"]["nodeName"].as_str().unwrap();
    let said = format!("hello from-init hunter2 hunter2 {node} <hunter2>");
    assert_eq!(
        kubectl
            .ok(&["logs", "web", "-c", "main"])
            .replace("error\n", "")
            .replace("\nerror", ""),
        said
    );
    assert_eq!(object["status"]["phase"], "Running");
    assert_eq!(
        object["status"]["initContainerStatuses"][0]["state"]["terminated"]["reason"],
        "Completed"
    );
    exec(&kubectl);
    forward(&kubectl, &said).await;
    let reasons: Vec<String> = eventually("events", || async {
        let reasons: Vec<String> = kubectl
            .events("web")
            .into_iter()
            .map(|(reason, _)| reason)
            .collect();
        let all = ["Scheduled", "Pulled", "Created", "Started"]
            .iter()
            .all(|r| reasons.iter().any(|x| x == r));
        if all {
            Ok(reasons)
        } else {
            Err(format!("{reasons:?}"))
        }
    })
    .await;
    assert!(!reasons.iter().any(|r| r == "Failed"), "{reasons:?}");
    let began = std::time::Instant::now();
    kubectl.ok(&["delete", "pod", "web"]);
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "it ends when it is asked to"
    );
    assert!(kubectl.run(&["get", "pod", "web"]).status.code() == Some(1));
}

fn exec(kubectl: &Kubectl) {
    let failed = kubectl.run(&[
        "exec",
        "web",
        "-c",
        "main",
        "--",
        "sh",
        "-c",
        "echo out; echo err >&2; exit 3",
    ]);
    assert_eq!(failed.status.code(), Some(3), "{failed:?}");
    assert_eq!(String::from_utf8_lossy(&failed.stdout), "out\n");
    assert!(String::from_utf8_lossy(&failed.stderr).contains("err\n"));
    let big: Vec<u8> = (0..10_000_000_u32).map(|i| (i % 251) as u8).collect();
    let echoed = kubectl.with_input(&["exec", "-i", "web", "-c", "main", "--", "cat"], &big);
    assert!(
        echoed.status.success() && echoed.stdout == big,
        "{} bytes came back",
        echoed.stdout.len()
    );
}

async fn forward(kubectl: &Kubectl, said: &str) {
    let mut child = kubectl
        .command(&["port-forward", "pod/web", ":8080"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let _running = Background(child);
    let mut line = Vec::new();
    let mut byte = [0];
    while byte != *b"\n" && stdout.read(&mut byte).unwrap() == 1 {
        line.push(byte[0]);
    }
    let line = String::from_utf8(line).unwrap();
    let port = line
        .split("127.0.0.1:")
        .nth(1)
        .and_then(|r| r.split(' ').next())
        .unwrap();
    let fetches = (0..8).map(|_| async {
        let answer = reqwest::get(format!("http://127.0.0.1:{port}/")).await.unwrap();
        answer.text().await.unwrap()
    });
    for text in futures::future::join_all(fetches).await {
        assert_eq!(text.trim_end(), said);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_is_confined_as_charts_want_it() {
    let (true, Some(program)) = (docker(), program()) else {
        return;
    };
    let up = Up::start_with(1, &["kubernetes"]).await;
    let kubectl = Kubectl::of(&up, program);
    let script = "echo x > /tmp/file && echo kept; (echo x > /etc/file) 2>/dev/null || echo refused; \
                  busybox grep -E 'CapEff|CapBnd|NoNewPrivs' /proc/self/status; busybox id -u";
    let confined = |context: Value| {
        let mut container = container("c", script);
        container["securityContext"] = context;
        container["volumeMounts"] = json!([{"name": "tmp", "mountPath": "/tmp"}]);
        json!({
            "restartPolicy": "Never", "containers": [container],
            "volumes": [{"name": "tmp", "emptyDir": {"medium": "Memory"}}],
        })
    };
    kubectl.apply(&[
        pod(
            "least",
            confined(json!({
                "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "runAsNonRoot": true,
                "runAsUser": 1000, "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"},
            })),
        ),
        pod(
            "more",
            confined(json!({"capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]}})),
        ),
    ]);
    for name in ["least", "more"] {
        kubectl
            .until(name, "has ended", |p| p["status"]["phase"] == "Succeeded")
            .await;
    }
    let words = |name: &str| {
        let said = kubectl.ok(&["logs", name]);
        said.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let least = words("least").join(" ");
    assert!(
        least.starts_with("kept refused") && least.ends_with("NoNewPrivs: 1 1000"),
        "{least}"
    );
    assert!(
        least.contains("CapEff: 0000000000000000 CapBnd: 0000000000000000"),
        "{least}"
    );
    let more = words("more").join(" ");
    assert!(
        more.contains("CapEff: 0000000000001000") && more.ends_with("NoNewPrivs: 0 0"),
        "{more}"
    );
    assert!(more.contains("kept") && !more.contains("refused"), "{more}");
    kubectl.ok(&["delete", "pods", "--all"]);
}

/// Pods of which each is stopped by something else.
fn hopeless() -> Vec<Value> {
    let mut big = container("c", STAYS);
    big["resources"] = json!({"requests": {"cpu": "1000"}});
    let mut waits = container("c", STAYS);
    waits["envFrom"] = json!([{"configMapRef": {"name": "late"}}]);
    vec![
        pod("big", json!({"containers": [big]})),
        pod(
            "picky",
            json!({"nodeSelector": {"disk": "tape"}, "containers": [container("c", STAYS)]}),
        ),
        pod(
            "pid",
            json!({"hostPID": true, "containers": [container("c", STAYS)]}),
        ),
        pod("waits", json!({"containers": [waits]})),
        pod(
            "once",
            json!({"restartPolicy": "Never", "containers": [container("c", "exit 7")]}),
        ),
        pod(
            "loops",
            json!({"containers": [container("c", "echo again; exit 1")]}),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_said_and_what_is_missing_is_waited_for() {
    let (true, Some(program)) = (docker(), program()) else {
        return;
    };
    let up = Up::start_with(2, &["kubernetes"]).await;
    let kubectl = Kubectl::of(&up, program);
    kubectl.apply(&hopeless());
    let unscheduled = |text: &'static str| {
        move |pod: &Value| {
            let all = pod["status"]["conditions"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let message = |c: &Value| c["message"].as_str().unwrap_or_default().to_owned();
            all.iter()
                .any(|c| c["type"] == "PodScheduled" && c["status"] == "False" && message(c).contains(text))
        }
    };
    kubectl
        .until(
            "big",
            "is too big",
            unscheduled("0/2 nodes are available: 2 Insufficient cpu."),
        )
        .await;
    kubectl
        .until(
            "picky",
            "fits nowhere",
            unscheduled("2 node(s) didn't match Pod's node affinity/selector"),
        )
        .await;
    kubectl
        .until("pid", "is refused by name", unscheduled("spec.hostPID"))
        .await;
    let reason = |pod: &Value| pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"].clone();
    kubectl
        .until("waits", "lacks its config map", |p| {
            reason(p) == "CreateContainerConfigError"
        })
        .await;
    kubectl.apply(&[
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "late"}, "data": {"A": "1"}}),
    ]);
    kubectl.until("waits", "is ready", ready).await;
    let once = kubectl
        .until("once", "has failed", |p| p["status"]["phase"] == "Failed")
        .await;
    let ended = &once["status"]["containerStatuses"][0]["state"]["terminated"];
    assert_eq!(
        (&ended["exitCode"], &ended["reason"]),
        (&json!(7), &json!("Error"))
    );
    kubectl
        .until("loops", "crashes again and again", |p| {
            reason(p) == "CrashLoopBackOff" && p["status"]["containerStatuses"][0]["restartCount"] != 0
        })
        .await;
    assert_eq!(kubectl.ok(&["logs", "loops", "--previous"]), "again");
    let events = kubectl.events("big");
    assert!(
        events.iter().any(|(reason, _)| reason == "FailedScheduling"),
        "{events:?}"
    );
    kubectl.ok(&["delete", "pods", "--all", "--force", "--grace-period=0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cordon_holds_for_both_sides_and_pods_outlive_everything() {
    let (true, Some(program)) = (docker(), program()) else {
        return;
    };
    let mut up = Up::start_with(2, &["kubernetes"]).await;
    let kubectl = Kubectl::of(&up, program);
    let node = kubectl.nodes(2).await.remove(0);
    kubectl.ok(&["cordon", &node]);
    let cordoned = |up: &Up| {
        up.cli_ok(&["node", "list"])
            .lines()
            .any(|l| l.contains(&node) && l.contains("cordoned"))
    };
    eventually("the cordon in the pool", || async {
        if cordoned(&up) {
            Ok(())
        } else {
            Err(up.cli_ok(&["node", "list"]))
        }
    })
    .await;
    kubectl.apply(&[pod("stays", json!({"containers": [container("c", STAYS)]}))]);
    let before = kubectl.until("stays", "is ready", ready).await;
    assert_ne!(before["spec"]["nodeName"], node.as_str());
    up.cli_ok(&["node", "uncordon", &node]);
    eventually("the end of the cordon in the API", || async {
        let object = kubectl.get(&["node", &node]);
        if object["spec"]["unschedulable"] == true {
            Err(object["spec"].to_string())
        } else {
            Ok(())
        }
    })
    .await;
    up.kill_hard();
    up.start_again().await;
    let after = kubectl.until("stays", "is ready", ready).await;
    let same = |p: &Value| {
        (
            p["metadata"]["uid"].clone(),
            p["status"]["containerStatuses"][0].clone(),
        )
    };
    assert_eq!(same(&after), same(&before), "the same container runs on");
    kubectl.ok(&["delete", "pod", "stays"]);
    assert!(Path::new(&kubectl.kubeconfig).exists());
}
