//! What the files of `plenum apply` say, and by whom each part is for: told by its content.

use crate::failure::Failure;
use plenum_model::code;
use serde::Deserialize;
use serde_json::Value;

/// See the module's header.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// Marathon's apps.
    pub(crate) apps: Vec<Part>,
    /// Marathon's groups.
    pub(crate) groups: Vec<Part>,
    /// Kubernetes' objects.
    pub(crate) objects: Vec<Value>,
}

/// An app, or a group with all that is in it.
#[derive(Debug)]
pub(crate) struct Part {
    /// The names of its apps, without the first `/`.
    pub(crate) names: Vec<String>,
    /// As the file has it.
    pub(crate) value: Value,
}

impl Said {
    pub(crate) fn extend(&mut self, more: Self) {
        self.apps.extend(more.apps);
        self.groups.extend(more.groups);
        self.objects.extend(more.objects);
    }

    /// The names of all apps.
    pub(crate) fn names(&self) -> Vec<String> {
        let parts = self.apps.iter().chain(&self.groups);
        parts.flat_map(|p| p.names.iter().cloned()).collect()
    }

    pub(crate) fn must_be_for(&self, scheduler: &str) -> Result<(), Failure> {
        let stray = match scheduler {
            "marathon" => (!self.objects.is_empty()).then_some("Kubernetes objects"),
            "kubernetes" if !self.apps.is_empty() => Some("Marathon apps"),
            "kubernetes" => (!self.groups.is_empty()).then_some("Marathon groups"),
            other => {
                let message = format!("apply does not know files of a scheduler `{other}`");
                return Err(Failure::usage(message).hint("--scheduler marathon\n--scheduler kubernetes"));
            }
        };
        match stray {
            None => Ok(()),
            Some(what) => Err(Failure::new(
                code::INVALID,
                format!("the files have {what}, which are not for {scheduler}"),
            )),
        }
    }

    fn is_empty(&self) -> bool {
        self.apps.is_empty() && self.groups.is_empty() && self.objects.is_empty()
    }

    fn take(&mut self, mut value: Value, file: &str) -> Result<(), Failure> {
        let has = |key: &str| value.get(key).is_some();
        let is_object = has("apiVersion") && has("kind");
        if is_object {
            match value.get_mut("items").and_then(Value::as_array_mut) {
                // `kubectl get -o yaml` writes several objects as a List
                Some(items) => self.objects.append(items),
                None => self.objects.push(value),
            }
            return Ok(());
        }
        if has("services") {
            return Err(compose(&value, file));
        }
        if has("containers") {
            return Err(not_taken(file, "a Marathon pod, which apply does not take"));
        }
        if has("apps") || has("groups") {
            self.groups.push(group(value, file)?);
        } else {
            self.apps.push(app(value, file)?);
        }
        Ok(())
    }
}

/// What a file says. JSON is YAML, too, and a file may hold several documents.
pub(crate) fn parse(text: &str, file: &str) -> Result<Said, Failure> {
    let mut said = Said::default();
    for document in serde_yaml_ng::Deserializer::from_str(text) {
        let value = Value::deserialize(document).map_err(|e| {
            Failure::new(code::INVALID, format!("`{file}` is neither JSON nor YAML: {e}")).at(file)
        })?;
        match value {
            Value::Null => {}
            Value::Array(items) => {
                for item in items {
                    said.take(item, file)?;
                }
            }
            one => said.take(one, file)?,
        }
    }
    if said.is_empty() {
        return Err(Failure::new(code::INVALID, format!("`{file}` says nothing")).at(file));
    }
    Ok(said)
}

fn not_taken(file: &str, what: &str) -> Failure {
    Failure::new(code::NOT_SUPPORTED, format!("`{file}` is {what}")).at(file)
}

/// A stack has networks and an order of its own, which are not served; its services alone can be had one by one.
fn compose(value: &Value, file: &str) -> Failure {
    let services = value.get("services").and_then(Value::as_object);
    let each = services.into_iter().flatten().map(|(name, service)| {
        let image = service.get("image").and_then(Value::as_str).unwrap_or("IMAGE");
        let replicas = service.pointer("/deploy/replicas").and_then(Value::as_u64);
        let replicas = replicas.map_or(String::new(), |n| format!("--replicas {n} "));
        format!("docker service create --name {name} {replicas}{image}")
    });
    let hint = each.collect::<Vec<_>>().join("\n");
    not_taken(
        file,
        "a compose file, which apply does not take: stacks are not served yet, their services are one by one",
    )
    .hint(hint)
}

fn id_of(value: &Value) -> Option<&str> {
    value.get("id").and_then(Value::as_str)
}

fn app(value: Value, file: &str) -> Result<Part, Failure> {
    match id_of(&value).map(|id| path("", id)) {
        Some(id) if !id.is_empty() => Ok(Part {
            names: vec![id],
            value,
        }),
        Some(_) | None => Err(Failure::new(
            code::INVALID,
            format!("`{file}` is nothing that apply knows: it has no `id`"),
        )
        .at(file)
        .hint(
            "it takes Marathon apps ({\"id\": \"/web\", \"cmd\": ...}) and groups ({\"id\": \"/shop\", \"apps\": [...]}), \
             and Kubernetes objects (apiVersion, kind)",
        )),
    }
}

fn group(value: Value, file: &str) -> Result<Part, Failure> {
    let id = id_of(&value).map(|id| path("", id)).unwrap_or_default();
    if id.is_empty() {
        // what is not in the group that is put goes: here that would be everything else
        let what = "a Marathon group without an `id`: the root group, which apply does not replace";
        return Err(not_taken(file, what).hint("name the group: {\"id\": \"/shop\", \"apps\": [...]}"));
    }
    let mut names = Vec::new();
    apps_of(&value, &id, &mut names);
    Ok(Part { names, value })
}

/// The names of the apps in a group and below it.
fn apps_of(group: &Value, at: &str, names: &mut Vec<String>) {
    let items = |key: &str| group.get(key).and_then(Value::as_array).into_iter().flatten();
    names.extend(items("apps").filter_map(|app| Some(path(at, id_of(app)?))));
    for inner in items("groups") {
        apps_of(inner, &path(at, id_of(inner).unwrap_or_default()), names);
    }
}

/// An id without its first `/`, relative to a group unless it begins with one.
fn path(at: &str, id: &str) -> String {
    let base = if id.starts_with('/') { "" } else { at };
    let mut segments: Vec<&str> = Vec::new();
    for segment in base.split('/').chain(id.split('/')) {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            other => segments.push(other),
        }
    }
    segments.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apps_come_as_json_or_yaml_alone_or_as_list() {
        let names = |text: &str| parse(text, "f").unwrap().names();
        assert_eq!(names(r#"{"id": "/shop/web", "cmd": "x"}"#), ["shop/web"]);
        assert_eq!(names("- id: a\n- id: b\n"), ["a", "b"]);
        assert_eq!(names("id: a\n---\nid: b\n"), ["a", "b"]);
    }

    #[test]
    fn a_group_is_one_part_and_knows_the_apps_in_it() {
        let text = "id: /shop\napps: [{id: web}, {id: /shop/api}]\ngroups: [{id: back, apps: [{id: db}, {id: ../q}]}]\n";
        let said = parse(text, "f").unwrap();
        assert_eq!((said.apps.len(), said.groups.len()), (0, 1));
        assert_eq!(said.names(), ["shop/web", "shop/api", "shop/back/db", "shop/q"]);
    }

    #[test]
    fn objects_are_told_from_apps_and_both_from_what_they_are_not_for() {
        let said = parse(
            "id: a\n---\napiVersion: v1\nkind: Pod\n---\nkind: List\napiVersion: v1\nitems: [{kind: X}]\n",
            "f",
        );
        let said = said.unwrap();
        assert_eq!((said.apps.len(), said.objects.len()), (1, 2));
        for (scheduler, why) in [
            ("marathon", "Kubernetes objects"),
            ("kubernetes", "Marathon apps"),
            ("nomad", "does not know"),
        ] {
            let refused = said.must_be_for(scheduler).unwrap_err();
            assert!(refused.body.message.contains(why), "{refused}");
        }
    }

    #[test]
    fn what_it_does_not_take_is_refused_by_name() {
        for (text, what) in [
            ("services: {web: {image: x}}", "compose file"),
            (r#"{"apps": [{"id": "a"}]}"#, "root group"),
            (r#"{"id": "/p", "containers": []}"#, "Marathon pod"),
            ("name: x", "no `id`"),
            ("{", "neither JSON nor YAML"),
            ("", "says nothing"),
        ] {
            let refused = parse(text, "f").unwrap_err();
            assert!(refused.body.message.contains(what), "{text}: {refused}");
        }
    }

    #[test]
    fn a_compose_file_is_refused_with_what_makes_its_services() {
        let text = "services:\n  web: {image: 'nginx:1', deploy: {replicas: 3}}\n  db: {build: .}\n";
        let refused = parse(text, "f").unwrap_err();
        let hint = refused.body.hint.unwrap();
        assert!(
            hint.contains("docker service create --name web --replicas 3 nginx:1")
                && hint.contains("docker service create --name db IMAGE"),
            "{hint}"
        );
    }
}
