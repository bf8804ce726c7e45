//! `plenum scheduler KIND`: a scheduler as a process of its own.

use super::{asked_to_end, settings};
use crate::args::SchedulerRunArgs;
use crate::endpoints;
use crate::failure::Failure;
use crate::part::remote::Remote;
use crate::part::scheduler;
use crate::telemetry;

/// Runs it until a signal.
///
/// # Errors
/// Why it could not start.
pub(crate) async fn run(kind: &str, args: &SchedulerRunArgs) -> Result<(), Failure> {
    let (dir, mut layers) = settings(&args.part)?;
    if let Some(listen) = &args.listen {
        layers.set(&format!("{kind}.listen"), listen, "--listen")?;
    }
    if let Some(listen) = &args.insecure_listen {
        layers.set(&format!("{kind}.insecure_listen"), listen, "--insecure-listen")?;
    }
    let config = layers.config()?;
    let telemetry = telemetry::start(&config.telemetry, "plenum-scheduler")?;
    let remote = Remote::new(&args.broker)?;
    let running = scheduler::remote(kind, &layers, &remote).await?;
    std::fs::create_dir_all(&dir).map_err(|e| Failure::new(plenum_model::code::INTERNAL, &e))?;
    endpoints::write(&dir, &running.endpoints(), &running.client_files())?;
    for (name, url) in running.endpoints() {
        println!(" ok  door      {name} {url}    broker {}", args.broker);
    }
    asked_to_end().await?;
    running.stop().await;
    telemetry.shutdown();
    Ok(())
}
