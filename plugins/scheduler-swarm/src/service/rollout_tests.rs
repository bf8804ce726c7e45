use super::*;
use crate::service::world::service;
use plenum_sdk::rollout::engine::Progress;
use serde_json::{Value, json};

fn in_state(state: Option<UpdateState>, more: &Value) -> ServiceRecord {
    let mut record = service(more, &json!({}));
    record.update = state.map(|state| Update {
        state,
        started_at: 7,
        completed_at: None,
        message: String::new(),
    });
    record
}

#[test]
fn each_phase_of_an_update_has_its_own_configuration() {
    let more = json!({
        "UpdateConfig": {"Parallelism": 0, "Delay": 2_000_000_000, "FailureAction": "rollback", "Order": "start-first"},
        "RollbackConfig": {"Parallelism": 3, "FailureAction": "rollback", "Monitor": 1_000_000_000},
    });
    let update = config(&in_state(Some(UpdateState::Updating), &more));
    assert_eq!(
        (update.parallelism, update.order, update.on_failure),
        (0, Order::StartFirst, FailureAction::Rollback)
    );
    assert_eq!(
        (update.delay, update.monitor),
        (Duration::from_secs(2), Duration::from_secs(5))
    );
    let back = config(&in_state(Some(UpdateState::RollbackStarted), &more));
    assert_eq!(
        (back.parallelism, back.order, back.monitor),
        (3, Order::StopFirst, Duration::from_secs(1))
    );
    assert_eq!(
        back.on_failure,
        FailureAction::Pause,
        "a rollback that fails never rolls back again"
    );
    let none = config(&in_state(Some(UpdateState::Updating), &json!({})));
    assert_eq!(
        (none.parallelism, none.monitor, none.on_failure),
        (1, Duration::from_secs(5), FailureAction::Pause)
    );
}

#[test]
fn what_failed_before_does_not_stop_the_slots_after_it() {
    let record = in_state(
        Some(UpdateState::Updating),
        &json!({"UpdateConfig": {"FailureAction": "continue"}}),
    );
    assert_eq!(policy(&record, 4, 0).max_unavailable, 1);
    assert_eq!(policy(&record, 4, 2).max_unavailable, 3);
    assert_eq!(policy(&record, 4, 2).parallelism, Some(1));
    let at_rest = policy(&in_state(None, &json!({})), 4, 0);
    assert_eq!((at_rest.parallelism, at_rest.max_unavailable), (None, 4));
}

#[test]
fn the_engines_answer_ends_an_update_in_one_way_or_another() {
    use RolloutStatus::{Done, Monitoring, Paused, RollBack, Rolling};
    let on = |action: &str| json!({"UpdateConfig": {"FailureAction": action}});
    let table = [
        (None, "pause", Done, 0, None),
        (Some(UpdateState::Completed), "pause", Done, 0, None),
        (
            Some(UpdateState::Updating),
            "pause",
            Done,
            0,
            Some(Outcome::Completed),
        ),
        (Some(UpdateState::Updating), "pause", Monitoring, 0, None),
        (
            Some(UpdateState::Updating),
            "pause",
            Paused,
            1,
            Some(Outcome::Paused),
        ),
        (
            Some(UpdateState::Updating),
            "rollback",
            RollBack,
            1,
            Some(Outcome::Paused),
        ),
        (Some(UpdateState::Updating), "continue", Rolling, 1, None),
        (
            Some(UpdateState::Updating),
            "continue",
            Rolling,
            2,
            Some(Outcome::Completed),
        ),
        (Some(UpdateState::Updating), "pause", Rolling, 2, None),
        (
            Some(UpdateState::RollbackStarted),
            "pause",
            Done,
            0,
            Some(Outcome::Completed),
        ),
    ];
    for (state, action, status, failed, wanted) in table {
        let next = Next {
            steps: Vec::new(),
            wake_at: None,
            status,
            progress: Progress {
                failed,
                ..Progress::default()
            },
        };
        let record = in_state(state, &on(action));
        assert_eq!(
            outcome(&record, 2, &next),
            wanted,
            "{state:?} {action} {status:?}"
        );
    }
}

#[test]
fn an_update_ends_in_the_words_of_a_swarm() {
    let start = in_state(Some(UpdateState::Updating), &json!({}));
    let told = |r: &ServiceRecord| {
        let u = r.update.clone().unwrap();
        (u.state.as_str(), u.completed_at, u.message)
    };
    let failed = "due to failure or early termination of task t1";
    let done = apply(&start, Outcome::Completed, "t1", 9);
    assert_eq!(told(&done), ("completed", Some(9), "update completed".to_owned()));
    let paused = apply(&start, Outcome::Paused, "t1", 9);
    assert_eq!(told(&paused), ("paused", None, format!("update paused {failed}")));

    let mut before = service(&json!({}), &json!({}));
    let old = before.spec.clone();
    before.previous = Some(old.clone());
    before.set_spec(
        crate::service::world::spec(&json!({}), &json!({"ForceUpdate": 1})),
        5,
    );
    let back = apply(&before, Outcome::RollBack, "t1", 9);
    assert_eq!(
        (&back.spec, back.previous.is_none(), back.version_since),
        (&old, true, 9)
    );
    assert_eq!(
        told(&back),
        ("rollback_started", None, format!("update rolled back {failed}"))
    );
    let stuck = apply(&back, Outcome::Paused, "t1", 10);
    assert_eq!(
        told(&stuck),
        ("rollback_paused", None, format!("update paused {failed}"))
    );
    let through = apply(&back, Outcome::Completed, "t1", 10);
    assert_eq!(
        told(&through),
        ("rollback_completed", Some(10), "rollback completed".to_owned())
    );
}

#[test]
fn only_what_makes_another_task_makes_another_version() {
    let record = |more: Value, task: Value| service(&more, &task).version();
    let plain = record(json!({}), json!({}));
    let same = [
        record(
            json!({"Labels": {"a": "b"}, "Mode": {"Replicated": {"Replicas": 9}}}),
            json!({}),
        ),
        record(
            json!({"UpdateConfig": {"Parallelism": 2}}),
            json!({"Placement": {"Constraints": ["node.id==x"]}}),
        ),
    ];
    let other = [
        record(json!({}), json!({"ForceUpdate": 1})),
        record(json!({}), json!({"ContainerSpec": {"Env": ["A=1"]}})),
        record(
            json!({"EndpointSpec": {"Ports": [{"TargetPort": 80, "PublishMode": "host"}]}}),
            json!({}),
        ),
    ];
    assert!(same.iter().all(|v| *v == plain) && other.iter().all(|v| *v != plain));
}

#[test]
fn a_spec_that_comes_back_with_its_defaults_filled_in_replaces_nothing() {
    let mut record = service(&json!({}), &json!({}));
    let mut back = record.spec.clone();
    back.task = back.task.map(|task| task.with_defaults());
    back.mode = service(&json!({"Mode": {"Replicated": {"Replicas": 3}}}), &json!({}))
        .spec
        .mode;
    assert!(!record.set_spec(back, 1), "a scale");
    let placed = service(&json!({}), &json!({"Placement": {"Constraints": ["node.id==x"]}})).spec;
    assert!(!record.set_spec(placed.clone(), 2) && record.spec.task == placed.task);
    let graced = service(&json!({}), &json!({"ContainerSpec": {"StopGracePeriod": 1}})).spec;
    assert!(record.set_spec(graced, 3));
}
