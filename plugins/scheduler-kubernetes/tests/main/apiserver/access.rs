//! Who asks, and what they may.

use super::{Api, CONFIGS, answer, config};
use reqwest::Method;
use serde_json::{Value, json};

async fn token(api: &Api, spec: Value) -> super::Answer {
    let request = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec });
    api.post(
        "/api/v1/namespaces/default/serviceaccounts/default/token",
        &request,
    )
    .await
}

async fn who(api: &Api, token: &str) -> super::Answer {
    let review = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview" });
    let url = api.url("/apis/authentication.k8s.io/v1/selfsubjectreviews");
    answer(api.client.post(url).bearer_auth(token).json(&review)).await
}

#[tokio::test]
async fn a_token_speaks_for_its_account_and_may_little() {
    let api = Api::new().await;
    let made = token(&api, json!({})).await.ok();
    let token = made["status"]["token"].as_str().unwrap();
    assert!(made["status"]["expirationTimestamp"].is_string());
    let review = who(&api, token).await.ok();
    assert_eq!(
        review["status"]["userInfo"]["username"],
        "system:serviceaccount:default:default"
    );
    let refused = answer(api.client.get(api.url(CONFIGS)).bearer_auth(token)).await;
    let why = "configmaps is forbidden: User \"system:serviceaccount:default:default\" cannot list resource \
               \"configmaps\" in API group \"\" in the namespace \"default\"";
    assert_eq!(refused.refusal(), (403, "Forbidden", why));
    assert_eq!(
        who(&api, "nonsense").await.refusal(),
        (401, "Unauthorized", "Unauthorized")
    );
    let again = Api::on(std::sync::Arc::clone(&api.state)).await;
    assert_eq!(who(&again, token).await.code, 201, "tokens outlive the server");
    api.delete("/api/v1/namespaces/default/serviceaccounts/default", &json!({}))
        .await
        .ok();
    assert_eq!(who(&api, token).await.code, 401, "a token ends with its account");
}

#[tokio::test]
async fn a_token_is_bound_to_what_it_names_and_lasts_ten_minutes_at_least() {
    let api = Api::new().await;
    let short = token(&api, json!({ "expirationSeconds": 60 })).await;
    assert_eq!(
        short.body["details"]["causes"][0]["field"],
        "spec.expirationSeconds"
    );
    let bound = json!({ "boundObjectRef": { "apiVersion": "v1", "kind": "Secret", "name": "s" } });
    assert_eq!(token(&api, bound.clone()).await.code, 404);
    let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "s" } });
    api.post("/api/v1/namespaces/default/secrets", &secret).await.ok();
    let made = token(&api, bound).await.ok();
    let token = made["status"]["token"].as_str().unwrap();
    assert_eq!(who(&api, token).await.code, 201);
    let review = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": { "token": token },
    });
    let seen = api
        .post("/apis/authentication.k8s.io/v1/tokenreviews", &review)
        .await
        .ok();
    assert_eq!(seen["status"]["authenticated"], true);
    api.delete("/api/v1/namespaces/default/secrets/s", &json!({}))
        .await
        .ok();
    assert_eq!(who(&api, token).await.code, 401);
}

#[tokio::test]
async fn questions_about_access_are_answered() {
    let api = Api::new().await;
    let may = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": { "resourceAttributes": { "verb": "create", "resource": "pods" } },
    });
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    assert_eq!(api.post(path, &may).await.ok()["status"]["allowed"], true);
    let made = token(&api, json!({})).await.ok();
    let token = made["status"]["token"].as_str().unwrap();
    let asked = answer(api.client.post(api.url(path)).bearer_auth(token).json(&may))
        .await
        .ok();
    assert_eq!(asked["status"]["allowed"], false);
    let rules = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": { "namespace": "default" },
    });
    let rules = api
        .post("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", &rules)
        .await
        .ok();
    assert_eq!(rules["status"]["resourceRules"][0]["verbs"], json!(["*"]));
}

#[tokio::test]
async fn acting_for_another_is_refused_by_name() {
    let api = Api::new().await;
    let request = api.client.get(api.url(CONFIGS)).header("impersonate-user", "bob");
    let refused = answer(request).await;
    assert_eq!(refused.code, 403);
    let posted = api
        .client
        .request(Method::POST, api.url(CONFIGS))
        .header("impersonate-user", "bob");
    assert_eq!(answer(posted.json(&config("a"))).await.code, 403);
    assert_eq!(api.get(&format!("{CONFIGS}/a")).await.code, 404);
}
