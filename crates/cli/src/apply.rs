//! `plenum apply -f FILE`: make what a file says true. What kind of file it is, is told by its content.

use crate::failure::{Done, Failure};
use crate::kubernetes;
use crate::marathon::Marathon;
use crate::session::Session;
use crate::wait::{Change, WaitArgs};
use clap::Args;
use plenum_model::code;
use serde::Deserialize;
use serde_json::Value;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Which files.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// Marathon apps or Kubernetes objects, as JSON or YAML; `-` is standard input (may be repeated)
    #[arg(short = 'f', long = "file", value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// What the files must be for [default: told by their content]
    #[arg(long, value_name = "SCHEDULER")]
    pub scheduler: Option<String>,
    #[command(flatten)]
    pub wait: WaitArgs,
}

pub(crate) async fn run(args: &ApplyArgs, session: &Session<'_>) -> Done {
    let mut said = Said::default();
    for file in &args.files {
        said.extend(read(file)?);
    }
    if let Some(scheduler) = &args.scheduler {
        said.must_be_for(scheduler)?;
    }
    let mut done = ExitCode::SUCCESS;
    if !said.apps.is_empty() {
        done = apps(said.apps, args, session).await?;
    }
    if !said.objects.is_empty() {
        done = kubernetes::apply(&said.objects, session, &args.wait).await?;
    }
    Ok(done)
}

async fn apps(apps: Vec<(String, Value)>, args: &ApplyArgs, session: &Session<'_>) -> Done {
    let (names, apps): (Vec<String>, Vec<Value>) = apps.into_iter().unzip();
    let marathon = Marathon::new(session.target.door("marathon")?)?;
    let undo = format!("plenum delete {}", names.join(" "));
    let change = Change::new(session, &marathon, names.clone(), undo).await?;
    let deployments = marathon.put(&apps).await?;
    change.taken(&deployments, &args.wait).await
}

/// What files say, by whom it is for.
#[derive(Debug, Default)]
struct Said {
    /// Marathon's apps, each with its name without the first `/`.
    apps: Vec<(String, Value)>,
    /// Kubernetes' objects.
    objects: Vec<Value>,
}

impl Said {
    fn extend(&mut self, more: Self) {
        self.apps.extend(more.apps);
        self.objects.extend(more.objects);
    }

    fn must_be_for(&self, scheduler: &str) -> Result<(), Failure> {
        let stray = match scheduler {
            "marathon" => (!self.objects.is_empty()).then_some("Kubernetes objects"),
            "kubernetes" => (!self.apps.is_empty()).then_some("Marathon apps"),
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
}

fn read(file: &Path) -> Result<Said, Failure> {
    let named = file.display().to_string();
    let text = if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    let text = text.map_err(|e| {
        let code = if e.kind() == std::io::ErrorKind::NotFound {
            code::NOT_FOUND
        } else {
            code::INVALID
        };
        Failure::new(code, format!("cannot read `{named}`: {e}"))
    })?;
    parse(&text, &named)
}

/// What a file says. JSON is YAML, too, and a file may hold several documents.
fn parse(text: &str, file: &str) -> Result<Said, Failure> {
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
    if said.apps.is_empty() && said.objects.is_empty() {
        return Err(Failure::new(code::INVALID, format!("`{file}` says nothing")).at(file));
    }
    Ok(said)
}

impl Said {
    fn take(&mut self, mut value: Value, file: &str) -> Result<(), Failure> {
        let is_object = value.get("apiVersion").is_some() && value.get("kind").is_some();
        match value.get_mut("items").and_then(Value::as_array_mut) {
            // `kubectl get -o yaml` writes several objects as a List
            Some(items) if is_object => self.objects.append(items),
            _ if is_object => self.objects.push(value),
            _ => self.apps.push(app(value, file)?),
        }
        Ok(())
    }
}

fn app(value: Value, file: &str) -> Result<(String, Value), Failure> {
    let not_served = |what: String| {
        Failure::new(
            code::NOT_SUPPORTED,
            format!("`{file}` is {what}, which apply does not take"),
        )
        .at(file)
    };
    let has = |key: &str| value.get(key).is_some();
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    if has("services") {
        return Err(not_served("a compose file".into()));
    }
    if has("apps") || has("groups") {
        return Err(not_served("a Marathon group".into()).hint("list its apps instead: [{\"id\": ...}, ...]"));
    }
    if has("containers") {
        return Err(not_served("a Marathon pod".into()));
    }
    match text("id").map(|id| id.trim_start_matches('/').to_owned()) {
        Some(id) if !id.is_empty() => Ok((id, value)),
        Some(_) | None => Err(Failure::new(
            code::INVALID,
            format!("`{file}` is nothing that apply knows: it has no `id`"),
        )
        .at(file)
        .hint("it takes Marathon apps ({\"id\": \"/web\", \"cmd\": ...}) and Kubernetes objects (apiVersion, kind)")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apps_come_as_json_or_yaml_alone_or_as_list() {
        let names = |text: &str| {
            parse(text, "f").map(|said| said.apps.into_iter().map(|(n, _)| n).collect::<Vec<_>>())
        };
        assert_eq!(names(r#"{"id": "/shop/web", "cmd": "x"}"#).unwrap(), ["shop/web"]);
        assert_eq!(names("- id: a\n- id: b\n").unwrap(), ["a", "b"]);
        assert_eq!(names("id: a\n---\nid: b\n").unwrap(), ["a", "b"]);
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
            (r#"{"id": "/g", "apps": []}"#, "Marathon group"),
            (r#"{"id": "/p", "containers": []}"#, "Marathon pod"),
            ("name: x", "no `id`"),
            ("{", "neither JSON nor YAML"),
            ("", "says nothing"),
        ] {
            let refused = parse(text, "f").unwrap_err();
            assert!(refused.body.message.contains(what), "{text}: {refused}");
        }
    }
}
