//! Who asks, and what they may: whoever reaches the loopback address without a token is the pool's administrator;
//! a token names a service account, which without roles may ask about itself and no more.

pub mod questions;
pub mod rules;
pub mod token_request;
pub mod tokens;

use crate::object::problem::Problem;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tokens::Tokens;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// `system:serviceaccount:default:web`.
    pub name: String,
    /// The service account's uid; empty for the administrator.
    pub uid: String,
    /// `system:masters`.
    pub groups: Vec<String>,
    /// What a token says besides.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// The administrator of the pool.
    #[must_use]
    pub fn admin() -> Self {
        Self {
            name: "plenum:admin".to_owned(),
            uid: String::new(),
            groups: vec!["system:masters".to_owned(), "system:authenticated".to_owned()],
            extra: BTreeMap::new(),
        }
    }

    /// A service account.
    #[must_use]
    pub fn account(namespace: &str, name: &str, uid: &str) -> Self {
        Self {
            name: format!("system:serviceaccount:{namespace}:{name}"),
            uid: uid.to_owned(),
            groups: vec![
                "system:serviceaccounts".to_owned(),
                format!("system:serviceaccounts:{namespace}"),
                "system:authenticated".to_owned(),
            ],
            extra: BTreeMap::new(),
        }
    }

    /// As in reviews.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut info = json!({ "username": self.name, "groups": self.groups });
        if !self.uid.is_empty() {
            info["uid"] = json!(self.uid);
        }
        if !self.extra.is_empty() {
            info["extra"] = json!(self.extra);
        }
        info
    }
}

/// What was found out about a token's subject in the objects.
pub trait Subjects: Send + Sync {
    /// The uid of a service account, if there is one.
    fn account_uid(&self, namespace: &str, name: &str) -> Option<String>;
    /// The uid of the object that a token is bound to, if there is one.
    fn bound_uid(&self, kind: &str, namespace: &str, name: &str) -> Option<String>;
}

/// Who sent these headers.
///
/// # Errors
/// 401 for a token that is not valid (any more), 403 for headers that would act for somebody else.
pub fn authenticate(
    headers: &HeaderMap,
    tokens: &Tokens,
    subjects: &dyn Subjects,
    now: i64,
) -> Result<User, Problem> {
    if headers
        .keys()
        .any(|name| name.as_str().starts_with("impersonate-"))
    {
        let why = "acting for another user is not served here";
        return Err(Problem::forbidden("", "users", "", why));
    }
    let Some(given) = headers.get(AUTHORIZATION) else {
        return Ok(User::admin());
    };
    let text = given.to_str().unwrap_or_default();
    let token = match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        Some(_) | None => return Err(Problem::unauthorized()),
    };
    tokens
        .user(token, subjects, now)
        .ok_or_else(Problem::unauthorized)
}
