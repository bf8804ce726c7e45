//! Defaults by kind, and that filling in twice changes nothing.

use serde_json::{Value, json};

use super::*;
use crate::object::schema::lookup;

fn filled(group: &str, kind: &str, object: &Value) -> Value {
    let kind = lookup(group, "v1", kind).expect("kind");
    let mut object = object.clone();
    fill(kind, &mut object);
    let once = object.clone();
    fill(kind, &mut object);
    assert_eq!(once, object, "twice is once");
    object
}

#[test]
fn a_pod_gets_what_the_real_server_gives_it() {
    let pod = json!({"metadata": {"name": "p"}, "spec": {
        "hostNetwork": true,
        "serviceAccountName": "robot",
        "volumes": [{"name": "v"}, {"name": "s", "secret": {"secretName": "x"}}],
        "containers": [{
            "name": "c",
            "image": "nginx",
            "ports": [{"containerPort": 80}],
            "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}},
            "readinessProbe": {"httpGet": {"port": 80}, "periodSeconds": 2},
            "env": [{"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
        }],
    }});
    assert_eq!(
        filled("", "Pod", &pod)["spec"],
        json!({
            "hostNetwork": true,
            "serviceAccountName": "robot",
            "serviceAccount": "robot",
            "dnsPolicy": "ClusterFirst",
            "restartPolicy": "Always",
            "securityContext": {},
            "terminationGracePeriodSeconds": 30,
            "schedulerName": "default-scheduler",
            "enableServiceLinks": true,
            "volumes": [{"name": "v", "emptyDir": {}}, {"name": "s", "secret": {"secretName": "x", "defaultMode": 420}}],
            "containers": [{
                "name": "c",
                "image": "nginx",
                "imagePullPolicy": "Always",
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
                "ports": [{"containerPort": 80, "hostPort": 80, "protocol": "TCP"}],
                "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m", "memory": "1Gi"}},
                "readinessProbe": {
                    "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
                    "periodSeconds": 2,
                    "timeoutSeconds": 1,
                    "successThreshold": 1,
                    "failureThreshold": 3,
                },
                "env": [{"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName", "apiVersion": "v1"}}}],
            }],
        })
    );
}

#[test]
fn a_deployment_rolls_by_quarters_and_its_template_asks_for_no_more_than_it_said() {
    let template = json!({"spec": {"containers": [{"name": "c", "image": "a:1", "resources": {"limits": {"cpu": "1"}}}]}});
    let got = filled(
        "apps",
        "Deployment",
        &json!({"spec": {"strategy": {}, "template": template}}),
    );
    assert_eq!(got["spec"]["replicas"], 1);
    assert_eq!(
        got["spec"]["strategy"],
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}})
    );
    assert_eq!(got["spec"]["progressDeadlineSeconds"], 600);
    let container = &got["spec"]["template"]["spec"]["containers"][0];
    assert!(container["resources"].get("requests").is_none());
    assert_eq!(container["imagePullPolicy"], "IfNotPresent");
    assert!(
        got["spec"]["template"]["spec"]
            .get("enableServiceLinks")
            .is_none()
    );
    let recreate = filled(
        "apps",
        "Deployment",
        &json!({"spec": {"strategy": {"type": "Recreate"}}}),
    );
    assert_eq!(recreate["spec"]["strategy"], json!({"type": "Recreate"}));
}

#[test]
fn a_job_gets_its_selector_from_its_uid() {
    let job = json!({"metadata": {"name": "j"}, "spec": {"template": {"spec": {}}}});
    let mut got = filled("batch", "Job", &job);
    assert_eq!(
        (&got["spec"]["completions"], &got["spec"]["backoffLimit"]),
        (&json!(1), &json!(6))
    );
    job_selector(&mut got, "u");
    assert_eq!(
        got["spec"]["selector"],
        json!({"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}})
    );
    let labels = json!({
        "batch.kubernetes.io/controller-uid": "u",
        "batch.kubernetes.io/job-name": "j",
        "controller-uid": "u",
        "job-name": "j",
    });
    assert_eq!(got["spec"]["template"]["metadata"]["labels"], labels);
    let parallel = filled("batch", "Job", &json!({"spec": {"parallelism": 3}}));
    assert!(parallel["spec"].get("completions").is_none());
}

#[test]
fn small_kinds_get_theirs() {
    let secret = filled(
        "",
        "Secret",
        &json!({"data": {"a": "YQ=="}, "stringData": {"b": "b"}}),
    );
    assert_eq!(
        secret,
        json!({"type": "Opaque", "data": {"a": "YQ==", "b": "Yg=="}})
    );
    let namespace = filled("", "Namespace", &json!({"metadata": {"name": "n"}}));
    assert_eq!(
        namespace["metadata"]["labels"],
        json!({"kubernetes.io/metadata.name": "n"})
    );
}

#[test]
fn tolerations_are_added_unless_the_pod_says_otherwise() {
    let mut pod = json!({"spec": {}});
    node_tolerations(&mut pod);
    node_tolerations(&mut pod);
    assert_eq!(pod["spec"]["tolerations"].as_array().map(Vec::len), Some(2));
    let mut tolerant = json!({"spec": {"tolerations": [{"operator": "Exists"}]}});
    node_tolerations(&mut tolerant);
    assert_eq!(tolerant["spec"]["tolerations"].as_array().map(Vec::len), Some(1));
}

#[test]
fn the_class_of_service_follows_the_amounts() {
    let pod = |resources: Value| json!({"spec": {"containers": [{"resources": resources}]}});
    for (resources, want) in [
        (json!({}), "BestEffort"),
        (json!({"requests": {"cpu": "1"}}), "Burstable"),
        (json!({"limits": {"cpu": "1", "memory": "1Gi"}}), "Guaranteed"),
        (
            json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1000m", "memory": "1Gi"}}),
            "Guaranteed",
        ),
        (
            json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1m"}}),
            "Burstable",
        ),
    ] {
        assert_eq!(quality_of_service(&pod(resources.clone())), want, "{resources}");
    }
    let mut named = json!({"spec": {"priorityClassName": "mine"}});
    assert_eq!(priority(&mut named), Err(UnknownPriorityClass("mine".to_owned())));
}
