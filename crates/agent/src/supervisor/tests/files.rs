//! Files and secrets of a task: there before its containers are made, gone when it has ended.

use super::world::*;
use crate::supervisor::*;
use plenum_model::claim::Desired;
use plenum_model::phase::Phase;
use plenum_model::spec::{MountSource, Restart};
use plenum_model::task::ExitReason;

fn wanted() -> World {
    let mut w = World::new();
    w.want(WITH_FILES, Restart::Always, Desired::Running);
    w.work(0, Fate::Well);
    assert_eq!(w.verbs(), [VerbKind::Fetch]);
    w
}

#[test]
fn files_are_fetched_first_and_mounted_read_only_at_their_targets() {
    let mut w = wanted();
    let Verb::Fetch(files) = &w.work[0].verb else {
        panic!("{:?}", w.work)
    };
    let id = task_id(WITH_FILES);
    let shown: Vec<_> = files
        .iter()
        .map(|f| (f.key.as_str(), f.revision, f.path.display().to_string(), f.secret))
        .collect();
    assert_eq!(
        shown,
        [
            ("conf", 7, format!("/files/{id}/0-7"), false),
            ("password", 9, format!("/secrets/{id}/1-9"), true),
        ]
    );
    w.work(0, Fate::Well);
    let Verb::Prepare(planned) = &w.work[0].verb else {
        panic!("{:?}", w.work)
    };
    let mounts: Vec<_> = planned
        .plan
        .mounts
        .iter()
        .map(|m| (m.target.clone(), m.source.clone(), m.read_only))
        .collect();
    assert_eq!(
        mounts,
        [
            (
                format!("/sandboxes/{id}/etc/conf"),
                MountSource::Host(format!("/files/{id}/0-7")),
                true
            ),
            (
                "/run/secrets/password".to_owned(),
                MountSource::Host(format!("/secrets/{id}/1-9")),
                true
            ),
        ]
    );
}

#[test]
fn files_stay_through_restarts_of_container_and_agent_and_go_with_the_end() {
    let mut w = wanted();
    w.settle();
    assert_eq!((w.phase(WITH_FILES), w.files.len()), (Phase::Running, 2));
    w.exit(WITH_FILES, 1);
    assert_eq!(w.files.len(), 2, "a restart in place uses them again");
    w.settle();
    w.crash();
    w.settle();
    assert_eq!((w.phase(WITH_FILES), w.files.len()), (Phase::Running, 2));
    w.want(WITH_FILES, Restart::Always, Desired::Stopped);
    w.settle();
    assert_eq!((w.phase(WITH_FILES), w.files.len()), (Phase::Stopped, 0));
    w.want(WITH_FILES, Restart::Always, Desired::Running);
    w.settle();
    assert_eq!((w.phase(WITH_FILES), w.files.len()), (Phase::Running, 2));
    w.remove(WITH_FILES);
    w.settle();
    assert_eq!((w.files.len(), w.engine.len()), (0, 0));
}

#[test]
fn an_agent_that_dies_before_it_removed_the_files_of_an_ended_task_does_so_later() {
    let mut w = World::new();
    w.want(WITH_FILES, Restart::Never, Desired::Running);
    w.settle();
    w.exit(WITH_FILES, 0);
    assert_eq!(w.phase(WITH_FILES), Phase::Finished);
    assert_eq!(w.verbs(), [VerbKind::RemoveFiles]);
    let left = w.files.clone();
    w.work.clear();
    w.crash();
    assert_eq!(w.files, left);
    w.settle();
    assert!(w.files.is_empty());
}

#[test]
fn what_was_held_through_a_reboot_has_its_secrets_again_before_it_starts() {
    let mut w = World::new();
    w.want(WITH_FILES, Restart::Never, Desired::Held { deadline_ms: 1 });
    w.settle();
    assert_eq!((w.phase(WITH_FILES), w.files.len()), (Phase::Prepared, 2));
    w.reboot();
    assert_eq!(w.files.len(), 1);
    w.settle();
    w.want(WITH_FILES, Restart::Never, Desired::Running);
    w.settle();
    assert_eq!((w.phase(WITH_FILES), w.files.len()), (Phase::Running, 2));
}

#[test]
fn a_broker_that_is_away_is_waited_for_as_long_as_it_takes() {
    let mut w = wanted();
    for _ in 0..50 {
        w.away(0);
        assert_eq!(w.phase(WITH_FILES), Phase::Preparing);
        w.pass(10_000);
        assert_eq!(w.verbs(), [VerbKind::Fetch]);
    }
    w.settle();
    assert_eq!(w.phase(WITH_FILES), Phase::Running);
}

#[test]
fn a_fetch_is_given_up_when_the_task_shall_not_run() {
    let mut w = wanted();
    w.want(WITH_FILES, Restart::Always, Desired::Stopped);
    assert_eq!(
        w.verbs(),
        [VerbKind::RemoveFiles],
        "what a fetch left half goes, too"
    );
    assert_eq!(w.phase(WITH_FILES), Phase::Stopped);
    w.settle();
}

#[test]
fn a_file_that_is_not_to_be_had_fails_the_task_with_the_reason() {
    let mut w = wanted();
    w.work(0, Fate::Refused(ExitReason::Setup));
    assert_eq!(w.phase(WITH_FILES), Phase::Failed);
    assert_eq!(w.status(WITH_FILES).message, "never");
    w.settle();
    assert!(w.files.is_empty());
}
