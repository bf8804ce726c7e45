//! The token with which a client goes on with a list: which revision it is of and after which key.

use crate::object::problem::Problem;
use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// Where a page of a list ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The revision of the list; none: whatever is newest, since the list's own is forgotten.
    pub revision: Option<u64>,
    /// The last key of the page.
    pub after: String,
}

impl Token {
    /// As clients hold it.
    #[must_use]
    pub fn text(&self) -> String {
        let revision = self.revision.map_or(json!(-1), |revision| json!(revision));
        let token = json!({ "v": "meta.k8s.io/v1", "rv": revision, "start": format!("{}\0", self.after) });
        URL_SAFE_NO_PAD.encode(token.to_string())
    }

    /// Reads one back.
    ///
    /// # Errors
    /// 400 for what is none.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let bad = |why: &str| Problem::bad_request(format!("continue key is not valid: {why}"));
        let bytes = URL_SAFE_NO_PAD.decode(text).or_else(|_| URL_SAFE.decode(text));
        let bytes = bytes.map_err(|_| bad("illegal base64 data"))?;
        let token: Value = serde_json::from_slice(&bytes).map_err(|e| bad(&e.to_string()))?;
        if token["v"] != "meta.k8s.io/v1" {
            return Err(bad("server does not recognize this encoded version"));
        }
        let after = token["start"]
            .as_str()
            .unwrap_or_default()
            .trim_end_matches('\0')
            .to_owned();
        if after.is_empty() {
            return Err(bad("encoded start key empty"));
        }
        let revision = match token["rv"].as_i64() {
            Some(-1) => None,
            Some(revision) if revision > 0 => u64::try_from(revision).ok(),
            Some(_) | None => return Err(bad("incorrect encoded start resourceVersion")),
        };
        Ok(Self { revision, after })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_back_and_nothing_else_is_one() {
        for revision in [Some(7), None] {
            let token = Token {
                revision,
                after: "ns/a".to_owned(),
            };
            assert_eq!(Token::parse(&token.text()).unwrap(), token);
        }
        for bad in ["?", "e30", "bm90IGpzb24"] {
            assert_eq!(Token::parse(bad).unwrap_err().code, 400, "{bad}");
        }
    }
}
