//! The fields of the kinds with their descriptions, as Kubernetes publishes them, in the form of OpenAPI v3.

use super::super::kinds::Resource;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// The schemas of these kinds and of all that they consist of, by name.
pub(super) fn of(kinds: impl Iterator<Item = &'static Resource>) -> Map<String, Value> {
    let mut generator = SchemaSettings::openapi3().into_generator();
    let named: Vec<_> = kinds
        .map(|kind| (kind, (kind.described)(&mut generator)))
        .collect();
    let mut schemas = generator.take_definitions(true);
    for schema in schemas.values_mut() {
        wrap_references(schema);
    }
    for (kind, name) in named {
        if let Some(schema) = schemas.get_mut(&name) {
            let own = json!({ "group": kind.group, "version": kind.version, "kind": kind.kind });
            schema["x-kubernetes-group-version-kind"] = json!([own]);
        }
    }
    schemas
}

/// OpenAPI 3.0 reads nothing that stands beside a `$ref`, so that a description needs one around it.
fn wrap_references(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.values_mut().for_each(wrap_references);
            if fields.len() > 1
                && fields.get("$ref").is_some_and(Value::is_string)
                && let Some(reference) = fields.remove("$ref")
            {
                fields.insert("allOf".to_owned(), json!([{ "$ref": reference }]));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(wrap_references),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::kinds::ALL;
    use super::*;

    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    #[test]
    fn every_kind_is_described_and_every_reference_leads_somewhere() {
        let schemas = of(ALL.into_iter());
        for kind in ALL {
            let own = json!([{ "group": kind.group, "version": kind.version, "kind": kind.kind }]);
            let found: Vec<&Value> = schemas
                .values()
                .filter(|schema| schema["x-kubernetes-group-version-kind"] == own)
                .collect();
            assert_eq!(found.len(), 1, "{}", kind.kind);
            assert!(found[0]["description"].is_string(), "{}", kind.kind);
        }
        let whole = Value::Object(schemas.clone());
        let mut all = Vec::new();
        references(&whole, &mut all);
        assert!(all.len() > 100);
        for reference in all {
            let name = reference.strip_prefix("#/components/schemas/").unwrap();
            assert!(schemas.contains_key(name), "{reference}");
        }
    }

    #[test]
    fn a_description_stands_beside_what_it_describes() {
        let mut schema =
            json!({ "spec": { "$ref": "#/x", "description": "what" }, "meta": { "$ref": "#/y" } });
        wrap_references(&mut schema);
        let wrapped = json!({ "allOf": [{ "$ref": "#/x" }], "description": "what" });
        assert_eq!(schema, json!({ "spec": wrapped, "meta": { "$ref": "#/y" } }));
    }
}
