//! From prepare to remove.

use crate::support::{World, is_root, within};
use plenum_contract::runtime::{FoundState, Runtime, RuntimeError};
use plenum_model::node::capability;
use plenum_model::spec::{Mount, MountSource};
use plenum_model::task::ExitReason;

#[tokio::test]
async fn a_container_runs_in_its_sandbox_and_says_how_it_ended() {
    let world = World::new().await;
    let mut plan = world.plan("pwd; echo $GREETING; touch made; exit 3");
    plan.env = vec![("GREETING".into(), "hello there".into())];
    let exit = world.run(&plan).await;
    assert_eq!(
        (exit.code, exit.signal, exit.reason),
        (Some(3), None, ExitReason::Exited)
    );
    assert_eq!(exit.message, "exited with code 3");
    let expected = format!("{}\nhello there\n", plan.sandbox.display());
    assert_eq!(world.output(&plan.key).await, expected);
    assert!(plan.sandbox.join("made").exists());
    world.finish().await;
}

#[tokio::test]
async fn every_verb_may_be_repeated() {
    let world = World::new().await;
    let plan = world.plan("echo once; sleep 100");
    let runtime = &world.runtime;
    assert!(matches!(
        runtime.start(&plan.key).await,
        Err(RuntimeError::NotFound { .. })
    ));
    assert!(matches!(
        runtime.wait(&plan.key).await,
        Err(RuntimeError::NotFound { .. })
    ));
    runtime.remove(&plan.key).await.unwrap();
    for _ in 0..2 {
        runtime.prepare(&plan).await.unwrap();
    }
    for _ in 0..2 {
        runtime.start(&plan.key).await.unwrap();
    }
    runtime.prepare(&plan).await.unwrap();
    world.until_output(&plan.key, "once").await;
    for _ in 0..2 {
        runtime.signal(&plan.key, "SIGKILL").await.unwrap();
    }
    let exit = within(runtime.wait(&plan.key)).await.unwrap();
    assert_eq!(
        (exit.signal, exit.message.as_str()),
        (Some(9), "killed by SIGKILL")
    );
    assert_eq!(runtime.wait(&plan.key).await.unwrap(), exit);
    runtime.signal(&plan.key, "TERM").await.unwrap();
    runtime.start(&plan.key).await.unwrap();
    assert_eq!(world.output(&plan.key).await, "once\n");
    for _ in 0..2 {
        runtime.remove(&plan.key).await.unwrap();
    }
    world.finish().await;
}

#[tokio::test]
async fn a_plain_command_obeys_term_and_one_that_ignores_it_is_killed() {
    let world = World::new().await;
    let plain = world.plan("exec sleep 1000");
    world.start(&plain).await;
    world.runtime.signal(&plain.key, "SIGTERM").await.unwrap();
    let exit = within(world.runtime.wait(&plain.key)).await.unwrap();
    assert!(exit.signal == Some(15) || exit.code == Some(143), "{exit:?}");
    let deaf = world.plan("trap '' TERM; echo ready; while :; do sleep 0.05; done");
    world.start(&deaf).await;
    world.until_output(&deaf.key, "ready").await;
    world.runtime.signal(&deaf.key, "TERM").await.unwrap();
    let removed = world.runtime.remove(&deaf.key);
    let running = within(removed).await.unwrap_err();
    assert!(running.to_string().contains("running"), "{running}");
    world.runtime.signal(&deaf.key, "KILL").await.unwrap();
    assert_eq!(
        within(world.runtime.wait(&deaf.key)).await.unwrap().signal,
        Some(9)
    );
    world.finish().await;
}

#[tokio::test]
async fn a_prepared_container_waits_and_can_be_removed_unstarted() {
    let world = World::new().await;
    let plan = world.plan("echo never");
    world.runtime.prepare(&plan).await.unwrap();
    let found = world.runtime.recover().await.unwrap();
    assert_eq!(
        (found.len(), &found[0].key, &found[0].state),
        (1, &plan.key, &FoundState::Prepared)
    );
    world.runtime.remove(&plan.key).await.unwrap();
    assert_eq!(world.runtime.recover().await.unwrap(), []);
    world.finish().await;
}

#[tokio::test]
async fn nothing_is_left_of_a_container_that_forks_away() {
    let world = World::new().await;
    let plan = world.plan("setsid sh -c 'setsid sleep 1000 & exec sleep 1000' & sleep 0.2; exit 0");
    assert_eq!(world.run(&plan).await.code, Some(0));
    world.runtime.remove(&plan.key).await.unwrap();
    world.finish().await;
}

#[tokio::test]
async fn as_root_it_is_isolated_and_can_be_somebody_else() {
    if !is_root("isolation") {
        return;
    }
    let world = World::new().await;
    let facts = world.runtime.facts().await.unwrap();
    assert!(facts.capabilities.contains(capability::USER), "{facts:?}");
    if !facts.capabilities.contains(capability::PID_NAMESPACE) {
        eprintln!("namespaces do not work here: skipped");
        return;
    }
    let mut plan = world.plan("hostname; id -u; id -g; echo $USER $HOME; ls -d /proc/[0-9]* | wc -l; touch mine; cat data/file; echo kept > scratch/x; ls scratch");
    plan.hostname = Some("box".into());
    plan.user = Some("nobody".into());
    let source = world.path().join("source");
    std::fs::create_dir(&source).unwrap();
    std::fs::write(source.join("file"), "content\n").unwrap();
    let bind = MountSource::Host(source.to_str().unwrap().to_owned());
    plan.mounts = vec![
        Mount {
            target: "data".into(),
            source: bind,
            read_only: true,
        },
        Mount {
            target: "scratch".into(),
            source: MountSource::Tmpfs(Some(1 << 20)),
            read_only: false,
        },
    ];
    let exit = world.run(&plan).await;
    let output = world.output(&plan.key).await;
    let lines: Vec<_> = output.lines().collect();
    assert_eq!(exit.code, Some(0), "{output}");
    assert_eq!(lines[..4], ["box", "65534", "65534", "nobody /nonexistent"]);
    assert!(lines[4].parse::<u32>().unwrap() < 6, "{output}");
    assert_eq!(lines[5..], ["content", "x"]);
    assert_eq!(
        std::os::unix::fs::MetadataExt::uid(&plan.sandbox.join("mine").metadata().unwrap()),
        65_534
    );
    assert!(
        std::fs::read_dir(plan.sandbox.join("scratch"))
            .unwrap()
            .next()
            .is_none()
    );
    world.finish().await;
}
