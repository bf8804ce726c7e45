//! The environment of a container: what `envFrom` and `env` say, with `$(NAME)` replaced. Values of secrets never
//! stand in it: they are files of the claim, filled in on the node.

use super::Refused;
use super::charge::{limit, request};
use super::lower::Draft;
use super::sources::{Entries, Missing, NeededBy, Sources};
use crate::object::quantity::Quantity;
use k8s_openapi::api::core::v1::{Container, EnvFromSource, EnvVarSource, Pod, ResourceFieldSelector};
use plenum_model::template::{Part, Placeholder, Template};
use std::collections::BTreeMap;

/// Variables in the order in which they were first said.
#[derive(Debug, Clone, Default)]
pub struct Vars {
    order: Vec<String>,
    values: BTreeMap<String, Template>,
}

impl Vars {
    fn set(&mut self, name: &str, value: Template) {
        if self.values.insert(name.to_owned(), value).is_none() {
            self.order.push(name.to_owned());
        }
    }

    /// As a spec has them.
    #[must_use]
    pub fn into_list(mut self) -> Vec<(String, Template)> {
        let take = |name: String| {
            let value = self.values.remove(&name)?;
            Some((name, value))
        };
        self.order.into_iter().filter_map(take).collect()
    }

    /// The text with every `$(NAME)` of a known name replaced; `$$` is one `$`.
    #[must_use]
    pub fn expand(&self, text: &str) -> Template {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            plain.push_str(&rest[..at]);
            let after = &rest[at + 1..];
            let name = after.strip_prefix('(').and_then(|a| a.split_once(')'));
            if let Some(escaped) = after.strip_prefix('$') {
                plain.push('$');
                rest = escaped;
            } else if let Some((name, behind)) = name {
                match self.values.get(name) {
                    Some(value) => push(&mut parts, &mut plain, value),
                    None => plain.extend(["$(", name, ")"]),
                }
                rest = behind;
            } else {
                plain.push('$');
                rest = after;
            }
        }
        plain.push_str(rest);
        if !plain.is_empty() || parts.is_empty() {
            parts.push(Part::Text(plain));
        }
        Template(parts)
    }
}

fn push(parts: &mut Vec<Part>, plain: &mut String, value: &Template) {
    for part in &value.0 {
        match part {
            Part::Text(text) => plain.push_str(text),
            fill @ Part::Fill(_) => {
                if !plain.is_empty() {
                    parts.push(Part::Text(std::mem::take(plain)));
                }
                parts.push(fill.clone());
            }
        }
    }
}

/// The environment of a container. What is missing is noted in the draft, and left out.
///
/// # Errors
/// A source that is not served.
pub fn env(pod: &Pod, container: &Container, sources: &Sources, draft: &mut Draft) -> Result<Vars, Refused> {
    let mut vars = Vars::default();
    for from in container.env_from.iter().flatten() {
        take_all(container, from, sources, draft, &mut vars);
    }
    for var in container.env.iter().flatten() {
        let value = match &var.value_from {
            None => Some(vars.expand(var.value.as_deref().unwrap_or_default())),
            Some(source) => one(pod, container, source, sources, draft)?,
        };
        if let Some(value) = value {
            vars.set(&var.name, value);
        }
    }
    Ok(vars)
}

fn take_all(
    container: &Container,
    from: &EnvFromSource,
    sources: &Sources,
    draft: &mut Draft,
    vars: &mut Vars,
) {
    let prefix = from.prefix.as_deref().unwrap_or_default();
    if let Some(r) = &from.config_map_ref {
        match sources.config_maps.get(&r.name) {
            Some(entries) => {
                for (key, value) in entries {
                    vars.set(&format!("{prefix}{key}"), text(value));
                }
            }
            None if r.optional == Some(true) => {}
            None => draft.missing(container, format!("configmap \"{}\" not found", r.name)),
        }
    }
    if let Some(r) = &from.secret_ref {
        match sources.secrets.get(&r.name) {
            Some(entries) => {
                for (key, value) in entries {
                    let value = draft.secret_text(value);
                    vars.set(&format!("{prefix}{key}"), value);
                }
            }
            None if r.optional == Some(true) => {}
            None => draft.missing(container, format!("secret \"{}\" not found", r.name)),
        }
    }
}

fn text(bytes: &[u8]) -> Template {
    Template::text(String::from_utf8_lossy(bytes))
}

fn one(
    pod: &Pod,
    container: &Container,
    source: &EnvVarSource,
    sources: &Sources,
    draft: &mut Draft,
) -> Result<Option<Template>, Refused> {
    if let Some(field) = &source.field_ref {
        let value = field_value(pod, &field.field_path);
        return value.map(Some).ok_or_else(|| {
            Refused::unserved(format!(
                "env of container {}: fieldRef {}",
                container.name, field.field_path
            ))
        });
    }
    if let Some(field) = &source.resource_field_ref {
        return resource_value(pod, container, field).map(|v| Some(Template::text(v)));
    }
    let namespace = super::namespace(pod);
    if let Some(r) = &source.config_map_key_ref {
        let kind = ("ConfigMap", "configmap");
        let entries = sources.config_maps.get(&r.name);
        let found = find(entries, kind, namespace, &r.name, &r.key, r.optional);
        return Ok(noted(found, container, draft).map(text));
    }
    if let Some(r) = &source.secret_key_ref {
        let entries = sources.secrets.get(&r.name);
        let found = find(
            entries,
            ("Secret", "secret"),
            namespace,
            &r.name,
            &r.key,
            r.optional,
        );
        let value = noted(found, container, draft);
        return Ok(value.map(|value| draft.secret_text(value)));
    }
    Err(Refused::unserved(format!(
        "env of container {}: valueFrom",
        container.name
    )))
}

/// An entry; none where it may be missing and is.
fn find<'a>(
    entries: Option<&'a Entries>,
    (kind, plain): (&str, &str),
    namespace: &str,
    name: &str,
    key: &str,
    optional: Option<bool>,
) -> Result<Option<&'a Vec<u8>>, String> {
    let missing = |message: String| {
        if optional == Some(true) {
            Ok(None)
        } else {
            Err(message)
        }
    };
    match entries {
        None => missing(format!("{plain} \"{name}\" not found")),
        Some(entries) => match entries.get(key) {
            None => missing(format!("couldn't find key {key} in {kind} {namespace}/{name}")),
            found => Ok(found),
        },
    }
}

fn noted<'a>(
    found: Result<Option<&'a Vec<u8>>, String>,
    container: &Container,
    draft: &mut Draft,
) -> Option<&'a [u8]> {
    match found {
        Ok(value) => value.map(Vec::as_slice),
        Err(message) => {
            draft.missing(container, message);
            None
        }
    }
}

impl Draft {
    fn missing(&mut self, container: &Container, message: String) {
        let needed_by = NeededBy::Container(container.name.clone());
        self.missing.push(Missing { needed_by, message });
    }
}

/// What a field of the pod says; none: it is no field that can be asked for.
#[must_use]
pub fn field_value(pod: &Pod, path: &str) -> Option<Template> {
    let meta = &pod.metadata;
    let spec = pod.spec.as_ref()?;
    let text = |t: Option<&str>| Some(Template::text(t.unwrap_or_default()));
    match path {
        "metadata.name" => text(meta.name.as_deref()),
        "metadata.namespace" => text(meta.namespace.as_deref()),
        "metadata.uid" => text(meta.uid.as_deref()),
        "metadata.labels" => Some(Template::text(listed(meta.labels.as_ref()))),
        "metadata.annotations" => Some(Template::text(listed(meta.annotations.as_ref()))),
        "spec.serviceAccountName" => text(spec.service_account_name.as_deref()),
        "spec.nodeName" => Some(Template::fill(Placeholder::NodeName)),
        "status.hostIP" | "status.hostIPs" => Some(Template::fill(Placeholder::NodeAddress)),
        "status.podIP" | "status.podIPs" => Some(Template::fill(Placeholder::TaskAddress)),
        _ => {
            let entry = |of: &str| path.strip_prefix(of)?.strip_prefix("['")?.strip_suffix("']");
            let value = |map: Option<&BTreeMap<String, String>>, key: &str| {
                Template::text(map.and_then(|m| m.get(key)).map_or("", String::as_str))
            };
            entry("metadata.labels")
                .map(|key| value(meta.labels.as_ref(), key))
                .or_else(|| Some(value(meta.annotations.as_ref(), entry("metadata.annotations")?)))
        }
    }
}

fn listed(map: Option<&BTreeMap<String, String>>) -> String {
    let lines = map.into_iter().flatten().map(|(k, v)| format!("{k}={v:?}"));
    lines.collect::<Vec<_>>().join("\n")
}

/// A request or limit of a container, in units of the divisor, rounded up.
///
/// # Errors
/// Where nothing is set: the node's own amounts are not known before it is placed.
pub fn resource_value(pod: &Pod, own: &Container, field: &ResourceFieldSelector) -> Result<String, Refused> {
    let refused = |why: &str| Refused::new(format!("resourceFieldRef {}", field.resource), why);
    let container = match field.container_name.as_deref() {
        None | Some("") => own,
        Some(name) => pod
            .spec
            .iter()
            .flat_map(super::all_containers)
            .find_map(|(_, c)| (c.name == name).then_some(c))
            .ok_or_else(|| refused("there is no such container"))?,
    };
    let (kind, resource) = field
        .resource
        .split_once('.')
        .ok_or_else(|| refused("neither limits nor requests"))?;
    let count = match kind {
        "limits" => limit(container, resource)?,
        "requests" => request(container, resource)?,
        _ => return Err(refused("neither limits nor requests")),
    };
    let count = count.ok_or_else(|| refused("not supported where the container does not set it"))?;
    let divisor = match &field.divisor {
        Some(text) if text.0 != "0" => Quantity::parse(&text.0).map_err(|e| refused(&e.to_string()))?,
        _ => Quantity::whole(1),
    };
    let divisor = if resource == "cpu" {
        divisor.millis()
    } else {
        divisor.value()
    };
    let divisor = u64::try_from(divisor).unwrap_or(1).max(1);
    Ok(count.div_ceil(divisor).to_string())
}
