use super::*;
use crate::adapter::book::Book;
use crate::adapter::testing::{book, container, lowered, node_id, pod, task};
use plenum_model::amounts::Resource;
use plenum_model::ids::TenantPath;
use plenum_model::phase::Phase;
use plenum_model::task::ContainerState;
use plenum_model::why::{Cause, Why};
use serde_json::{Value, json};

const HELD: Desired = Desired::Held { deadline_ms: 1 };

const NOW: u64 = 1_700_000_000_000;

fn step(meta: Value, spec: Value, work: Work, task: Option<&Task>, host: Option<&str>) -> Step {
    let book = book(vec![pod(meta, spec)]);
    book.note("u", work);
    of_book(&book, task, host)
}

fn of_book(book: &Book, task: Option<&Task>, host: Option<&str>) -> Step {
    let charter = Charter {
        scheduler_names: ["default-scheduler".to_owned()].into(),
        tenant: TenantPath::new("default").unwrap(),
        namespace_is_tenant: true,
    };
    let known = Known {
        task,
        host,
        runtime: "docker",
        holders: Holders::default(),
        look_again: false,
        now: NOW,
    };
    book.read(|pages| next(pages, &charter, &pages.pods["u"], &known))
}

#[test]
fn a_new_pod_is_prepared_then_waits_for_its_claim_then_is_bound() {
    assert_eq!(
        step(json!({}), json!({}), Work::Unread, None, None),
        Step::Prepare
    );
    let ready = || Work::Ready(lowered());
    assert_eq!(step(json!({}), json!({}), ready(), None, None), Step::Rest);
    let placed = task(Phase::Placed, HELD, Some(2));
    assert_eq!(
        step(json!({}), json!({}), ready(), Some(&placed), None),
        Step::Bind(node_id(2))
    );
}

#[test]
fn a_pod_that_fits_nowhere_says_why_in_its_status_and_an_event() {
    let mut waits = task(Phase::Pending, HELD, None);
    waits.status.why = Some(Why {
        nodes: 2,
        by: vec![(Cause::Short(Resource::Cpu), 2)],
        limit: None,
        ..Why::default()
    });
    let Step::Write(status, Some(note)) =
        step(json!({}), json!({}), Work::Ready(lowered()), Some(&waits), None)
    else {
        panic!("it is written");
    };
    assert!(
        note.message
            .starts_with("0/2 nodes are available: 2 Insufficient cpu."),
        "{}",
        note.message
    );
    let condition = &status.conditions.as_ref().unwrap()[0];
    assert_eq!(
        (condition.reason.as_deref(), condition.status.as_str()),
        (Some("Unschedulable"), "False")
    );
    let spec = json!({"nodeSelector": {"disk": "tape"}});
    let Step::Write(_, Some(note)) = step(json!({}), spec, Work::Ready(lowered()), None, None) else {
        panic!("it is written");
    };
    assert!(
        note.message
            .contains("2 node(s) didn't match Pod's node affinity/selector"),
        "{}",
        note.message
    );
}

#[test]
fn what_is_not_served_is_said_by_name_where_the_pod_waits_and_fails_it_where_it_is_bound() {
    let refused = || Work::Refused("spec.hostPID: not supported on Plenum's nodes".to_owned());
    let Step::Write(_, Some(note)) = step(json!({}), json!({}), refused(), None, None) else {
        panic!("it is written");
    };
    assert_eq!(
        (note.reason, note.message.as_str()),
        (
            "FailedScheduling",
            "spec.hostPID: not supported on Plenum's nodes"
        )
    );
    let Step::Write(status, _) = step(
        json!({}),
        json!({"nodeName": "n1"}),
        refused(),
        None,
        Some("127.77.0.1"),
    ) else {
        panic!("it is written");
    };
    assert_eq!(status.phase.as_deref(), Some("Failed"));
}

#[test]
fn a_pod_that_is_to_go_gets_its_last_status_and_then_its_object_goes() {
    let meta = || json!({"deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": 5});
    let bound = || json!({"nodeName": "n1"});
    let host = Some("127.77.0.1");
    let runs = task(Phase::Running, Desired::Running, Some(1));
    assert!(matches!(
        step(meta(), bound(), Work::Unread, Some(&runs), host),
        Step::Write(..)
    ));
    let ended = task(Phase::Stopped, Desired::Running, Some(1));
    assert!(matches!(
        step(meta(), bound(), Work::Unread, Some(&ended), host),
        Step::Write(..)
    ));
    assert_eq!(step(meta(), bound(), Work::Unread, None, host), Step::Delete);
    assert_eq!(step(meta(), json!({}), Work::Unread, None, None), Step::Rest);
}

#[test]
fn pods_on_foreign_nodes_are_left_alone() {
    assert_eq!(
        step(json!({}), json!({"nodeName": "x"}), Work::Unread, None, None),
        Step::Rest
    );
}

#[test]
fn a_pod_that_starts_at_once_gets_one_status_and_one_that_does_not_says_so() {
    let host = Some("127.77.0.1");
    let held = task(Phase::Prepared, HELD, Some(1));
    let bound = |at| {
        let book = book(vec![pod(json!({}), json!({}))]);
        book.note("u", Work::Ready(lowered()));
        book.bound("u", "n1", at);
        book
    };
    let just = bound(NOW - 30);
    assert_eq!(
        of_book(&just, Some(&held), host),
        Step::Wait(Duration::from_millis(70))
    );
    let mut runs = task(Phase::Running, Desired::Running, Some(1));
    let started_at = NOW - 10;
    runs.status.containers = vec![container("c", ContainerState::Running { started_at })];
    assert!(matches!(of_book(&just, Some(&runs), host), Step::Write(..)));
    assert!(matches!(
        of_book(&bound(NOW - 100), Some(&held), host),
        Step::Write(..)
    ));
}

#[test]
fn nothing_is_decided_before_the_watch_shows_what_was_written_last() {
    let host = Some("127.77.0.1");
    let runs = task(Phase::Running, Desired::Running, Some(1));
    let seen = |version: &str| pod(json!({"resourceVersion": version}), json!({"nodeName": "n1"}));
    let book = book(vec![seen("4")]);
    book.wrote("u", "5".to_owned(), NOW);
    assert_eq!(
        of_book(&book, Some(&runs), host),
        Step::Wait(Duration::from_secs(1))
    );
    book.put_pod(seen("5"), false);
    assert!(matches!(of_book(&book, Some(&runs), host), Step::Write(..)));
    book.wrote("u", "5".to_owned(), NOW);
    assert!(
        matches!(of_book(&book, Some(&runs), host), Step::Write(..)),
        "it was shown already"
    );
    book.wrote("u", "6".to_owned(), NOW - 1000);
    assert!(
        matches!(of_book(&book, Some(&runs), host), Step::Write(..)),
        "the watch has had its time"
    );
}
