//! Tokens of service accounts: signed by a key that only this server has, valid until they expire and as long as
//! the account, and the object they are bound to, are there.

use super::{Subjects, User};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::{Value, json};

/// Who made the token.
pub const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
/// Bytes of the key.
const KEY_BYTES: usize = 32;

/// Makes and reads tokens.
pub struct Tokens(hmac::Key);

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens(..)")
    }
}

/// What a token is good for.
#[derive(Debug, Clone)]
pub struct Grant<'a> {
    /// The account's namespace.
    pub namespace: &'a str,
    /// The account's name.
    pub account: &'a str,
    /// The account's uid.
    pub uid: &'a str,
    /// Who shall accept it.
    pub audiences: &'a [String],
    /// Seconds since 1970.
    pub issued: i64,
    /// Seconds since 1970.
    pub expires: i64,
    /// `Pod`, name and uid of the object it is bound to.
    pub bound: Option<(String, String, String)>,
}

impl Tokens {
    /// Bytes for a key, to be kept.
    #[must_use]
    pub fn new_key() -> Vec<u8> {
        let random = [uuid::Uuid::new_v4(), uuid::Uuid::new_v4(), uuid::Uuid::new_v4()];
        let bytes: Vec<u8> = random
            .iter()
            .flat_map(|id| id.as_bytes().iter().copied())
            .collect();
        bytes.into_iter().take(KEY_BYTES + 8).collect()
    }

    /// Tokens under this key.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// Makes a token.
    #[must_use]
    pub fn make(&self, grant: &Grant<'_>) -> String {
        let mut kubernetes = json!({
            "namespace": grant.namespace,
            "serviceaccount": { "name": grant.account, "uid": grant.uid },
        });
        if let Some((kind, name, uid)) = &grant.bound {
            kubernetes[kind.to_ascii_lowercase()] = json!({ "name": name, "uid": uid });
        }
        let claims = json!({
            "aud": grant.audiences,
            "exp": grant.expires,
            "iat": grant.issued,
            "iss": ISSUER,
            "jti": uuid::Uuid::new_v4().to_string(),
            "kubernetes.io": kubernetes,
            "nbf": grant.issued,
            "sub": format!("system:serviceaccount:{}:{}", grant.namespace, grant.account),
        });
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!(
            "{}.{}",
            encode(&json!({ "alg": "HS256", "typ": "JWT" })),
            encode(&claims)
        );
        let tag = hmac::sign(&self.0, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
    }

    /// What a token says, if it is one of ours and within its time.
    #[must_use]
    pub fn claims(&self, token: &str, now: i64) -> Option<Value> {
        let (signed, tag) = token.rsplit_once('.')?;
        let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
        hmac::verify(&self.0, signed.as_bytes(), &tag).ok()?;
        let (_, claims) = signed.split_once('.')?;
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
        let within = claims["nbf"].as_i64()? <= now && now < claims["exp"].as_i64()?;
        within.then_some(claims)
    }

    /// Whose token it is, if it is valid for this server.
    #[must_use]
    pub fn user(&self, token: &str, subjects: &dyn Subjects, now: i64) -> Option<User> {
        let claims = self.claims(token, now)?;
        let for_us = claims["aud"]
            .as_array()?
            .iter()
            .any(|audience| audience == ISSUER);
        for_us.then(|| subject(&claims, subjects)).flatten()
    }
}

/// Whom claims speak of, as long as everything they name is there.
#[must_use]
pub fn subject(claims: &Value, subjects: &dyn Subjects) -> Option<User> {
    let said = &claims["kubernetes.io"];
    let namespace = said["namespace"].as_str()?;
    let account = said["serviceaccount"]["name"].as_str()?;
    let uid = said["serviceaccount"]["uid"].as_str()?;
    if subjects.account_uid(namespace, account)? != uid {
        return None;
    }
    let mut user = User::account(namespace, account, uid);
    for kind in ["Pod", "Secret", "Node"] {
        let bound = &said[kind.to_ascii_lowercase()];
        if let (Some(name), Some(uid)) = (bound["name"].as_str(), bound["uid"].as_str()) {
            if subjects.bound_uid(kind, namespace, name)? != uid {
                return None;
            }
            let extra = |what: &str| {
                format!(
                    "authentication.kubernetes.io/{}-{what}",
                    kind.to_ascii_lowercase()
                )
            };
            user.extra.insert(extra("name"), vec![name.to_owned()]);
            user.extra.insert(extra("uid"), vec![uid.to_owned()]);
        }
    }
    if let Some(id) = claims["jti"].as_str() {
        let key = "authentication.kubernetes.io/credential-id".to_owned();
        user.extra.insert(key, vec![format!("JTI={id}")]);
    }
    Some(user)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Known;

    impl Subjects for Known {
        fn account_uid(&self, namespace: &str, name: &str) -> Option<String> {
            (namespace == "ns" && name == "sa").then(|| "u1".to_owned())
        }

        fn bound_uid(&self, _: &str, _: &str, name: &str) -> Option<String> {
            (name == "p").then(|| "u2".to_owned())
        }
    }

    fn grant<'a>(uid: &'a str, audiences: &'a [String]) -> Grant<'a> {
        Grant {
            namespace: "ns",
            account: "sa",
            uid,
            audiences,
            issued: 100,
            expires: 200,
            bound: Some(("Pod".into(), "p".into(), "u2".into())),
        }
    }

    #[test]
    fn a_token_is_good_within_its_time_for_its_account_and_unchanged() {
        let tokens = Tokens::new(&Tokens::new_key());
        let audiences = [ISSUER.to_owned()];
        let token = tokens.make(&grant("u1", &audiences));
        let user = tokens.user(&token, &Known, 150).unwrap();
        assert_eq!(user.name, "system:serviceaccount:ns:sa");
        assert_eq!(user.extra["authentication.kubernetes.io/pod-name"], ["p"]);
        assert_eq!(tokens.user(&token, &Known, 200), None);
        assert_eq!(tokens.user(&token[..token.len() - 2], &Known, 150), None);
        assert_eq!(Tokens::new(&Tokens::new_key()).user(&token, &Known, 150), None);
        assert_eq!(
            tokens.user(&tokens.make(&grant("u9", &audiences)), &Known, 150),
            None
        );
        assert_eq!(
            tokens.user(&tokens.make(&grant("u1", &["vault".to_owned()])), &Known, 150),
            None
        );
    }
}
