//! `plenum context`: which Plenums there are and which one is meant. Works without a server.

use crate::contexts::{self, Contexts, data_dir, only_api};
use crate::failure::{Done, Failure};
use crate::global::GlobalArgs;
use crate::output;
use crate::output::table::{Cell, Column, Table};
use clap::{Args, Subcommand, ValueEnum};
use plenum_client::Client;
use plenum_client::endpoints::Endpoints;
use serde::Serialize;
use std::process::ExitCode;

/// Which Plenum is meant.
#[derive(Debug, Subcommand)]
pub enum ContextCommand {
    /// List all contexts
    #[command(alias = "ls")]
    List,
    /// Use a context when none is named; `-` for what runs on this machine
    Use {
        /// Its name
        name: String,
    },
    /// Add or replace a context
    Add(AddArgs),
    /// Show what is talked to, and how it was found
    Show,
    /// Print what a native tool needs to reach its door
    Export {
        /// Which tool
        tool: Tool,
    },
}

/// A context.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// Its name
    pub name: String,
    /// The URL of its API (http://10.0.0.1:7717)
    pub url: String,
    /// The URL of a door (may be repeated)
    #[arg(long = "door", value_name = "KIND=URL")]
    pub doors: Vec<String>,
}

/// A native tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Tool {
    /// Marathon's clients: the variable MARATHON_URL
    Marathon,
    /// The dcos CLI: its configuration
    Dcos,
    /// The docker CLI: the variable DOCKER_HOST
    Docker,
    /// kubectl: a kubeconfig
    Kubeconfig,
}

#[derive(Serialize)]
struct Shown {
    name: String,
    current: bool,
    endpoints: Endpoints,
}

pub(crate) fn run(command: &ContextCommand, global: &GlobalArgs) -> Done {
    match command {
        ContextCommand::List => list(global)?,
        ContextCommand::Use { name } => use_context(name)?,
        ContextCommand::Add(args) => add(args)?,
        ContextCommand::Show => show(global)?,
        ContextCommand::Export { tool } => export(*tool, global)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list(global: &GlobalArgs) -> Result<(), Failure> {
    let contexts = Contexts::load(&Contexts::path())?;
    let current = global.context.as_ref().or(contexts.current.as_ref()).cloned();
    let mut all: Vec<Shown> = contexts
        .contexts
        .into_iter()
        .map(|(name, endpoints)| Shown {
            current: current.as_ref() == Some(&name),
            name,
            endpoints,
        })
        .collect();
    let local = Endpoints::load(&data_dir()).ok().flatten();
    let local = local.unwrap_or_else(|| only_api(contexts::DEFAULT_ADDRESS));
    all.insert(
        0,
        Shown {
            name: "-".into(),
            current: current.is_none(),
            endpoints: local,
        },
    );
    output::list(
        global,
        "contexts",
        &all,
        |c| c.name.clone(),
        |c| c.name.clone(),
        table,
    )
}

fn table(contexts: &[Shown]) -> Table {
    const COLUMNS: &[Column] = &[
        Column::new("CONTEXT", 9),
        Column::new("CURRENT", 7),
        Column::new("API", 8),
        Column::new("DOORS", 5),
    ];
    Table::new(
        COLUMNS,
        contexts.iter().map(|c| {
            let doors = c.endpoints.0.iter().filter(|(name, _)| *name != Endpoints::API);
            let doors: Vec<String> = doors.map(|(name, url)| format!("{name} {url}")).collect();
            vec![
                Cell::text(if c.name == "-" {
                    "- (this machine)"
                } else {
                    &c.name
                }),
                Cell::text(if c.current { "yes" } else { "" }),
                Cell::text(c.endpoints.get(Endpoints::API).unwrap_or_default()),
                Cell::text(doors.join(", ")),
            ]
        }),
    )
}

fn use_context(name: &str) -> Result<(), Failure> {
    let path = Contexts::path();
    let mut contexts = Contexts::load(&path)?;
    contexts.current = if name == "-" {
        None
    } else {
        contexts.find(name)?;
        Some(name.to_owned())
    };
    contexts.save(&path)?;
    eprintln!("context {name} is used from now on");
    Ok(())
}

fn add(args: &AddArgs) -> Result<(), Failure> {
    Client::new(&args.url)?;
    if args.name == "-" || args.name.contains("://") {
        return Err(Failure::usage(format!("`{}` is no name for a context", args.name)).at("NAME"));
    }
    let mut endpoints = only_api(&args.url);
    for door in &args.doors {
        let (kind, url) = door
            .split_once('=')
            .filter(|(kind, url)| !kind.is_empty() && url.contains("://"))
            .ok_or_else(|| Failure::usage(format!("`{door}` is not KIND=URL")).at("--door"))?;
        endpoints.0.insert(kind.to_owned(), url.to_owned());
    }
    let path = Contexts::path();
    let mut contexts = Contexts::load(&path)?;
    contexts.contexts.insert(args.name.clone(), endpoints);
    contexts.save(&path)?;
    eprintln!(
        "context {} is known; `plenum context use {}` makes it the current one",
        args.name, args.name
    );
    Ok(())
}

fn show(global: &GlobalArgs) -> Result<(), Failure> {
    let target = contexts::target(global.context.as_deref())?;
    output::one(
        global,
        "endpoints",
        &target.endpoints,
        &target.source,
        |endpoints| {
            let lines = endpoints.0.iter().map(|(name, url)| format!("{name:<12}{url}\n"));
            format!("{:<12}{}\n{}", "from", target.source, lines.collect::<String>())
        },
    )
}

fn export(tool: Tool, global: &GlobalArgs) -> Result<(), Failure> {
    let target = contexts::target(global.context.as_deref())?;
    let text = match tool {
        Tool::Marathon => format!("export MARATHON_URL={}\n", target.door("marathon")?),
        Tool::Dcos => format!("[core]\ndcos_url = \"{}\"\n", target.door("marathon")?),
        Tool::Docker => format!("export DOCKER_HOST={}\n", target.door("docker")?),
        Tool::Kubeconfig => kubeconfig(target.door("kubernetes")?),
    };
    output::print(&text)
}

fn kubeconfig(url: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: plenum\n  cluster: {{server: \"{url}\"}}\n\
         contexts:\n- name: plenum\n  context: {{cluster: plenum, user: plenum}}\n\
         users:\n- name: plenum\n  user: {{}}\ncurrent-context: plenum\n"
    )
}
