//! A secret and a file by reference, claimed by a scheduler of the test's own over the wire, as far as the container
//! that sees them; and everywhere the secret must not be.

use super::support::eventually;
use super::support::image::{BUSYBOX, docker};
use super::support::up::Up;
use bytes::Bytes;
use plenum_contract::broker::{Broker, Hello, Session};
use plenum_contract::state_store::{StateStore, Write};
use plenum_model::amounts::Amounts;
use plenum_model::claim::{ClaimBatch, ClaimGroup, Desired, FileRef, Seat, Terms, Workload};
use plenum_model::ids::{Revision, SchedulerId, TaskId, TenantPath};
use plenum_model::spec::{ContainerSpec, Image, Pull, TaskSpec};
use plenum_wire::{RemoteBroker, RemoteState, connect};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

const SECRET: &str = "correct-horse-battery-staple";

fn spec() -> Arc<TaskSpec> {
    Arc::new(TaskSpec {
        containers: vec![ContainerSpec {
            name: "main".into(),
            runtime: "docker".into(),
            image: Some(Image {
                reference: BUSYBOX.into(),
                pull: Pull::Never,
            }),
            args: Some(vec!["sleep".into(), "1000".into()]),
            ..ContainerSpec::default()
        }],
        ..TaskSpec::default()
    })
}

fn claim(id: TaskId, at: Revision) -> ClaimBatch {
    let file = |key: &str, target: &str, mode, secret| FileRef {
        key: key.into(),
        revision: at.0,
        target: target.into(),
        mode,
        secret,
        volume: None,
    };
    let spec = spec();
    let terms = Terms {
        workload: Workload {
            uid: "db".into(),
            name: "db".into(),
            kind: "test".into(),
            version: "1".into(),
        },
        tenant: TenantPath::new("default").unwrap(),
        charge: Amounts::task(10, 1 << 20, 0),
        devices: BTreeMap::new(),
        ports: vec![],
        spec: spec.id(),
        labels: BTreeMap::new(),
        desired: Desired::Running,
        rules: Default::default(),
        lost_after: Default::default(),
        priority: Default::default(),
        may_preempt: false,
        budget: None,
        files: vec![
            file("password", "/run/secrets/password", 0o400, true),
            file("conf", "/etc/db.conf", 0o644, false),
        ],
        keep_ended: 0,
    };
    ClaimBatch {
        specs: vec![spec],
        groups: vec![ClaimGroup {
            terms: Arc::new(terms),
            seats: vec![Seat::new(id, "db.0", 0)],
        }],
        all_or_nothing: false,
    }
}

/// The files under a directory that hold the secret.
fn holding(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut stack = vec![dir.to_owned()];
    while let Some(dir) = stack.pop() {
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            let path = entry.path();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                stack.push(path);
            } else if kind.is_file() {
                let bytes = std::fs::read(&path).unwrap_or_default();
                if bytes.windows(SECRET.len()).any(|w| w == SECRET.as_bytes()) {
                    found.push(path.display().to_string());
                }
            }
        }
    }
    found
}

fn secret_mounts(data: &Path) -> usize {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    let data = data.display().to_string();
    mounts
        .lines()
        .filter(|l| l.starts_with("plenum-secrets ") && l.contains(&data))
        .count()
}

async fn scheduler(up: &Up, name: &SchedulerId) -> (Arc<dyn Session>, RemoteState) {
    let channel = connect(up.url("api")).unwrap();
    let hello = Hello {
        scheduler: name.clone(),
        kind: "test".into(),
        api: (1, 1),
        watch_nodes: false,
    };
    let session = RemoteBroker::new(channel.clone()).open(hello).await.unwrap();
    (session, RemoteState::new(channel, name.clone()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_reaches_its_container_in_memory_and_is_nowhere_else() {
    if !docker() {
        return;
    }
    let up = Up::start(1).await;
    let name = SchedulerId::new("vault").unwrap();
    let (session, state) = scheduler(&up, &name).await;
    let put = |key: &str, value: &'static str| Write::Put(key.into(), Bytes::from_static(value.as_bytes()));
    let writes = vec![put("password", SECRET), put("conf", "port=5432")];
    let at = state.txn(vec![], writes).await.unwrap();
    state
        .txn(vec![], vec![put("conf", "of a later revision")])
        .await
        .unwrap();

    let id = TaskId::derive(&name, "db", 0, 0);
    let claimed = session.claim(claim(id, at)).await.unwrap();
    assert!(claimed.refused.is_empty(), "{claimed:?}");
    let task = id.to_string();
    eventually("the task runs", || async {
        let shown = up.api(&format!("/v1/tasks/{task}")).await;
        if shown["phase"] == "running" || shown["state"] == "running" {
            Ok(())
        } else {
            Err(shown.to_string())
        }
    })
    .await;

    let inside = |script: &str| up.cli_ok(&["task", "exec", &task, "--", "sh", "-c", script]);
    assert_eq!(inside("cat /run/secrets/password"), SECRET);
    assert_eq!(inside("cat /etc/db.conf"), "port=5432");
    let listed = inside("ls -l /run/secrets/password /etc/db.conf");
    assert!(
        listed.contains("-r--------") && listed.contains("-rw-r--r--"),
        "{listed}"
    );
    let mounts = inside("cat /proc/mounts");
    let mount = mounts
        .lines()
        .find(|l| l.contains(" /run/secrets/password "))
        .unwrap_or(&mounts);
    assert!(mount.contains(" tmpfs ro,"), "{mount}");
    let written = up.cli(&["task", "exec", &task, "--", "sh", "-c", "echo x > /etc/db.conf"]);
    assert!(!written.status.success(), "what is given is read-only");

    let events = up.cli_ok(&["events"]);
    let logs = up.cli_ok(&["task", "logs", &task]);
    let shown = up.api(&format!("/v1/tasks/{task}")).await.to_string();
    for text in [events, logs, shown] {
        assert!(!text.contains(SECRET), "{text}");
    }
    assert_eq!(secret_mounts(up.data()), 1);
    session.release(vec![id], Some(0)).await.unwrap();
    eventually("its mount is gone", || async {
        match secret_mounts(up.data()) {
            0 => Ok(()),
            n => Err(format!("{n}")),
        }
    })
    .await;
    // The state store is where it is kept; besides, it is nowhere on disk.
    let holding = holding(up.data());
    let elsewhere: Vec<_> = holding.iter().filter(|p| !p.contains("/state/")).collect();
    assert!(elsewhere.is_empty() && !holding.is_empty(), "{holding:?}");
    session.forget(vec![id]).await.unwrap();
}
