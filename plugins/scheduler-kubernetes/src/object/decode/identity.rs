//! What a body says it is: its `apiVersion` and `kind`, read before the rest.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use crate::object::problem::Problem;
use crate::object::schema::{self, Kind};

/// What the body calls itself; both may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) api_version: String,
    pub(super) kind: String,
}

impl Identity {
    pub(super) fn of_json(bytes: &[u8]) -> Result<Self, String> {
        let wrong = |error| super::text::json_error(&error, bytes);
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        let identity = Search.deserialize(&mut deserializer).map_err(wrong)?;
        deserializer.end().map_err(wrong)?;
        Ok(identity)
    }

    pub(super) fn of_yaml(bytes: &[u8]) -> Result<Self, String> {
        Search
            .deserialize(serde_yaml_ng::Deserializer::from_slice(bytes))
            .map_err(|error| error.to_string())
    }

    pub(super) fn of(object: &Value) -> Self {
        let text = |name| object[name].as_str().unwrap_or_default().to_owned();
        Self {
            api_version: text("apiVersion"),
            kind: text("kind"),
        }
    }

    /// Whether it may be sent where this kind is expected.
    pub(super) fn check(&self, kind: &Kind) -> Result<(), Problem> {
        let expected = kind.api_version();
        let options = kind.kind == "DeleteOptions";
        if !self.api_version.is_empty() && self.api_version != expected && !options {
            return Err(Problem::bad_request(format!(
                "the API version in the data ({}) does not match the expected API version ({expected})",
                self.api_version
            )));
        }
        if self.kind.is_empty() || self.kind == kind.kind {
            return Ok(());
        }
        let why = if schema::lookup(kind.group, kind.version, &self.kind).is_some() {
            let package = if kind.group.is_empty() {
                "core"
            } else {
                kind.group.split('.').next().unwrap_or("")
            };
            let version = kind.version;
            format!(
                "converting ({version}.{}) to ({package}.{}): unknown conversion",
                self.kind, kind.kind
            )
        } else {
            let scheme = "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30";
            format!(
                "no kind {:?} is registered for version {expected:?} in scheme {scheme:?}",
                self.kind
            )
        };
        Err(Problem::bad_request(format!(
            "{} in version {:?} cannot be handled as a {}: {why}",
            self.kind, kind.version, kind.kind
        )))
    }
}

struct Search;

impl<'de> DeserializeSeed<'de> for Search {
    type Value = Identity;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Identity, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Search {
    type Value = Identity;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Identity, A::Error> {
        let mut identity = Identity::default();
        while let Some(key) = map.next_key_seed(super::typed::Key)? {
            match key.as_str() {
                "apiVersion" => {
                    identity.api_version = map.next_value::<Option<String>>()?.unwrap_or_default()
                }
                "kind" => identity.kind = map.next_value::<Option<String>>()?.unwrap_or_default(),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(identity)
    }
}
