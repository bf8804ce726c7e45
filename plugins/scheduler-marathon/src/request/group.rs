//! Reading a group, or a change to one: the form is the same.

use crate::json::Json;
use crate::refusal::Refusal;
use crate::request::app::{Form, app, path_id, version};
use crate::request::fields::AppFields;
use crate::request::names::{GROUP, UnknownFields};
use crate::request::reader::{At, Reader};

/// Every field optional, as sent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GroupFields {
    /// As written, maybe relative; always there below the outermost group.
    pub id: Option<String>,
    /// All apps that shall be in it.
    pub apps: Option<Vec<AppFields>>,
    /// All groups that shall be in it.
    pub groups: Option<Vec<GroupFields>>,
    /// As written, maybe relative.
    pub dependencies: Option<Vec<String>>,
    /// By what the counts of all apps in it are multiplied.
    pub scale_by: Option<f64>,
    /// The version of before that it shall become.
    pub version: Option<String>,
}

/// Reads a group.
///
/// # Errors
/// `Fields` with everything that is wrong, else `Rules` with everything that is not served.
pub fn read_group(json: &Json, unknown: UnknownFields) -> Result<GroupFields, Refusal> {
    let mut reader = Reader::new(unknown);
    let fields = group(&mut reader, At::root(json), Place::Outermost);
    reader.finish(fields)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Outermost,
    Inside,
}

fn group(r: &mut Reader, at: At<'_>, place: Place) -> Option<GroupFields> {
    let o = r.object(at, &GROUP)?;
    let id = match place {
        Place::Outermost => r.optional(&o, "id", path_id),
        Place::Inside => Some(r.required(&o, "id", path_id).unwrap_or_default()),
    };
    Some(GroupFields {
        id,
        apps: r.optional(&o, "apps", |r, at| r.list(at, |r, at| app(r, at, Form::Whole))),
        groups: r.optional(&o, "groups", |r, at| {
            r.list(at, |r, at| group(r, at, Place::Inside))
        }),
        dependencies: r.optional(&o, "dependencies", |r, at| r.list(at, path_id)),
        scale_by: r.optional(&o, "scaleBy", |r, at| r.double(at, 0.0, f64::MAX)),
        version: r.optional(&o, "version", version),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::app::parse_body;

    fn read(text: &str) -> Result<GroupFields, Refusal> {
        read_group(&parse_body(text.as_bytes())?, UnknownFields::Refuse)
    }

    #[test]
    fn what_is_wrong_inside_is_named_by_its_place() {
        let refused = |text: &str| read(text).unwrap_err().body();
        assert_eq!(
            refused(r#"{"id":"/g","groups":[{"id":"/g/h","apps":[{}]}]}"#),
            r#"{"message":"Invalid JSON","details":[{"path":"/groups(0)/apps(0)/id","errors":["'id' is undefined on object: {}"]}]}"#
        );
        assert_eq!(
            refused(r#"{"groups":[{"apps":[]}],"scaleBy":-1}"#),
            r#"{"message":"Invalid JSON","details":[{"path":"/groups(0)/id","errors":["'id' is undefined on object: {\"apps\":[]}"]},{"path":"/scaleBy","errors":["error.min"]}]}"#
        );
        assert_eq!(
            read(r#"{"id":"/g","pods":[{"id":"p"}]}"#).unwrap_err().status(),
            422
        );
    }

    #[test]
    fn nothing_needs_to_be_said_of_the_outermost_group() {
        assert_eq!(read("{}"), Ok(GroupFields::default()));
        let answered = r#"{"id":"/g","apps":[],"groups":[],"pods":[],"dependencies":[],"version":null}"#;
        assert_eq!(read(answered).unwrap().apps, Some(Vec::new()));
    }
}
