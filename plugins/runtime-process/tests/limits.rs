//! Limits that the kernel enforces, and what is read back.

use crate::support::{World, within};
use plenum_contract::runtime::{Runtime, RuntimeIo};
use plenum_model::node::capability;
use plenum_model::task::ExitReason;
use std::time::{Duration, Instant};

async fn has(world: &World, capability: &str) -> bool {
    let there = world
        .runtime
        .facts()
        .await
        .unwrap()
        .capabilities
        .contains(capability);
    if !there {
        eprintln!("{capability} cannot be enforced here: skipped");
    }
    there
}

/// Needs nothing but a shell: each round doubles the text.
const EAT: &str = "x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done";

#[tokio::test]
async fn beyond_its_memory_limit_it_is_killed_and_that_is_said() {
    let world = World::new().await;
    if !has(&world, capability::MEMORY_LIMIT).await {
        return;
    }
    let mut plan = world.plan(EAT);
    plan.caps.memory_limit_bytes = Some(32 << 20);
    let exit = within(world.run(&plan)).await;
    assert_eq!((exit.reason, exit.signal), (ExitReason::OutOfMemory, Some(9)));
    assert_eq!(exit.message, "out of memory: it went beyond its limit of 32 MiB");
    let mut child = world.plan(&format!("sh -c '{EAT}'; exit $?"));
    child.caps.memory_limit_bytes = Some(32 << 20);
    let exit = within(world.run(&child)).await;
    assert_eq!((exit.reason, exit.code), (ExitReason::OutOfMemory, Some(137)));
    assert_eq!(world.again().await.wait(&child.key).await.unwrap(), exit);
    world.finish().await;
}

#[tokio::test]
async fn usage_is_read_and_a_quota_holds_the_processor_back() {
    let world = World::new().await;
    if !has(&world, capability::CPU_LIMIT).await {
        return;
    }
    let mut plan = world.plan("while :; do :; done");
    plan.caps.cpu_limit_millis = Some(200);
    plan.caps.cpu_weight_millis = Some(200);
    plan.caps.memory_limit_bytes = Some(64 << 20);
    world.start(&plan).await;
    let begin = (Instant::now(), world.runtime.stats(&plan.key).await.unwrap());
    tokio::time::sleep(Duration::from_secs(2)).await;
    let end = (Instant::now(), world.runtime.stats(&plan.key).await.unwrap());
    let used = Duration::from_nanos(end.1.cpu_nanos - begin.1.cpu_nanos).as_secs_f64();
    let share = used / (end.0 - begin.0).as_secs_f64();
    assert!((0.05..0.35).contains(&share), "a fifth of a core, not {share}");
    assert_eq!(end.1.memory_limit_bytes, Some(64 << 20));
    assert!((1 << 12..64 << 20).contains(&end.1.memory_bytes), "{:?}", end.1);
    assert_eq!(end.1.pids, 1);
    world.finish().await;
}

#[tokio::test]
async fn a_fork_bomb_hits_its_limit_and_dies_whole() {
    let world = World::new().await;
    if !has(&world, capability::PIDS_LIMIT).await {
        return;
    }
    let mut plan = world.plan("while :; do sleep 1000 & done 2>/dev/null");
    plan.caps.pids = Some(20);
    world.start(&plan).await;
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match world.runtime.stats(&plan.key).await {
            Ok(stats) if stats.pids >= 20 => {
                assert_eq!(stats.pids, 20);
                break;
            }
            // The shell may give up once it cannot fork.
            Err(_) => break,
            Ok(_) => assert!(Instant::now() < deadline, "never got so far"),
        }
    }
    world.runtime.signal(&plan.key, "KILL").await.unwrap();
    within(world.runtime.wait(&plan.key)).await.unwrap();
    world.finish().await;
}
