//! Lists: whole, selected, in pages, as tables.

use super::{Api, CONFIGS, PODS, config, pod, version};
use serde_json::{Value, json};

async fn filled(api: &Api, count: usize) {
    for i in 0..count {
        api.post(CONFIGS, &config(&format!("c{i:02}"))).await.ok();
    }
}

fn names(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["metadata"]["name"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn pages_are_of_one_revision_whatever_happens_in_between() {
    let api = Api::new().await;
    filled(&api, 7).await;
    let selected = "&fieldSelector=metadata.name!=kube-root-ca.crt";
    let first = api.get(&format!("{CONFIGS}?limit=3")).await.ok();
    assert_eq!(first["metadata"]["remainingItemCount"], 5);
    api.delete(&format!("{CONFIGS}/c04"), &json!({})).await.ok();
    api.post(CONFIGS, &config("c045")).await.ok();
    let mut seen = names(&first);
    let mut page = first.clone();
    while let Some(token) = page["metadata"]["continue"].as_str() {
        page = api.get(&format!("{CONFIGS}?limit=3&continue={token}")).await.ok();
        assert_eq!(version(&page), version(&first));
        seen.extend(names(&page));
    }
    assert_eq!(
        seen,
        [
            "c00",
            "c01",
            "c02",
            "c03",
            "c04",
            "c05",
            "c06",
            "kube-root-ca.crt"
        ]
    );
    let few = api.get(&format!("{CONFIGS}?limit=2{selected}")).await.ok();
    assert!(few["metadata"].get("remainingItemCount").is_none() && few["metadata"]["continue"].is_string());
}

#[tokio::test]
async fn a_token_whose_revision_is_forgotten_says_how_to_go_on() {
    let api = Api::on(std::sync::Arc::new(plenum_store::MemoryState::with_history(5))).await;
    filled(&api, 4).await;
    let first = api.get(&format!("{CONFIGS}?limit=2")).await.ok();
    for i in 0..20 {
        api.merge(
            &format!("{CONFIGS}/c00"),
            &json!({ "data": { "k": i.to_string() } }),
        )
        .await
        .ok();
    }
    let token = first["metadata"]["continue"].as_str().unwrap();
    let expired = api.get(&format!("{CONFIGS}?limit=2&continue={token}")).await;
    assert_eq!((expired.code, expired.refusal().1), (410, "Expired"));
    let usable = expired.body["metadata"]["continue"].as_str().unwrap();
    let rest = api
        .get(&format!("{CONFIGS}?limit=9&continue={usable}"))
        .await
        .ok();
    assert_eq!(names(&rest), ["c02", "c03", "kube-root-ca.crt"]);
}

#[tokio::test]
async fn the_version_of_a_list_is_never_below_the_last_write_of_any_kind() {
    let api = Api::new().await;
    for i in 0..20 {
        let made = api.post(PODS, &pod(&format!("p{i}"))).await.ok();
        let list = api.get(CONFIGS).await.ok();
        assert!(version(&list) >= version(&made));
        assert!(list["items"][0].get("kind").is_none());
    }
}

#[tokio::test]
async fn a_list_of_the_past_is_what_there_was() {
    let api = Api::new().await;
    let first = api.post(CONFIGS, &config("a")).await.ok();
    api.post(CONFIGS, &config("b")).await.ok();
    let at = version(&first);
    let exact = api
        .get(&format!(
            "{CONFIGS}?resourceVersion={at}&resourceVersionMatch=Exact"
        ))
        .await
        .ok();
    assert_eq!(names(&exact), ["a", "kube-root-ca.crt"]);
    assert_eq!(version(&exact), at);
    let newer = api
        .get(&format!(
            "{CONFIGS}?resourceVersion={at}&resourceVersionMatch=NotOlderThan"
        ))
        .await
        .ok();
    assert_eq!(names(&newer).len(), 3);
    let any = api
        .get(&format!("{CONFIGS}?resourceVersion=0&limit=1"))
        .await
        .ok();
    assert_eq!(names(&any).len(), 3);
}

#[tokio::test]
async fn selectors_choose_by_labels_and_fields() {
    let api = Api::new().await;
    for (name, app) in [("a", "web"), ("b", "db"), ("c", "")] {
        let mut one = pod(name);
        one["metadata"]["labels"] = if app.is_empty() {
            json!({})
        } else {
            json!({ "app": app })
        };
        api.post(PODS, &one).await.ok();
    }
    super::bind(&api, "a", "n1").await.ok();
    let table = [
        ("labelSelector=app%3Dweb", vec!["a"]),
        ("labelSelector=app!%3Dweb", vec!["b", "c"]),
        ("labelSelector=app%20in%20(web,db)", vec!["a", "b"]),
        ("labelSelector=!app", vec!["c"]),
        ("fieldSelector=spec.nodeName%3D", vec!["b", "c"]),
        (
            "fieldSelector=spec.nodeName%3Dn1,status.phase!%3DFailed",
            vec!["a"],
        ),
        ("fieldSelector=metadata.name%3Db", vec!["b"]),
    ];
    for (query, expected) in table {
        assert_eq!(
            names(&api.get(&format!("{PODS}?{query}")).await.ok()),
            expected,
            "{query}"
        );
    }
}

#[tokio::test]
async fn a_table_has_the_columns_that_people_know() {
    let api = Api::new().await;
    api.post(PODS, &pod("p")).await.ok();
    let accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    let table = api.accept(PODS, accept).await;
    assert_eq!(table.headers["content-type"], "application/json");
    let columns: Vec<&str> = table.body["columnDefinitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        columns,
        [
            "Name",
            "Ready",
            "Status",
            "Restarts",
            "Age",
            "IP",
            "Node",
            "Nominated Node",
            "Readiness Gates"
        ]
    );
    let row = &table.body["rows"][0];
    assert_eq!(
        row["cells"].as_array().unwrap()[1..4],
        [json!("0/1"), json!("Pending"), json!("0")]
    );
    assert_eq!(row["object"]["kind"], "PartialObjectMetadata");
    let none = api
        .accept(&format!("{PODS}?includeObject=None"), accept)
        .await
        .ok();
    assert!(none["rows"][0].get("object").is_none());
}
