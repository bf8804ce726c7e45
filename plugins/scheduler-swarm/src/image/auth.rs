//! `X-Registry-Auth`: what a registry shall be told. It goes to the node that pulls, and nowhere else.

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use http::HeaderMap;
use plenum_contract::images::RegistryAuth;
use serde::Deserialize;

/// Clients differ in whether they pad.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[derive(Deserialize, Default)]
#[serde(default)]
struct Given {
    username: String,
    password: String,
    /// Both of them, as `docker login` keeps them.
    auth: String,
    serveraddress: String,
    identitytoken: String,
    registrytoken: String,
}

/// What the header says. What cannot be read is nothing, as in Docker: old clients send anything here.
pub(super) fn read(headers: &HeaderMap) -> Option<RegistryAuth> {
    let text = headers.get("x-registry-auth")?.to_str().ok()?;
    let given: Given = serde_json::from_slice(&LENIENT.decode(text.trim()).ok()?).ok()?;
    let some = |text: String| Some(text).filter(|t| !t.is_empty());
    let both = || String::from_utf8(STANDARD.decode(&given.auth).ok()?).ok();
    let (mut username, mut password) = (given.username.clone(), given.password.clone());
    if username.is_empty()
        && let Some((user, secret)) = both().as_deref().and_then(|b| b.split_once(':'))
    {
        (username, password) = (user.to_owned(), secret.to_owned());
    }
    let auth = RegistryAuth {
        username: some(username),
        password: some(password),
        server: some(given.serveraddress),
        identity_token: some(given.identitytoken),
        registry_token: some(given.registrytoken),
    };
    (auth != RegistryAuth::default()).then_some(auth)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(json: &str, padded: bool) -> HeaderMap {
        let mut text = base64::engine::general_purpose::URL_SAFE.encode(json);
        if !padded {
            text = text.trim_end_matches('=').to_owned();
        }
        [("x-registry-auth".parse().unwrap(), text.parse().unwrap())]
            .into_iter()
            .collect()
    }

    #[test]
    fn what_clients_send_is_read_and_shown_nowhere() {
        for padded in [true, false] {
            let auth = read(&header(
                r#"{"username":"u","password":"pässword","serveraddress":"r:5"}"#,
                padded,
            ));
            let auth = auth.unwrap();
            assert_eq!(
                (
                    auth.username.as_deref(),
                    auth.password.as_deref(),
                    auth.server.as_deref()
                ),
                (Some("u"), Some("pässword"), Some("r:5"))
            );
            assert!(!format!("{auth:?}").contains("word"), "a secret is not printed");
        }
        let kept = read(&header(r#"{"auth":"dTpw","email":"x@y"}"#, true)).unwrap();
        assert_eq!(
            (kept.username.as_deref(), kept.password.as_deref()),
            (Some("u"), Some("p"))
        );
        for nothing in ["{}", "", "null", "[1]"] {
            assert!(read(&header(nothing, true)).is_none(), "{nothing}");
        }
        assert!(read(&HeaderMap::new()).is_none());
    }
}
