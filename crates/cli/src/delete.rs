//! `plenum delete NAME`: remove an app of the Marathon door with all its tasks.

use crate::failure::{Done, Failure};
use crate::marathon::Marathon;
use crate::session::Session;
use crate::wait::{Change, WaitArgs};
use clap::Args;
use plenum_model::code;

/// Which apps.
#[derive(Debug, Args)]
pub struct DeleteArgs {
    /// Names of workloads, with their scheduler and `/` in front or not
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,
    #[command(flatten)]
    pub wait: WaitArgs,
}

pub(crate) async fn run(args: &DeleteArgs, session: &Session<'_>) -> Done {
    let marathon = Marathon::new(session.target.door("marathon")?)?;
    let mut apps = Vec::new();
    for name in &args.names {
        apps.push(app(session, name).await?);
    }
    let change = Change::new(session, &marathon, apps.clone(), "plenum apply -f FILE".into()).await?;
    let mut deployments = Vec::new();
    for app in &apps {
        deployments.extend(marathon.delete(app).await?);
    }
    change.taken(&deployments, &args.wait).await
}

/// The app that is meant. What other schedulers run is theirs to delete.
async fn app(session: &Session<'_>, name: &str) -> Result<String, Failure> {
    if let Some(app) = name.strip_prefix("marathon/") {
        return Ok(app.trim_start_matches('/').to_owned());
    }
    let workloads = session.client.workloads().await?;
    let bare = name.trim_start_matches('/');
    let mut of = workloads
        .iter()
        .filter(|w| w.id == name || w.name.trim_start_matches('/') == bare);
    let foreign = of.clone().find(|w| w.scheduler != "marathon");
    match (of.any(|w| w.scheduler == "marathon"), foreign) {
        (false, Some(w)) => Err(Failure::new(
            code::NOT_SUPPORTED,
            format!(
                "{} belongs to {}: it is deleted with that orchestrator's own tool",
                w.id, w.scheduler
            ),
        )
        .at(name)),
        (true, _) | (false, None) => Ok(bare.to_owned()),
    }
}
