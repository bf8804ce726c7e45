//! Objects as tables and as bare metadata.

use super::kinds::Resource;
use super::request::query::Query;
use super::storage::Object;
use crate::object::problem::Problem;
use bytes::Bytes;
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

/// A table as it is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Form<'a> {
    /// The kind of its objects.
    pub resource: &'a Resource,
    /// Its version.
    pub version: &'a str,
    /// What stands beside its rows.
    pub include: Include,
    /// For when it is.
    pub now: Timestamp,
    /// Whether it names its columns.
    pub heads: bool,
}

/// Writes the table of some objects.
pub fn write<'a>(
    form: Form<'_>,
    metadata: &Value,
    objects: impl IntoIterator<Item = &'a Object>,
    to: &mut Vec<u8>,
) {
    let Form {
        resource, version, ..
    } = form;
    let columns = if form.heads {
        columns(resource)
    } else {
        Value::Null
    };
    let head = format!(
        "{{\"kind\":\"Table\",\"apiVersion\":\"{version}\",\"metadata\":{metadata},\"columnDefinitions\":{columns},\"rows\":["
    );
    to.extend_from_slice(head.as_bytes());
    for (i, object) in objects.into_iter().enumerate() {
        if i > 0 {
            to.push(b',');
        }
        write_row(form, object, to);
    }
    to.extend_from_slice(b"]}");
}

fn write_row(form: Form<'_>, object: &Object, to: &mut Vec<u8>) {
    to.extend_from_slice(b"{\"cells\":");
    let cells = object.row(form.resource.row).iter();
    let cells = Value::Array(cells.map(|cell| cell.at(form.now)).collect());
    // Values always serialise, and a vector takes all.
    let _ = serde_json::to_writer(&mut *to, &cells);
    if form.include != Include::None {
        to.extend_from_slice(b",\"object\":");
    }
    match form.include {
        Include::None => {}
        Include::Metadata => object.write_metadata(form.version, to),
        Include::Object => object.write_full(to),
    }
    to.push(b'}');
}

/// The table of one object, between these.
#[must_use]
pub fn of_one(form: Form<'_>, object: &Object, before: &str, after: &str) -> Bytes {
    let metadata = json!({ "resourceVersion": object.revision().to_string() });
    let mut bytes = before.as_bytes().to_vec();
    write(form, &metadata, [object], &mut bytes);
    bytes.extend_from_slice(after.as_bytes());
    Bytes::from(bytes)
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
