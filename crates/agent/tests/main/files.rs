//! Files and secrets on a real disk, and in memory where the machine lets the agent have it.

use crate::{Machine, assignment, id, until};
use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use plenum_contract::dispatcher::Assignment;
use plenum_model::claim::{Desired, FileRef};
use plenum_model::phase::Phase;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const SECRET: &[u8] = b"correct horse battery staple";

fn file(key: &str, revision: u64, target: &str, secret: bool) -> FileRef {
    FileRef {
        key: key.into(),
        revision,
        target: target.into(),
        mode: 0o444,
        secret,
        volume: None,
    }
}

fn with_files(generation: u64, desired: Desired, files: Vec<FileRef>) -> Assignment {
    let mut a = assignment(1, generation, desired, vec![]);
    Arc::make_mut(&mut a.terms).files = files;
    a
}

fn place(dir: &Path, kind: &str) -> PathBuf {
    dir.join(kind).join(id(1).to_string())
}

/// Whether the bytes are in a file of the directory that is on disk.
fn on_disk(dir: &Path, bytes: &[u8]) -> bool {
    std::fs::read_dir(dir).unwrap().flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            let memory = statfs(&path).unwrap().filesystem_type() == TMPFS_MAGIC;
            !memory && on_disk(&path, bytes)
        } else {
            std::fs::read(&path).is_ok_and(|all| all.windows(bytes.len()).any(|w| w == bytes))
        }
    })
}

#[tokio::test]
async fn plain_files_are_there_with_their_mode_and_go_with_the_end_of_the_task() {
    let m = Machine::new();
    m.broker.keep("conf", 7, b"listen 80");
    m.broker.be_away(1);
    let agent = m.agent().await;
    let files = vec![file("conf", 7, "etc/conf", false)];
    m.broker.want(with_files(1, Desired::Running, files.clone()));
    until("it runs", || m.broker.phase(id(1)) == Phase::Running).await;
    assert_eq!(m.broker.fetches(), 2, "a broker that was away is asked again");
    let dir = place(m.dir.path(), "files");
    let path = dir.join("0-7");
    assert_eq!(std::fs::read(&path).unwrap(), b"listen 80");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o444);
    assert_eq!(dir.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    let mounts = m.runtime.mounts.lock().unwrap().clone();
    assert_eq!(mounts.len(), 1);
    assert!(
        mounts[0].read_only && mounts[0].target.ends_with("/etc/conf"),
        "{mounts:?}"
    );
    agent.stop().await;
    let agent = m.agent().await;
    until("it is adopted", || m.broker.attached() == 2).await;
    assert!(path.exists(), "an agent that comes and goes leaves them");
    m.broker.want(with_files(2, Desired::Stopped, files));
    until("it has stopped", || m.broker.phase(id(1)) == Phase::Stopped).await;
    until("they are gone", || !dir.exists()).await;
    assert_eq!(m.broker.fetches(), 2);
    agent.stop().await;
}

#[tokio::test]
async fn a_secret_is_in_memory_or_it_is_refused_by_name() {
    let m = Machine::new();
    m.broker.keep("password", 9, SECRET);
    let agent = m.agent().await;
    let keeps = agent.facts().runtimes["fake"].capabilities.contains("secrets");
    let files = vec![file("password", 9, "/run/secrets/password", true)];
    m.broker.want(with_files(1, Desired::Running, files.clone()));
    if !keeps {
        until("it has failed", || m.broker.phase(id(1)) == Phase::Failed).await;
        let said = m.broker.status(id(1)).message;
        assert!(said.contains("secrets are kept in memory only"), "{said}");
        agent.stop().await;
        return;
    }
    until("it runs", || m.broker.phase(id(1)) == Phase::Running).await;
    let dir = place(m.dir.path(), "secrets");
    assert_eq!(statfs(&dir).unwrap().filesystem_type(), TMPFS_MAGIC);
    assert_eq!(std::fs::read(dir.join("0-9")).unwrap(), SECRET);
    assert!(!on_disk(m.dir.path(), SECRET));
    agent.stop().await;
    let agent = m.agent().await;
    until("it is adopted", || m.broker.attached() == 2).await;
    assert_eq!(std::fs::read(dir.join("0-9")).unwrap(), SECRET);
    m.broker.want(with_files(2, Desired::Stopped, files));
    until("it is gone, and so is its mount", || !dir.exists()).await;
    assert!(!format!("{:?}", m.broker.seen()).contains("battery"));
    agent.stop().await;
}

#[tokio::test]
async fn a_file_that_is_not_there_fails_the_task_by_name() {
    let m = Machine::new();
    let agent = m.agent().await;
    let files = vec![file("conf", 7, "etc/conf", false)];
    m.broker.want(with_files(1, Desired::Running, files));
    until("it has failed", || m.broker.phase(id(1)) == Phase::Failed).await;
    let said = m.broker.status(id(1)).message;
    assert_eq!(said, "file `conf` cannot be had: there is no conf@7");
    assert_eq!(m.broker.fetches(), 1);
    agent.stop().await;
}

#[tokio::test]
async fn what_an_agent_without_memory_of_its_tasks_finds_of_theirs_it_removes() {
    let m = Machine::new();
    let stray = place(m.dir.path(), "files");
    std::fs::create_dir_all(&stray).unwrap();
    std::fs::write(stray.join("0-1"), "old").unwrap();
    let agent = m.agent().await;
    assert!(!stray.exists());
    agent.stop().await;
}

#[tokio::test]
async fn a_node_that_is_taken_down_keeps_no_file_of_a_task() {
    let m = Machine::new();
    m.broker.keep("conf", 7, b"listen 80");
    let agent = m.agent().await;
    m.broker.want(with_files(
        1,
        Desired::Running,
        vec![file("conf", 7, "etc/conf", false)],
    ));
    until("it runs", || m.broker.phase(id(1)) == Phase::Running).await;
    agent.stop().await;
    let dir = place(m.dir.path(), "files");
    assert!(dir.exists());
    plenum_agent::clear_files(m.dir.path());
    assert!(!dir.exists());
}
