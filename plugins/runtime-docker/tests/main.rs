//! Against a real daemon. Where dockerd is not installed nothing is tested, and that is said.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod daemon;
mod streams;
mod verbs;

use daemon::{Daemon, IMAGE};
use plenum_contract::runtime::{ContainerPlan, Runtime};
use plenum_contract::suite::runtime::{Subject, runtime_suite};
use plenum_model::ids::{Incarnation, TaskId};
use plenum_model::spec::{Caps, Confinement, Image, LogLimits, Network, Pull};
use runtime_docker::DockerRuntime;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The runtime of an agent at the shared daemon, and a directory for sandboxes.
fn on(owner: &str) -> Option<(DockerRuntime, tempfile::TempDir)> {
    let daemon = daemon::shared()?;
    Some((runtime(owner, daemon), tempfile::tempdir().unwrap()))
}

fn runtime(owner: &str, daemon: &Daemon) -> DockerRuntime {
    DockerRuntime::new(owner, &daemon.host)
}

async fn start(runtime: &DockerRuntime, plan: &ContainerPlan) {
    runtime.prepare(plan).await.unwrap();
    runtime.start(&plan.key).await.unwrap();
}

/// A plan that runs a shell script.
fn plan(dir: &tempfile::TempDir, script: &str) -> ContainerPlan {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let mut id = [0_u8; 16];
    id[12..].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    let task = TaskId(id);
    let sandbox = dir.path().join(task.to_string());
    std::fs::create_dir_all(&sandbox).unwrap();
    ContainerPlan {
        key: plenum_contract::runtime::ContainerKey {
            task,
            container: "main".to_owned(),
            incarnation: Incarnation(0),
        },
        image: Some(Image {
            reference: IMAGE.to_owned(),
            pull: Pull::Never,
        }),
        entrypoint: Some(vec!["/bin/sh".to_owned(), "-c".to_owned()]),
        args: Some(vec![script.to_owned()]),
        env: vec![],
        workdir: None,
        user: None,
        hostname: None,
        tty: false,
        stdin: false,
        caps: Caps::default(),
        mounts: vec![],
        network: Network::Host,
        ports: vec![],
        stop_signal: None,
        logs: LogLimits::default(),
        privileged: false,
        confinement: Confinement::default(),
        labels: [].into(),
        sandbox,
        among: None,
    }
}

#[tokio::test]
async fn passes_the_suite_of_all_runtimes() {
    let Some(daemon) = daemon::shared() else { return };
    let dir = tempfile::tempdir().unwrap();
    let make = || -> Arc<dyn Runtime> { Arc::new(runtime("suite", daemon)) };
    let adapt = |plan: &mut ContainerPlan| {
        plan.image = Some(Image {
            reference: IMAGE.to_owned(),
            pull: Pull::Never,
        });
    };
    let subject = Subject {
        runtime: make(),
        again: Box::new(make),
        adapt: Box::new(adapt),
        dir: dir.path().to_owned(),
    };
    runtime_suite(&subject).await;
    assert_eq!(
        subject.runtime.recover().await.unwrap(),
        Vec::new(),
        "nothing is left"
    );
}
