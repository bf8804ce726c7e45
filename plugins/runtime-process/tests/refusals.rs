//! What cannot be, and what it says.

use crate::support::World;
use plenum_contract::error::{Class, Classified};
use plenum_contract::runtime::{ContainerPlan, Runtime, RuntimeError};
use plenum_model::spec::{Mount, MountSource};
use plenum_model::task::ExitReason;
use runtime_process::{ProcessRuntime, Settings};

async fn refused(world: &World, change: impl FnOnce(&mut ContainerPlan)) -> (ExitReason, String) {
    let mut plan = world.plan("true");
    change(&mut plan);
    match world.runtime.prepare(&plan).await {
        Err(RuntimeError::Refused { reason, why }) => (reason, why),
        other => panic!("not refused but {other:?}"),
    }
}

#[tokio::test]
async fn a_user_that_does_not_exist_is_named_and_leaves_nothing() {
    let world = World::new().await;
    let said = refused(&world, |plan| plan.user = Some("bad".into())).await;
    assert_eq!(said, (ExitReason::Setup, "No such user 'bad'".into()));
    let said = refused(&world, |plan| {
        let source = MountSource::Host("/no/such/dir".into());
        plan.mounts = vec![Mount {
            target: "a".into(),
            source,
            read_only: false,
        }];
    });
    let (reason, why) = said.await;
    assert_eq!(reason, ExitReason::Setup);
    assert!(
        why.contains("/no/such/dir") || why.contains("cannot give containers mounts"),
        "{why}"
    );
    world.finish().await;
}

#[tokio::test]
async fn a_command_that_does_not_exist_is_named_whoever_looks_for_it() {
    let world = World::new().await;
    let mut plan = world.plan("");
    (plan.entrypoint, plan.args) = (None, Some(vec!["no-such-command".into(), "-x".into()]));
    world.runtime.prepare(&plan).await.unwrap();
    let error = world.runtime.start(&plan.key).await.unwrap_err();
    assert_eq!(error.class(), Class::Fatal);
    assert_eq!(error.to_string(), "command not found: no-such-command");
    let exit = world.runtime.wait(&plan.key).await.unwrap();
    assert_eq!(
        (exit.reason, exit.message.as_str()),
        (ExitReason::Command, "command not found: no-such-command")
    );
    assert!(world.runtime.start(&plan.key).await.is_err(), "and again");
    let shell = world.plan("no-such-command -x");
    let exit = world.run(&shell).await;
    assert_eq!((exit.reason, exit.code), (ExitReason::Command, Some(127)));
    assert_eq!(exit.message, "command not found: no-such-command");
    world.finish().await;
}

#[tokio::test]
async fn a_working_directory_that_does_not_exist_is_named() {
    let world = World::new().await;
    let mut plan = world.plan("true");
    plan.workdir = Some("/no/such/dir".into());
    world.runtime.prepare(&plan).await.unwrap();
    let error = world.runtime.start(&plan.key).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot enter working directory /no/such/dir: No such file or directory"
    );
    assert_eq!(
        world.runtime.wait(&plan.key).await.unwrap().reason,
        ExitReason::Setup
    );
    world.finish().await;
}

#[tokio::test]
async fn signals_and_settings_that_cannot_be_are_refused() {
    let world = World::new().await;
    let plan = world.plan("sleep 100");
    world.start(&plan).await;
    let error = world.runtime.signal(&plan.key, "SIGNONSENSE").await.unwrap_err();
    assert_eq!(error.to_string(), "there is no signal `SIGNONSENSE`");
    for cgroup in ["", "/absolute", "a/../b"] {
        let settings = Settings {
            dir: world.path().join("other"),
            cgroup: cgroup.into(),
        };
        let error = ProcessRuntime::open(settings).await.unwrap_err();
        assert_eq!(error.class(), Class::Fatal, "{cgroup}");
    }
    world.finish().await;
}
