//! `plenum apply -f FILE`: make what a file says true. What kind of file it is, is told by its content.

use crate::failure::{Done, Failure};
use crate::marathon::Marathon;
use crate::session::Session;
use crate::wait::{Change, WaitArgs};
use clap::Args;
use plenum_model::code;
use serde::Deserialize;
use serde_json::Value;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Which files.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// A Marathon app, or a list of them, as JSON or YAML; `-` is standard input (may be repeated)
    #[arg(short = 'f', long = "file", value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    pub wait: WaitArgs,
}

pub(crate) async fn run(args: &ApplyArgs, session: &Session<'_>) -> Done {
    let mut apps = Vec::new();
    for file in &args.files {
        apps.extend(read(file)?);
    }
    let names: Vec<String> = apps.iter().map(|(name, _)| name.clone()).collect();
    let apps: Vec<Value> = apps.into_iter().map(|(_, app)| app).collect();
    let marathon = Marathon::new(session.target.door("marathon")?)?;
    let undo = format!("plenum delete {}", names.join(" "));
    let change = Change::new(session, &marathon, names.clone(), undo).await?;
    let deployments = marathon.put(&apps).await?;
    change.taken(&deployments, &args.wait).await
}

fn read(file: &Path) -> Result<Vec<(String, Value)>, Failure> {
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

/// The apps of a file, each with its name without the first `/`. JSON is YAML, too, and a file may hold several
/// documents.
fn parse(text: &str, file: &str) -> Result<Vec<(String, Value)>, Failure> {
    let mut apps = Vec::new();
    for document in serde_yaml_ng::Deserializer::from_str(text) {
        let value = Value::deserialize(document).map_err(|e| {
            Failure::new(code::INVALID, format!("`{file}` is neither JSON nor YAML: {e}")).at(file)
        })?;
        match value {
            Value::Null => {}
            Value::Array(items) => {
                for item in items {
                    apps.push(app(item, file)?);
                }
            }
            one => apps.push(app(one, file)?),
        }
    }
    if apps.is_empty() {
        return Err(Failure::new(code::INVALID, format!("`{file}` says nothing")).at(file));
    }
    Ok(apps)
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
    if has("apiVersion") && has("kind") {
        let kind = text("kind").unwrap_or("object");
        return Err(not_served(format!("a Kubernetes manifest ({kind})")));
    }
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
        .hint("it takes a Marathon app ({\"id\": \"/web\", \"cmd\": ...}) or a list of them")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apps_come_as_json_or_yaml_alone_or_as_list() {
        let names =
            |text: &str| parse(text, "f").map(|apps| apps.into_iter().map(|(n, _)| n).collect::<Vec<_>>());
        assert_eq!(names(r#"{"id": "/shop/web", "cmd": "x"}"#).unwrap(), ["shop/web"]);
        assert_eq!(names("- id: a\n- id: b\n").unwrap(), ["a", "b"]);
        assert_eq!(names("id: a\n---\nid: b\n").unwrap(), ["a", "b"]);
    }

    #[test]
    fn what_it_does_not_take_is_refused_by_name() {
        for (text, what) in [
            ("apiVersion: v1\nkind: Pod\n", "Kubernetes manifest (Pod)"),
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
