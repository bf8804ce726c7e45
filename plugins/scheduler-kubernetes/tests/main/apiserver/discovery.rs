//! What the server says of itself.

use super::Api;
use serde_json::Value;

fn names(list: &Value, field: &str) -> Vec<String> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|one| one[field].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn both_forms_of_discovery_name_the_same_resources() {
    let api = Api::new().await;
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
    for (root, plain) in [("/api", vec!["/api/v1".to_owned()]), ("/apis", vec![])] {
        let whole = api.accept(root, accept).await;
        let media = whole.headers["content-type"].to_str().unwrap().to_owned();
        assert!(media.contains("as=APIGroupDiscoveryList"), "{media}");
        assert_eq!(whole.headers["vary"], "Accept");
        let again = api
            .client
            .get(api.url(root))
            .header("accept", accept)
            .header("if-none-match", &whole.headers["etag"]);
        assert_eq!(super::answer(again).await.code, 304);
        let mut listed = Vec::new();
        let plain = if plain.is_empty() {
            let groups = api.accept("/apis", "application/json").await.ok();
            names(&groups["groups"], "name")
                .iter()
                .map(|name| format!("/apis/{name}/v1"))
                .collect()
        } else {
            plain
        };
        for path in plain {
            let list = api.get(&path).await.ok();
            listed.extend(
                names(&list["resources"], "name")
                    .into_iter()
                    .filter(|name| !name.contains('/')),
            );
        }
        let items = whole.body["items"].as_array().unwrap();
        let found: Vec<String> = items
            .iter()
            .flat_map(|item| names(&item["versions"][0]["resources"], "resource"))
            .collect();
        assert_eq!(found, listed, "{root}");
    }
}

#[tokio::test]
async fn clients_learn_that_the_server_checks_fields() {
    let api = Api::new().await;
    let index = api.get("/openapi/v3").await;
    assert!(
        index.headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/plain")
    );
    let url = index.body["paths"]["apis/apps/v1"]["serverRelativeURL"]
        .as_str()
        .unwrap();
    let document = api.get(url).await.ok();
    let patch = &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"];
    assert_eq!(patch["x-kubernetes-group-version-kind"]["kind"], "Deployment");
    assert!(names(&patch["parameters"], "name").contains(&"fieldValidation".to_owned()));
    assert_eq!(api.get("/openapi/v2").await.code, 404);
    let form = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    let cover = api.accept("/openapi/v2", form).await;
    let kind = cover.headers["content-type"].to_str().unwrap();
    assert_eq!((cover.code, kind), (200, form.replace('@', ".").as_str()));
}

#[tokio::test]
async fn what_is_not_there_is_told_in_two_ways() {
    let api = Api::new().await;
    for path in ["/nothing", "/apis/nope/v1/things", "/apis/policy/v1"] {
        let answer = api.get(path).await;
        assert_eq!(
            (answer.code, answer.text.trim()),
            (404, "404 page not found"),
            "{path}"
        );
    }
    let answer = api.get("/api/v1/services").await;
    assert_eq!(
        answer.refusal(),
        (
            404,
            "NotFound",
            "the server could not find the requested resource"
        )
    );
    for path in ["/readyz", "/livez", "/healthz"] {
        assert_eq!(api.get(path).await.text, "ok");
    }
    assert_eq!(api.get("/version").await.ok()["minor"], "33");
}

#[tokio::test]
async fn a_page_of_another_site_is_not_answered() {
    let api = Api::new().await;
    for (header, value) in [("origin", "http://evil.example"), ("host", "evil.example")] {
        let answer = super::answer(api.client.get(api.url("/api/v1/pods")).header(header, value)).await;
        assert_eq!(
            (answer.code, answer.body["kind"].as_str()),
            (403, Some("Status")),
            "{header}"
        );
    }
}
