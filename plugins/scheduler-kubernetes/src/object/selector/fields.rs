//! Selectors by fields, as in a query's `fieldSelector`: each kind knows a few.

use serde_json::Value;

use super::selectable::Selectable;
use crate::object::problem::Problem;
use crate::object::schema::Kind;

/// One condition: the field's value as text is (or is not) this.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Condition {
    label: String,
    equal: bool,
    value: String,
}

/// Conditions on fields that must all hold; none: everything matches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    conditions: Vec<Condition>,
}

impl Fields {
    /// Reads `metadata.name=x,status.phase!=Failed` for objects of this kind.
    ///
    /// # Errors
    /// 400 for what is no selector or asks for a field that the kind cannot be selected by.
    pub fn parse(text: &str, kind: &Kind) -> Result<Self, Problem> {
        let mut conditions = Vec::new();
        for term in split(text) {
            if term.is_empty() {
                continue;
            }
            let (label, equal, value) = understood(&term).ok_or_else(|| {
                Problem::bad_request(format!("invalid selector: '{text}'; can't understand '{term}'"))
            })?;
            let label = supported(kind, label)?;
            conditions.push(Condition {
                label,
                equal,
                value: unescaped(value, text)?,
            });
        }
        Ok(Self { conditions })
    }

    /// Whether everything matches.
    pub fn is_empty(&self) -> bool {
        self.conditions.is_empty()
    }

    /// The one name that can match, if the selector asks for one.
    pub fn name(&self) -> Option<&str> {
        let named = self
            .conditions
            .iter()
            .find(|c| c.equal && c.label == "metadata.name");
        named.map(|condition| condition.value.as_str())
    }

    /// Whether this object's fields match.
    pub fn matches(&self, object: &Selectable) -> bool {
        self.conditions
            .iter()
            .all(|condition| (object.field(&condition.label) == condition.value) == condition.equal)
    }
}

/// The terms between commas that no backslash precedes.
fn split(text: &str) -> Vec<String> {
    let mut terms = vec![String::new()];
    let mut escaped = false;
    for c in text.chars() {
        match c {
            ',' if !escaped => terms.push(String::new()),
            _ => terms.iter_mut().last().into_iter().for_each(|term| term.push(c)),
        }
        escaped = c == '\\' && !escaped;
    }
    terms
}

/// The field, whether it is to be equal, and the value still escaped.
fn understood(term: &str) -> Option<(&str, bool, &str)> {
    let at = term.find(['=', '!'])?;
    let (label, rest) = term.split_at(at);
    let (equal, value) = match rest {
        _ if rest.starts_with("!=") => (false, &rest[2..]),
        _ if rest.starts_with("==") => (true, &rest[2..]),
        _ if rest.starts_with('=') => (true, &rest[1..]),
        _ => return None,
    };
    Some((label, equal, value))
}

fn unescaped(value: &str, selector: &str) -> Result<String, Problem> {
    let mut plain = String::new();
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(next @ ('\\' | ',' | '=')) => plain.push(next),
                _ => {
                    let text = format!("invalid field selector: invalid escape sequence in '{selector}'");
                    return Err(Problem::bad_request(text));
                }
            },
            '=' => {
                let text = format!("invalid field selector: unescaped '=' in '{selector}'");
                return Err(Problem::bad_request(text));
            }
            other => plain.push(other),
        }
    }
    Ok(plain)
}

const POD: &[&str] = &[
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.podIPs",
    "status.nominatedNodeName",
];
const EVENT: &[&str] = &[
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
];
const NEW_EVENT: &[&str] = &[
    "regarding.kind",
    "regarding.namespace",
    "regarding.name",
    "regarding.uid",
    "regarding.apiVersion",
    "regarding.resourceVersion",
    "regarding.fieldPath",
    "reason",
    "reportingController",
    "type",
];

/// The label as it is looked up, if objects of this kind can be selected by it.
fn supported(kind: &Kind, label: &str) -> Result<String, Problem> {
    if label == "metadata.name"
        || (label == "metadata.namespace" && !matches!(kind.kind, "Node" | "Namespace"))
    {
        return Ok(label.to_owned());
    }
    let (labels, refusal): (&[&str], _) = match (kind.group, kind.kind) {
        ("", "Pod") => (POD, format!("field label not supported: {label}")),
        // An old name of the node's name that pods still answer to is refused as all others are.
        ("", "Node") => (
            &["spec.unschedulable"],
            format!("field label not supported: {label}"),
        ),
        ("", "Namespace") => (&["status.phase"], format!("field label not supported: {label}")),
        ("", "Secret") => (&["type"], format!("field label not supported: {label}")),
        ("", "Event") => (EVENT, format!("field label not supported: {label}")),
        ("events.k8s.io", "Event") => (NEW_EVENT, format!("field label not supported: {label}")),
        ("batch", "Job") => (
            &["status.successful"],
            format!("field label {label:?} not supported for batchv1.Job"),
        ),
        _ => {
            let known = "only \"metadata.name\", \"metadata.namespace\"";
            (&[], format!("{label:?} is not a known field selector: {known}"))
        }
    };
    if labels.contains(&label) {
        Ok(label.to_owned())
    } else {
        Err(Problem::bad_request(refusal))
    }
}

/// The field's value as text; what is absent is empty, or what its type has for nothing.
pub(super) fn text_of(object: &Value, label: &str) -> String {
    let path = match label {
        "status.successful" => "status.succeeded",
        "source" => {
            let component = object["source"]["component"]
                .as_str()
                .filter(|component| !component.is_empty());
            return component
                .or(object["reportingComponent"].as_str())
                .unwrap_or_default()
                .to_owned();
        }
        "status.podIPs" => {
            let ips = object["status"]["podIPs"].as_array().into_iter().flatten();
            return ips
                .filter_map(|ip| ip["ip"].as_str())
                .collect::<Vec<_>>()
                .join(",");
        }
        other => other,
    };
    let value = path
        .split('.')
        .try_fold(object, |object, name| object.get(name))
        .unwrap_or(&Value::Null);
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => match label {
            "spec.hostNetwork" | "spec.unschedulable" => "false".to_owned(),
            "status.successful" => "0".to_owned(),
            _ => String::new(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::schema::lookup;
    use serde_json::json;

    #[test]
    fn fields_are_compared_as_text() {
        let pod = lookup("", "v1", "Pod").expect("kind");
        let object = json!({
            "metadata": {"name": "p", "namespace": "n"},
            "spec": {"nodeName": "node1"},
            "status": {"phase": "Running"},
        });
        for (text, want) in [
            ("", true),
            ("metadata.name=p", true),
            ("metadata.name==p,metadata.namespace=n", true),
            (
                "spec.nodeName=node1,status.phase!=Succeeded,status.phase!=Failed",
                true,
            ),
            ("spec.nodeName=", false),
            ("spec.nodeName!=", true),
            ("spec.hostNetwork=false", true),
            ("status.podIP=", true),
        ] {
            assert_eq!(
                Fields::parse(text, pod)
                    .expect(text)
                    .matches(&Selectable::of(&object, POD)),
                want,
                "{text}"
            );
        }
        assert_eq!(
            Fields::parse("metadata.name=p", pod).expect("name").name(),
            Some("p")
        );
    }

    #[test]
    fn a_field_that_a_kind_cannot_be_selected_by_is_refused_in_its_own_words() {
        for (group, kind, text, want) in [
            ("", "Pod", "spec.bogus=1", "field label not supported: spec.bogus"),
            (
                "",
                "ConfigMap",
                "data.x=1",
                "\"data.x\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
            ),
            (
                "batch",
                "Job",
                "spec.x=1",
                "field label \"spec.x\" not supported for batchv1.Job",
            ),
            (
                "",
                "Pod",
                "spec",
                "invalid selector: 'spec'; can't understand 'spec'",
            ),
        ] {
            let kind = lookup(group, "v1", kind).expect("kind");
            let problem = Fields::parse(text, kind).expect_err(text);
            assert_eq!((problem.code, problem.message.as_str()), (400, want));
        }
    }

    #[test]
    fn a_comma_in_a_value_is_escaped() {
        let map = lookup("", "v1", "ConfigMap").expect("kind");
        let fields = Fields::parse("metadata.name=a\\,b", map).expect("escaped");
        assert_eq!(fields.name(), Some("a,b"));
    }
}
