//! `/openapi.json` and `/metrics`.

use crate::fake::{serve, some};
use serde_json::Value;

#[tokio::test]
async fn every_route_is_in_the_document_and_answers() {
    let server = serve(some()).await;
    let text = reqwest::get(format!("{}/openapi.json", server.address))
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let mut listed: Vec<String> = Vec::new();
    let mut names = std::collections::BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(
                names.insert(operation["operationId"].to_string()),
                "{method} {path}"
            );
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                assert!(parameter["schema"].is_object(), "{method} {path}: {parameter}");
            }
            for (status, answer) in operation["responses"].as_object().unwrap() {
                let described = answer["description"].as_str().is_some_and(|d| !d.is_empty());
                assert!(described, "{method} {path}: {status} is not described");
            }
            listed.push(format!("{method} {path}"));
        }
    }
    listed.sort();
    let expected = [
        "delete /v1/nodes/{node}",
        "get /healthz",
        "get /metrics",
        "get /openapi.json",
        "get /readyz",
        "get /v1/events",
        "get /v1/info",
        "get /v1/nodes",
        "get /v1/nodes/{node}",
        "get /v1/schedulers",
        "get /v1/tasks",
        "get /v1/tasks/{task}",
        "get /v1/tasks/{task}/exec",
        "get /v1/tasks/{task}/logs",
        "get /v1/tasks/{task}/stats",
        "get /v1/tasks/{task}/why",
        "get /v1/tenants",
        "get /v1/tenants/{path}",
        "get /v1/why/nodes/{node}",
        "get /v1/why/tenants/{path}",
        "get /v1/workloads",
        "post /v1/nodes/{node}/cordon",
        "post /v1/nodes/{node}/drain",
        "post /v1/nodes/{node}/taints",
        "post /v1/nodes/{node}/uncordon",
        "post /v1/simulate",
        "post /v1/tasks/{task}/stop",
        "put /v1/tenants/{path}",
    ];
    assert_eq!(listed, expected);
    // What the document names, the router knows: no path answers as one that is not there.
    let http = reqwest::Client::new();
    for line in listed {
        let (method, path) = line.split_once(' ').unwrap();
        let path = path
            .replace("{node}", "n1")
            .replace("{task}", "nothing")
            .replace("{path}", "web/a");
        let method = method.to_uppercase().parse().unwrap();
        let url = format!("{}{path}", server.address);
        let response = http.request(method, url).send().await.unwrap();
        let body = if path == "/v1/events" {
            String::new()
        } else {
            response.text().await.unwrap()
        };
        assert!(
            !body.contains("there is no GET") && !body.contains("does not take"),
            "{line}: {body}"
        );
    }
}

#[tokio::test]
async fn every_reference_in_the_document_leads_somewhere() {
    let server = serve(some()).await;
    let text = reqwest::get(format!("{}/openapi.json", server.address))
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let mut references = 0;
    for piece in text.split("\"$ref\":\"#").skip(1) {
        let pointer = piece.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
        references += 1;
    }
    assert!(references > 20, "{references}");
}

#[tokio::test]
async fn metrics_say_what_the_pool_holds_and_how_requests_were_answered() {
    let server = serve(some()).await;
    server.client.nodes().await.unwrap();
    server.client.task("nothing").await.unwrap_err();
    let text = reqwest::get(format!("{}/metrics", server.address))
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    for line in [
        "plenum_node_capacity{node=\"n1\",resource=\"cpu\",unit=\"core\"} 4.0",
        "plenum_node_held{node=\"n1\",scheduler=\"marathon\",resource=\"memory\",unit=\"byte\"} 1073741824.0",
        "plenum_scheduler_pending{scheduler=\"marathon\"} 1.0",
        "plenum_api_requests_total{method=\"GET\",route=\"/v1/nodes\",status=\"200\"} 1",
        "plenum_api_requests_total{method=\"GET\",route=\"/v1/tasks/{task}\",status=\"404\"} 1",
        "plenum_api_latency_seconds_count{method=\"GET\",route=\"/v1/nodes\"} 1",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
}
