//! Questions about access: who am I, may I, may they, whose token is this.

use super::super::answer;
use super::super::call::{Call, Server};
use super::super::request::target::Question;
use super::rules::{self, SELF_REVIEWS, Wish};
use super::tokens::{ISSUER, subject};
use crate::object::decode;
use crate::object::problem::Problem;
use crate::object::schema;
use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

/// Answers a question.
///
/// # Errors
/// 400 for a body that is none.
pub fn answer(server: &Server, call: &Call, question: Question) -> Result<Response, Problem> {
    let kind =
        schema::lookup(question.group(), "v1", question.kind()).ok_or_else(Problem::no_such_resource)?;
    let mode = call.field_validation("CreateOptions")?;
    call.dry_run("CreateOptions")?;
    let decoded = decode::body(call.content_type(), &call.body, kind, mode)?;
    let mut review = decoded.object;
    if !review["metadata"].is_object() {
        review["metadata"] = json!({});
    }
    let status = match question {
        Question::SelfSubjectReview => json!({ "userInfo": call.user.to_json() }),
        Question::SelfSubjectAccessReview => verdict(&call.user.groups, &review["spec"])?,
        Question::SelfSubjectRulesReview => what_they_may(&call.user.groups),
        Question::SubjectAccessReview => {
            let groups = strings(&review["spec"]["groups"]);
            verdict(&groups, &review["spec"])?
        }
        Question::TokenReview => whose(server, call, &review["spec"]),
    };
    review["status"] = status;
    let response = answer::value(call, StatusCode::CREATED, &review)?;
    Ok(answer::warned(response, &decoded.warnings))
}

fn strings(list: &Value) -> Vec<String> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(|v| v.as_str().map(str::to_owned))
        .collect()
}

fn verdict(groups: &[String], spec: &Value) -> Result<Value, Problem> {
    let field = |of: &'static str, name: &str| spec[of][name].as_str().unwrap_or_default().to_owned();
    let allowed = match (
        spec["resourceAttributes"].is_object(),
        spec["nonResourceAttributes"].is_object(),
    ) {
        (true, false) => {
            let get = |name: &str| field("resourceAttributes", name);
            let (verb, group, resource) = (get("verb"), get("group"), get("resource"));
            let (subresource, namespace, name) = (get("subresource"), get("namespace"), get("name"));
            let wish = Wish {
                verb: &verb,
                group: &group,
                resource: &resource,
                subresource: &subresource,
                namespace: &namespace,
                name: &name,
            };
            rules::allows(groups, &wish)
        }
        (false, true) => {
            let get = |name: &str| field("nonResourceAttributes", name);
            rules::allows_path(groups, &get("verb"), &get("path"))
        }
        (true, true) | (false, false) => {
            let why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            return Err(Problem::bad_request(why));
        }
    };
    Ok(match allowed {
        true => json!({ "allowed": true }),
        false => json!({ "allowed": false, "reason": "without roles only the administrator may do this" }),
    })
}

fn what_they_may(groups: &[String]) -> Value {
    let mut resources = Vec::new();
    let mut paths = vec![json!({ "verbs": ["get"], "nonResourceURLs": rules::OPEN_PATHS })];
    if rules::is_admin(groups) {
        resources.push(json!({ "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"] }));
        paths.push(json!({ "verbs": ["*"], "nonResourceURLs": ["*"] }));
    }
    resources.extend(SELF_REVIEWS.iter().map(
        |(group, resource)| json!({ "verbs": ["create"], "apiGroups": [group], "resources": [resource] }),
    ));
    json!({ "resourceRules": resources, "nonResourceRules": paths, "incomplete": false })
}

fn whose(server: &Server, call: &Call, spec: &Value) -> Value {
    let token = spec["token"].as_str().unwrap_or_default();
    let mut wanted = strings(&spec["audiences"]);
    if wanted.is_empty() {
        wanted.push(ISSUER.to_owned());
    }
    let claims = server.tokens.claims(token, call.now.as_second());
    let Some(claims) = claims else {
        return json!({ "user": {}, "error": "invalid bearer token" });
    };
    let meant = strings(&claims["aud"]);
    let common: Vec<&String> = wanted
        .iter()
        .filter(|audience| meant.contains(audience))
        .collect();
    match subject(&claims, server) {
        Some(user) if !common.is_empty() => {
            json!({ "authenticated": true, "user": user.to_json(), "audiences": common })
        }
        Some(_) | None => {
            json!({ "user": {}, "error": "the token is not for these audiences, or what it names is gone" })
        }
    }
}
