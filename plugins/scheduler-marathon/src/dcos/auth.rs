//! Logging in. The door itself asks nobody who they are: it listens on the loopback address, unless its
//! configuration says otherwise. Clients that log in all the same get a token, which they may send or not.

use super::refused::bad;
use crate::door::reply::{Answer, ok};
use bytes::Bytes;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// `HEAD /pkgpanda/active.buildinfo.full.json`: 200 without a challenge means that nobody needs to log in.
pub(super) async fn challenge() -> StatusCode {
    StatusCode::OK
}

/// A user with a password, a service with a token of its own, or a token of somebody else's.
#[derive(Deserialize)]
struct Credentials {
    uid: Option<String>,
    password: Option<String>,
    token: Option<String>,
}

#[derive(Serialize)]
struct Token {
    token: String,
}

/// `POST /acs/api/v1/auth/login`
pub(super) async fn login(body: Bytes) -> Answer {
    let given: Credentials =
        serde_json::from_slice(&body).map_err(|e| bad(format!("these are no credentials: {e}")))?;
    let named = given.uid.is_some() && (given.password.is_some() || given.token.is_some());
    if !named && given.token.is_none() {
        return Err(bad(
            "credentials are a uid with a password or a token, or a token alone",
        ));
    }
    ok(&Token {
        token: Uuid::new_v4().hyphenated().to_string(),
    })
}
