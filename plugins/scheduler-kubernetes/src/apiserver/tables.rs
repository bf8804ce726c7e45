//! Objects as tables and as bare metadata.

use super::kinds::Resource;
use super::request::query::Query;
use super::storage::Object;
use crate::object::problem::Problem;
use jiff::Timestamp;
use serde_json::{Value, json};

/// What of an object stands beside its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Include {
    /// Nothing.
    None,
    /// Its metadata.
    Metadata,
    /// All of it.
    Object,
}

impl Include {
    /// As the query says.
    ///
    /// # Errors
    /// 400 for another word.
    pub fn of(query: &Query) -> Result<Self, Problem> {
        match query.get("includeObject") {
            "" | "Metadata" => Ok(Self::Metadata),
            "None" => Ok(Self::None),
            "Object" => Ok(Self::Object),
            other => Err(Problem::bad_request(format!(
                "unrecognized includeObject value: {other:?}"
            ))),
        }
    }
}

/// The table of some objects; `heads` says whether it names its columns.
#[must_use]
pub fn table<'a>(
    resource: &Resource,
    version: &str,
    include: Include,
    objects: impl IntoIterator<Item = &'a Object>,
    now: Timestamp,
    heads: bool,
) -> Value {
    let rows: Vec<Value> = objects
        .into_iter()
        .map(|object| {
            let value = object.value();
            let mut row = json!({ "cells": (resource.row)(&value, now) });
            match include {
                Include::None => {}
                Include::Metadata => row["object"] = metadata(&value, version),
                Include::Object => row["object"] = value,
            }
            row
        })
        .collect();
    json!({
        "kind": "Table",
        "apiVersion": version,
        "metadata": {},
        "columnDefinitions": if heads { columns(resource) } else { json!(null) },
        "rows": rows,
    })
}

fn columns(resource: &Resource) -> Value {
    let columns = resource.columns.iter().map(|column| {
        json!({
            "name": column.name,
            "type": column.kind,
            "format": column.format,
            "description": column.description,
            "priority": column.priority,
        })
    });
    Value::Array(columns.collect())
}

/// An object's metadata alone.
#[must_use]
pub fn metadata(object: &Value, version: &str) -> Value {
    json!({ "kind": "PartialObjectMetadata", "apiVersion": version, "metadata": object["metadata"] })
}
