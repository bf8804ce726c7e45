//! Objects as people change them with the real kubectls, a new and an old one, on a pool of three nodes: made,
//! applied, compared, edited, patched, marked, and shared between managers of fields.

use crate::support::image::{BUSYBOX, BUSYBOX_TOO, docker};
use crate::support::kubectl::{Kubectl, STAYS, container, programs};
use crate::support::up::Up;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_made_compared_and_changed_as_people_do_it() {
    let programs = programs();
    if !docker() || programs.is_empty() {
        return;
    }
    let up = Up::start_with(3, &["kubernetes"]).await;
    let mut made = Vec::new();
    for (i, program) in programs.into_iter().enumerate() {
        let kubectl = Kubectl::of(&up, program).within(&format!("people-{i}"));
        kubectl.nodes(3).await;
        made.push(creates(&kubectl));
        tries(&kubectl);
        applies(&kubectl);
        checks_fields(&kubectl);
        edits(&kubectl);
        patches(&kubectl);
        marks(&kubectl);
        shares(&kubectl);
        changes_hands(&kubectl);
        kubectl.ok(&["delete", "deploy,jobs,pods", "--all"]);
    }
    // One of them asks in protobuf, the other in JSON.
    assert!(made.iter().all(|one| *one == made[0]), "{made:#?}");
}

fn version(kubectl: &Kubectl, what: &str) -> String {
    kubectl.ok(&["get", what, "-o", "jsonpath={.metadata.resourceVersion}"])
}

/// Of the deployment: its status may change at any time, and its version with it.
fn generation(kubectl: &Kubectl) -> String {
    kubectl.ok(&["get", "deploy/web", "-o", "jsonpath={.metadata.generation}"])
}

/// Makes one of each; the specs that came of it.
fn creates(kubectl: &Kubectl) -> Vec<Value> {
    let image = format!("--image={BUSYBOX}");
    let script = ["--", "sh", "-c", STAYS];
    let mut deployment = vec![
        "create",
        "deployment",
        "made",
        &image,
        "--replicas=2",
        "--port=8080",
    ];
    deployment.extend(script);
    kubectl.ok(&deployment);
    kubectl.ok(&["create", "configmap", "made", "--from-literal=a=b"]);
    kubectl.ok(&["create", "secret", "generic", "made", "--from-literal=a=b"]);
    kubectl.ok(&["create", "serviceaccount", "made"]);
    kubectl.ok(&["create", "job", "made", &image, "--", "true"]);
    let mut pod = vec!["run", "made", &image, "--restart=Never"];
    pod.extend(script);
    kubectl.ok(&pod);
    kubectl.ok(&["rollout", "status", "deploy/made", "--timeout=60s"]);
    kubectl.ok(&["wait", "--for=condition=Complete", "job/made", "--timeout=60s"]);
    kubectl.ok(&["wait", "--for=condition=Ready", "pod/made", "--timeout=60s"]);
    let deployment = kubectl.get(&["deploy", "made"])["spec"].clone();
    let mut job = kubectl.get(&["job", "made"])["spec"].clone();
    // These two name the job's own uid.
    job.as_object_mut().unwrap().remove("selector");
    job["template"].as_object_mut().unwrap().remove("metadata");
    let data = kubectl.get(&["secret", "made"])["data"].clone();
    assert_eq!(data, json!({"a": "Yg=="}));
    let again = kubectl.refused(&["create", "configmap", "made"]);
    let exists = "Error from server (AlreadyExists): configmaps \"made\" already exists";
    assert!(
        again.contains(exists) || again.contains("failed to create configmap"),
        "{again}"
    );
    vec![deployment, job]
}

/// What is only tried leaves nothing.
fn tries(kubectl: &Kubectl) {
    let tried = kubectl.ok(&["create", "configmap", "tried", "--dry-run=server", "-o", "yaml"]);
    assert!(tried.contains("uid:"), "the server answered:\n{tried}");
    let absent = "Error from server (NotFound): configmaps \"tried\" not found";
    assert_eq!(kubectl.refused(&["get", "cm", "tried"]), absent);
    kubectl.ok(&["delete", "cm", "made", "--dry-run=server"]);
    kubectl.ok(&["get", "cm", "made"]);
}

/// A deployment and a config map as a file.
fn manifest(replicas: u32, image: &str) -> String {
    let mut container = container("c", STAYS);
    container["image"] = json!(image);
    container["env"] = json!([{"name": "A", "value": "1"}]);
    let template = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}});
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template,
        },
    });
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"k": "v"}});
    json!({"apiVersion": "v1", "kind": "List", "items": [deployment, map]}).to_string()
}

/// Applied twice it is the same; a difference is shown, and changes nothing before it is applied.
fn applies(kubectl: &Kubectl) {
    let apply = ["apply", "-f", "-"];
    let given = manifest(2, BUSYBOX);
    let both = |word: &str| format!("deployment.apps/web {word}\nconfigmap/settings {word}");
    assert_eq!(kubectl.told(&apply, &given), (0, both("created")));
    kubectl.ok(&["rollout", "status", "deploy/web", "--timeout=60s"]);
    let state = || (generation(kubectl), version(kubectl, "cm/settings"));
    let before = state();
    assert_eq!(kubectl.told(&apply, &given), (0, both("unchanged")));
    assert_eq!(kubectl.told(&["diff", "-f", "-"], &given), (0, String::new()));
    let changed = manifest(2, BUSYBOX_TOO);
    let (code, shown) = kubectl.told(&["diff", "-f", "-"], &changed);
    let lines = [
        format!("-      - image: {BUSYBOX}"),
        format!("image: {BUSYBOX_TOO}"),
    ];
    assert!(code == 1 && shown.contains(&lines[1]), "{code} {shown}");
    assert_eq!(state(), before);
    let said = "deployment.apps/web configured\nconfigmap/settings unchanged";
    assert_eq!(kubectl.told(&apply, &changed), (0, said.to_owned()));
    assert_eq!(kubectl.told(&["diff", "-f", "-"], &changed).0, 0);
    kubectl.ok(&["rollout", "status", "deploy/web", "--timeout=60s"]);
    let image = "jsonpath={.items[*].spec.containers[0].image}";
    let images = kubectl.ok(&[
        "get",
        "pods",
        "-l",
        "app=web",
        "--field-selector=status.phase=Running",
        "-o",
        image,
    ]);
    assert!(images.contains(BUSYBOX_TOO), "{images}");
}

/// What is misspelt is named, warned of or overlooked, as the user says.
fn checks_fields(kubectl: &Kubectl) {
    let bogus = manifest(2, BUSYBOX_TOO).replace("\"replicas\":2", "\"replicas\":2,\"bogus\":1");
    let (code, said) = kubectl.told(&["apply", "-f", "-"], &bogus);
    assert!(
        code == 1 && said.contains("unknown field \"spec.bogus\""),
        "{code} {said}"
    );
    let (code, said) = kubectl.told(&["apply", "--validate=warn", "-f", "-"], &bogus);
    assert!(
        code == 0 && said.contains("Warning: unknown field \"spec.bogus\""),
        "{code} {said}"
    );
    let (code, said) = kubectl.told(&["apply", "--validate=ignore", "-f", "-"], &bogus);
    assert!(code == 0 && !said.contains("Warning"), "{code} {said}");
    assert_eq!(
        kubectl.ok(&["get", "deploy", "web", "-o", "jsonpath={.spec.bogus}"]),
        ""
    );
    kubectl.told(&["apply", "-f", "-"], &manifest(2, BUSYBOX_TOO));
}

/// An editor that changes one thing, one that changes nothing, and one that breaks something.
fn edits(kubectl: &Kubectl) {
    let dir = tempfile::tempdir().unwrap();
    let edit = |line: &str| {
        let editor = dir.path().join("editor");
        std::fs::write(&editor, format!("#!/bin/sh\n{line}\n")).unwrap();
        std::fs::set_permissions(&editor, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = kubectl.command(&["edit", "deploy", "web"]);
        let out = command
            .env("KUBE_EDITOR", &editor)
            .env("TMPDIR", dir.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
        (out.status.code().unwrap(), said)
    };
    let (code, said) = edit("sed -i 's/replicas: 2/replicas: 1/' \"$1\"");
    assert_eq!((code, said.trim()), (0, "deployment.apps/web edited"));
    assert_eq!(
        kubectl.ok(&["get", "deploy", "web", "-o", "jsonpath={.spec.replicas}"]),
        "1"
    );
    let before = generation(kubectl);
    let (code, said) = edit("true");
    assert!(
        code == 0 && said.contains("Edit cancelled, no changes made"),
        "{code} {said}"
    );
    assert_eq!(generation(kubectl), before);
    // The editor of a second round, which shows the error, leaves all as it is: that ends it.
    let (code, said) = edit("grep -q 'replicas: -3' \"$1\" || sed -i 's/replicas: 1/replicas: -3/' \"$1\"");
    assert!(
        code == 1 && said.contains("deployments.apps \"web\" is invalid"),
        "{code} {said}"
    );
}

/// Three kinds of patch, each by its own rules for lists; what changes nothing is no change.
fn patches(kubectl: &Kubectl) {
    let patch = |kind: &str, body: &Value| {
        let body = body.to_string();
        let out = kubectl.run(&["patch", "deploy", "web", &format!("--type={kind}"), "-p", &body]);
        let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
        (out.status.code().unwrap(), said.trim().to_owned())
    };
    let done = (0, "deployment.apps/web patched".to_owned());
    let env = |value: Value| json!({"spec": {"template": {"spec": {"containers": [value]}}}});
    let more = env(json!({"name": "c", "env": [{"name": "B", "value": "2"}]}));
    assert_eq!(patch("strategic", &more), done);
    // What kubectl compares is the whole object: a status that still moves is a change, too.
    kubectl.ok(&["rollout", "status", "deploy/web", "--timeout=80s"]);
    let unchanged = (0, "deployment.apps/web patched (no change)".to_owned());
    assert_eq!(patch("strategic", &more), unchanged);
    let names = [
        "get",
        "deploy",
        "web",
        "-o",
        "jsonpath={.spec.template.spec.containers[0].env[*].name}",
    ];
    assert_eq!(kubectl.ok(&names), "B A");
    let gone = env(json!({"name": "c", "env": [{"name": "B", "$patch": "delete"}]}));
    assert_eq!(patch("strategic", &gone), done);
    assert_eq!(kubectl.ok(&names), "A");
    let mut whole = container("c", STAYS);
    whole["image"] = json!(BUSYBOX);
    assert_eq!(patch("merge", &env(whole)), done);
    assert_eq!(kubectl.ok(&names), "");
    let before = generation(kubectl);
    let test = json!([{"op": "test", "path": "/spec/replicas", "value": 9}, {"op": "remove", "path": "/spec/replicas"}]);
    let refused = "The request is invalid: the server rejected our request due to an error in our request";
    assert_eq!(patch("json", &test), (1, refused.to_owned()));
    let minus = json!({"spec": {"replicas": -1}});
    let refused = "The Deployment \"web\" is invalid: spec.replicas: Invalid value: -1: must be greater than or \
                   equal to 0";
    assert_eq!(patch("merge", &minus), (1, refused.to_owned()));
    assert_eq!(generation(kubectl), before, "what was refused changed nothing");
    assert_eq!(
        patch(
            "json",
            &json!([{"op": "replace", "path": "/spec/replicas", "value": 2}])
        ),
        done
    );
    kubectl.ok(&[
        "patch",
        "deploy",
        "web",
        "--subresource=scale",
        "--type=merge",
        "-p",
        r#"{"spec":{"replicas":3}}"#,
    ]);
    kubectl.ok(&["rollout", "status", "deploy/web", "--timeout=60s"]);
    assert_eq!(
        kubectl.ok(&["get", "deploy", "web", "-o", "jsonpath={.status.readyReplicas}"]),
        "3"
    );
}

/// Labels, annotations, an image, a whole replacement.
fn marks(kubectl: &Kubectl) {
    kubectl.ok(&["label", "deploy", "web", "tier=front"]);
    let taken = kubectl.refused(&["label", "deploy", "web", "tier=back"]);
    assert!(taken.contains("already has a value (front)"), "{taken}");
    kubectl.ok(&["label", "deploy", "web", "tier=back", "--overwrite"]);
    assert_eq!(
        kubectl.ok(&["get", "deploy", "-l", "tier in (back)", "-o", "name"]),
        "deployment.apps/web"
    );
    kubectl.ok(&["label", "deploy", "web", "tier-"]);
    assert_eq!(kubectl.ok(&["get", "deploy", "-l", "tier", "-o", "name"]), "");
    kubectl.ok(&["annotate", "deploy", "web", "kubernetes.io/change-cause=by hand"]);
    kubectl.ok(&["set", "image", "deploy/web", &format!("c={BUSYBOX_TOO}")]);
    kubectl.ok(&["rollout", "status", "deploy/web", "--timeout=60s"]);
    let history = kubectl.ok(&["rollout", "history", "deploy/web"]);
    assert!(history.contains("by hand"), "{history}");
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"n": "w"}});
    let replaced = kubectl.told(&["replace", "-f", "-"], &map.to_string());
    assert_eq!(replaced, (0, "configmap/settings replaced".to_owned()));
    assert_eq!(kubectl.get(&["cm", "settings"])["data"], json!({"n": "w"}));
    let mut stale = map;
    stale["metadata"]["resourceVersion"] = json!("1");
    let (code, said) = kubectl.told(&["replace", "-f", "-"], &stale.to_string());
    assert!(
        code == 1 && said.contains("the object has been modified"),
        "{code} {said}"
    );
}

/// Fields have managers: what another one applied is in conflict, and what its only one leaves out goes.
fn shares(kubectl: &Kubectl) {
    let map = |data: Value| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "shared"}, "data": data})
            .to_string()
    };
    let apply = |manager: &str, data: Value, more: &[&str]| {
        let manager = format!("--field-manager={manager}");
        let mut args = vec!["apply", "--server-side", &manager, "-f", "-"];
        args.extend(more);
        kubectl.told(&args, &map(data))
    };
    let done = (0, "configmap/shared serverside-applied".to_owned());
    assert_eq!(apply("one", json!({"a": "1", "b": "1"}), &[]), done);
    let before = version(kubectl, "cm/shared");
    assert_eq!(apply("one", json!({"a": "1", "b": "1"}), &[]), done);
    assert_eq!(version(kubectl, "cm/shared"), before);
    let (code, said) = apply("two", json!({"a": "2"}), &[]);
    assert!(
        code == 1 && said.contains("conflict with \"one\": .data.a"),
        "{code} {said}"
    );
    assert_eq!(apply("two", json!({"a": "2"}), &["--force-conflicts"]), done);
    assert_eq!(apply("one", json!({}), &[]), done);
    let left = kubectl.get(&["cm", "shared", "--show-managed-fields"]);
    assert_eq!(
        left["data"],
        json!({"a": "2"}),
        "what only the first one had is gone"
    );
    let managers = left["metadata"]["managedFields"].to_string();
    assert!(managers.contains("\"manager\":\"two\""), "{managers}");
}

/// What was applied by the client is applied by the server from then on.
fn changes_hands(kubectl: &Kubectl) {
    let map = |data: Value| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "moved"}, "data": data})
            .to_string()
    };
    kubectl.told(&["apply", "-f", "-"], &map(json!({"a": "1", "b": "1"})));
    let moved = kubectl.told(&["apply", "--server-side", "-f", "-"], &map(json!({"a": "2"})));
    assert_eq!(moved, (0, "configmap/moved serverside-applied".to_owned()));
    let object = kubectl.get(&["cm", "moved", "--show-managed-fields"]);
    assert_eq!(object["data"], json!({"a": "2"}));
    let managers: Vec<&str> = object["metadata"]["managedFields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["manager"].as_str().unwrap())
        .collect();
    assert!(!managers.contains(&"kubectl-client-side-apply"), "{managers:?}");
}
