//! `plenum apply -f FILE`: make what a file says true.

use crate::failure::{Done, Failure};
use crate::kubernetes;
use crate::marathon::Marathon;
use crate::said::{Said, parse};
use crate::session::Session;
use crate::wait::{Change, WaitArgs};
use clap::Args;
use plenum_model::code;
use serde_json::Value;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Which files.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// Marathon apps and groups, or Kubernetes objects, as JSON or YAML; `-` is standard input (may be repeated)
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
    if !said.apps.is_empty() || !said.groups.is_empty() {
        done = marathon(&said, args, session).await?;
    }
    if !said.objects.is_empty() {
        done = kubernetes::apply(&said.objects, session, &args.wait).await?;
    }
    Ok(done)
}

async fn marathon(said: &Said, args: &ApplyArgs, session: &Session<'_>) -> Done {
    let names = said.names();
    let marathon = Marathon::new(session.target.door("marathon")?)?;
    let undo = format!("plenum delete {}", names.join(" "));
    let change = Change::new(session, &marathon, names, undo).await?;
    let mut deployments = Vec::new();
    if !said.apps.is_empty() {
        let apps: Vec<&Value> = said.apps.iter().map(|a| &a.value).collect();
        deployments.extend(marathon.put(&apps).await?);
    }
    for group in &said.groups {
        deployments.extend(marathon.put_group(&group.value).await?);
    }
    change.taken(&deployments, &args.wait).await
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
