//! What selectors may ask for of an object, worked out when it is written and kept beside it: small, since there is
//! one for each state of each object that is remembered.

use serde_json::Value;

use super::fields::text_of;

/// See the module's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selectable {
    name: Box<str>,
    namespace: Box<str>,
    uid: Box<str>,
    labels: Box<[(Box<str>, Box<str>)]>,
    /// The fields that are not empty, as text.
    fields: Box<[(&'static str, Box<str>)]>,
}

impl Selectable {
    /// Of this object; `fields` may be selected beside its name and namespace.
    #[must_use]
    pub fn of(object: &Value, fields: &'static [&'static str]) -> Self {
        let metadata = &object["metadata"];
        let text = |field: &str| metadata[field].as_str().unwrap_or_default().into();
        let labels = metadata["labels"].as_object().into_iter().flatten();
        let labels = labels.filter_map(|(key, value)| Some((key.as_str().into(), value.as_str()?.into())));
        let fields = fields.iter().map(|field| (*field, text_of(object, field)));
        let fields = fields.filter(|(_, text)| !text.is_empty());
        Self {
            name: text("name"),
            namespace: text("namespace"),
            uid: text("uid"),
            labels: labels.collect(),
            fields: fields.map(|(field, text)| (field, text.into())).collect(),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its namespace; empty: none.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Its uid; empty: none.
    #[must_use]
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// One of its labels.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&str> {
        let found = self.labels.iter().find(|(name, _)| **name == *key);
        found.map(|(_, value)| &**value)
    }

    /// One of its fields as text; what is absent is empty, or what its type has for nothing.
    #[must_use]
    pub fn field(&self, field: &str) -> &str {
        match field {
            "metadata.name" => &self.name,
            "metadata.namespace" => &self.namespace,
            other => {
                let found = self.fields.iter().find(|(name, _)| *name == other);
                found.map_or("", |(_, text)| text)
            }
        }
    }
}
