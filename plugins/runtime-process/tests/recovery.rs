//! The agent starts again, or something was killed that should not have been.

use crate::support::{World, within};
use plenum_contract::runtime::{Found, FoundState, Runtime, RuntimeError};
use plenum_model::task::ExitReason;
use plenum_shim::files;
use plenum_shim::procfs;
use plenum_shim::state::Status;
use std::time::{Duration, Instant};

async fn states(runtime: &impl Runtime) -> Vec<FoundState> {
    let mut found = runtime.recover().await.unwrap();
    found.sort_by(|a, b| a.key.cmp(&b.key));
    found.into_iter().map(|Found { state, .. }| state).collect()
}

#[tokio::test]
async fn a_new_agent_finds_everything_as_it_is() {
    let world = World::new().await;
    let plans = ["exit 5", "echo up; sleep 1000", "echo never"].map(|script| world.plan(script));
    world.run(&plans[0]).await;
    world.start(&plans[1]).await;
    world.runtime.prepare(&plans[2]).await.unwrap();
    world.until_output(&plans[1].key, "up").await;
    let again = world.again().await;
    let found = states(&again).await;
    assert!(
        matches!(&found[0], FoundState::Ended(exit) if exit.code == Some(5)),
        "{found:?}"
    );
    assert_eq!(found[1..], [FoundState::Running, FoundState::Prepared]);
    again.start(&plans[2].key).await.unwrap();
    assert_eq!(within(again.wait(&plans[2].key)).await.unwrap().code, Some(0));
    again.signal(&plans[1].key, "KILL").await.unwrap();
    // Both agents may wait; nobody takes the exit away from the other.
    let (one, other) = tokio::join!(world.runtime.wait(&plans[1].key), again.wait(&plans[1].key));
    assert_eq!(one.unwrap(), other.unwrap());
    world.finish().await;
}

#[tokio::test]
async fn a_shim_that_was_killed_is_reported_and_nothing_of_it_runs_on() {
    let world = World::new().await;
    let plan = world.plan("sleep 1000 & sleep 1000 & echo up; wait");
    world.start(&plan).await;
    world.until_output(&plan.key, "up").await;
    let containers = world.path().join("runtime/containers");
    let dir = std::fs::read_dir(&containers)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let status: Status = files::read_json(&dir, files::STATUS).unwrap().unwrap();
    let below = procfs::descendants(status.shim.pid);
    assert!(below.len() >= 3, "{below:?}");
    let waiting = world.runtime.wait(&plan.key);
    let killing = async {
        let shim = nix::unistd::Pid::from_raw(status.shim.pid);
        nix::sys::signal::kill(shim, nix::sys::signal::Signal::SIGKILL).unwrap();
    };
    let (exit, ()) = within(async { tokio::join!(waiting, killing) }).await;
    let exit = exit.unwrap();
    assert_eq!(
        (exit.reason, exit.code, exit.signal),
        (ExitReason::Gone, None, None)
    );
    assert!(exit.message.contains("not known"), "{exit:?}");
    // The last of them go when the system's first process has collected their parent.
    let deadline = Instant::now() + Duration::from_secs(20);
    while let Some(pid) = below
        .iter()
        .find(|&&pid| procfs::identify(pid).is_ok_and(procfs::is_alive))
    {
        assert!(Instant::now() < deadline, "process {pid} runs on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(matches!(&states(&world.again().await).await[..], [FoundState::Ended(found)] if *found == exit));
    world.finish().await;
}

#[tokio::test]
async fn after_a_reboot_it_says_so() {
    let world = World::new().await;
    let plan = world.plan("sleep 1000");
    world.start(&plan).await;
    let containers = world.path().join("runtime/containers");
    let dir = std::fs::read_dir(&containers)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let status: Status = files::read_json(&dir, files::STATUS).unwrap().unwrap();
    world.runtime.signal(&plan.key, "KILL").await.unwrap();
    within(world.runtime.wait(&plan.key)).await.unwrap();
    std::fs::remove_file(dir.join(files::EXIT)).unwrap();
    let before = Status {
        boot_id: "another".into(),
        ..status
    };
    files::write_json(&dir, files::STATUS, &before).unwrap();
    let exit = within(world.again().await.wait(&plan.key)).await.unwrap();
    assert_eq!(
        (exit.reason, exit.message.as_str()),
        (ExitReason::Gone, "the machine was restarted while it ran")
    );
    world.finish().await;
}

#[tokio::test]
async fn what_was_being_made_when_the_agent_was_killed_is_cleared_away() {
    let world = World::new().await;
    let plan = world.plan("true");
    world.runtime.prepare(&plan).await.unwrap();
    let containers = world.path().join("runtime/containers");
    let dir = std::fs::read_dir(&containers)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    // The record was written, the shim not yet started.
    let status: Status = files::read_json(&dir, files::STATUS).unwrap().unwrap();
    let shim = nix::unistd::Pid::from_raw(status.shim.pid);
    nix::sys::signal::kill(shim, nix::sys::signal::Signal::SIGKILL).unwrap();
    while procfs::is_alive(status.shim) {
        tokio::task::yield_now().await;
    }
    std::fs::remove_file(dir.join(files::STATUS)).unwrap();
    // A directory without a record, and a cgroup without a directory.
    std::fs::create_dir(containers.join("half-made")).unwrap();
    for root in world.cgroups() {
        std::fs::create_dir(root.join("of-nobody")).unwrap();
    }
    assert!(matches!(
        world.runtime.start(&plan.key).await,
        Err(RuntimeError::NotFound { .. })
    ));
    assert_eq!(states(&world.again().await).await, []);
    assert_eq!(std::fs::read_dir(&containers).unwrap().count(), 0);
    world.runtime.prepare(&plan).await.unwrap();
    world.runtime.start(&plan.key).await.unwrap();
    assert_eq!(within(world.runtime.wait(&plan.key)).await.unwrap().code, Some(0));
    world.finish().await;
}
