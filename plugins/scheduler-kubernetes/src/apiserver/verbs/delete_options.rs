//! How a deletion is meant: from the body, else from the query.

use super::super::call::Call;
use super::super::kinds::{Propagation, Resource};
use super::super::request::target::Name;
use crate::object::decode::{self, FieldValidation};
use crate::object::problem::Problem;
use crate::object::schema;
use crate::object::validate;
use serde_json::{Value, json};

/// How a deletion is meant.
#[derive(Debug, Clone, Default)]
pub struct DeleteOptions {
    /// How long whoever runs it may take, in seconds; none: as the object says.
    pub grace: Option<i64>,
    /// What becomes of what it owns; none: as its kind says.
    pub propagation: Option<Propagation>,
    /// Which object is meant.
    pub uid: Option<String>,
    /// Which version of it is meant.
    pub revision: Option<String>,
    /// Whether it is only tried.
    pub dry_run: bool,
}

impl DeleteOptions {
    /// Reads the options.
    ///
    /// # Errors
    /// 400 for a body that is none, 422 for options that exclude each other.
    pub fn of(call: &Call) -> Result<Self, Problem> {
        let options = if call.body.is_empty() {
            from_query(call)?
        } else {
            from_body(call)?
        };
        Self::read(&options)
    }

    /// The options in an object.
    ///
    /// # Errors
    /// 422 for options that exclude each other.
    pub fn read(options: &Value) -> Result<Self, Problem> {
        let kind = schema::lookup("", "v1", "DeleteOptions").ok_or_else(Problem::no_such_resource)?;
        let errors = validate::create(kind, options);
        if !errors.is_empty() {
            return Err(Problem::invalid("meta.k8s.io", "DeleteOptions", "", &errors));
        }
        let orphan = options["orphanDependents"].as_bool();
        let policy = options["propagationPolicy"].as_str();
        let propagation = match (policy, orphan) {
            (None, None) => None,
            (None, Some(true)) | (Some("Orphan"), _) => Some(Propagation::Orphan),
            (None, Some(false)) | (Some("Background"), _) => Some(Propagation::Background),
            // No other word was let in.
            (Some(_), _) => Some(Propagation::Foreground),
        };
        let wanted = |field: &str| options["preconditions"][field].as_str().map(str::to_owned);
        Ok(Self {
            grace: options["gracePeriodSeconds"].as_i64(),
            propagation,
            uid: wanted("uid"),
            revision: wanted("resourceVersion"),
            dry_run: options["dryRun"]
                .as_array()
                .is_some_and(|given| !given.is_empty()),
        })
    }

    /// Checks that the object is the one that is meant.
    ///
    /// # Errors
    /// 409 where it is not.
    pub fn check(&self, resource: &Resource, name: &Name, object: &Value) -> Result<(), Problem> {
        let of = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
        let conflict = |why: String| Err(Problem::conflict(resource.group, resource.kind, &name.name, &why));
        if let Some(uid) = self.uid.as_deref().filter(|uid| *uid != of("uid")) {
            return conflict(format!(
                "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have \
                 been deleted and then recreated",
                of("uid")
            ));
        }
        if let Some(revision) = self.revision.as_deref().filter(|r| *r != of("resourceVersion")) {
            return conflict(format!(
                "the ResourceVersion in the precondition ({revision}) does not match the ResourceVersion in record \
                 ({}). The object might have been modified",
                of("resourceVersion")
            ));
        }
        Ok(())
    }
}

fn from_body(call: &Call) -> Result<Value, Problem> {
    // The options may come as the kind of any group.
    let kind = schema::lookup("", "v1", "DeleteOptions").ok_or_else(Problem::no_such_resource)?;
    let mut decoded = decode::body(call.content_type(), &call.body, kind, FieldValidation::Ignore)?.object;
    if decoded["dryRun"].is_null() {
        decoded["dryRun"] = json!(
            call.query
                .all("dryRun")
                .filter(|v| !v.is_empty())
                .collect::<Vec<_>>()
        );
    }
    Ok(decoded)
}

fn from_query(call: &Call) -> Result<Value, Problem> {
    let mut options =
        json!({ "dryRun": call.query.all("dryRun").filter(|v| !v.is_empty()).collect::<Vec<_>>() });
    if let Some(seconds) = call.query.number("gracePeriodSeconds")? {
        options["gracePeriodSeconds"] = json!(seconds);
    }
    match call.query.get("propagationPolicy") {
        "" => {}
        policy => options["propagationPolicy"] = json!(policy),
    }
    match call.query.get("orphanDependents") {
        "" => {}
        _ => options["orphanDependents"] = json!(call.query.flag("orphanDependents")),
    }
    Ok(options)
}
