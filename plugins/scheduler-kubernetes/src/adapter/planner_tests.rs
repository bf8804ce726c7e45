use super::*;
use crate::adapter::book::Work;
use crate::adapter::step::FORCED_GRACE_MS;
use crate::adapter::testing::{book, lowered, node_id, observed, pod, task};
use plenum_model::claim::{Amendment, Desired};
use plenum_model::ids::TenantPath;
use plenum_model::phase::Phase;
use plenum_model::rules::keys;
use plenum_model::task::Task;
use serde_json::{Value, json};

fn charter() -> Charter {
    Charter {
        scheduler_names: ["default-scheduler".to_owned()].into(),
        tenant: TenantPath::new("default").unwrap(),
        namespace_is_tenant: true,
    }
}

/// The plan for one pod that is ready to be claimed, with these tasks of it.
fn planned(pod: Option<Pod>, tasks: Vec<Task>) -> Plan {
    let book = book(pod.into_iter().collect());
    book.note("u", Work::Ready(lowered()));
    let mut memory = Memory::default();
    let observed = observed(tasks);
    let (plan, refused) =
        book.read(|pages| plan(pages, &observed, &charter(), Moment(1_000_000), &mut memory));
    assert!(refused.is_empty(), "{refused:?}");
    plan
}

const HELD: Desired = Desired::Held {
    deadline_ms: 24 * 3600 * 1000,
};

fn bound(node: &str) -> Value {
    json!({"nodeName": node})
}

#[test]
fn a_pod_without_a_node_is_claimed_held_where_it_may_go() {
    let plan = planned(Some(pod(json!({}), json!({}))), vec![]);
    let claim = &plan.claims[0];
    assert_eq!((claim.terms.desired, claim.terms.rules.required.len()), (HELD, 0));
    assert_eq!(
        (claim.terms.tenant.as_str(), claim.terms.workload.name.as_str()),
        ("prod", "prod/p")
    );
    let picky = planned(
        Some(pod(json!({}), json!({"nodeSelector": {"disk": "ssd"}}))),
        vec![],
    );
    let rule = &picky.claims[0].terms.rules.required[0][0];
    assert_eq!(
        (rule.key.as_str(), rule.values.as_slice()),
        (keys::NODE, ["n1".to_owned()].as_slice())
    );
    let nowhere = planned(
        Some(pod(json!({}), json!({"nodeSelector": {"disk": "tape"}}))),
        vec![],
    );
    assert!(nowhere.is_empty());
}

#[test]
fn pods_of_other_schedulers_and_gated_ones_are_left_alone() {
    for spec in [
        json!({"schedulerName": "mine"}),
        json!({"schedulingGates": [{"name": "g"}]}),
    ] {
        assert!(
            planned(Some(pod(json!({}), spec.clone())), vec![]).is_empty(),
            "{spec}"
        );
    }
}

#[test]
fn a_held_pod_that_is_bound_is_told_to_run_once() {
    let plan = planned(
        Some(pod(json!({}), bound("n1"))),
        vec![task(Phase::Prepared, HELD, Some(1))],
    );
    assert_eq!(plan.amends[0].change, Amendment::Desired(Desired::Running));
    let runs = planned(
        Some(pod(json!({}), bound("n1"))),
        vec![task(Phase::Running, Desired::Running, Some(1))],
    );
    assert!(runs.is_empty());
}

#[test]
fn a_pod_that_others_bound_is_claimed_with_a_pin_past_cordons() {
    let plan = planned(Some(pod(json!({}), bound("n2"))), vec![]);
    let claim = &plan.claims[0];
    let pin = claim.seat.pin.as_ref().unwrap();
    assert_eq!(
        (&pin.node, pin.past_cordon, claim.terms.desired),
        (&node_id(2), true, Desired::Running)
    );
    assert!(planned(Some(pod(json!({}), bound("elsewhere"))), vec![]).is_empty());
}

#[test]
fn a_seat_on_the_wrong_node_is_given_up_and_taken_again_on_the_right_one() {
    let wrong = task(Phase::Prepared, HELD, Some(1));
    let plan = planned(Some(pod(json!({}), bound("n2"))), vec![wrong.clone()]);
    assert_eq!((plan.releases.len(), plan.claims.len()), (1, 0));
    let mut given_up = wrong;
    given_up.released = true;
    given_up.status.progress.phase = Phase::Stopped;
    let plan = planned(Some(pod(json!({}), bound("n2"))), vec![given_up]);
    let claim = &plan.claims[0];
    assert_eq!(claim.seat.id.attempt(), 1);
    assert_eq!(claim.terms.rules.required[0][0].values, ["n2"]);
}

#[test]
fn what_runs_and_has_ended_is_not_started_again() {
    let mut ended = task(Phase::Failed, Desired::Running, Some(1));
    ended.status.started_at = Some(5);
    assert!(planned(Some(pod(json!({}), bound("n1"))), vec![ended]).is_empty());
}

#[test]
fn a_pod_that_is_to_go_is_released_with_the_grace_it_has_left() {
    let at = "1970-01-01T00:16:50Z"; // 10 s from now
    let meta = json!({"deletionTimestamp": at, "deletionGracePeriodSeconds": 30});
    let plan = planned(
        Some(pod(meta, bound("n1"))),
        vec![task(Phase::Running, Desired::Running, Some(1))],
    );
    assert_eq!(plan.releases[0].grace_ms, Some(11_000));
}

#[test]
fn a_shorter_grace_is_asked_for_and_the_same_one_only_once() {
    let meta = |at: &str, grace: u64| json!({"deletionTimestamp": at, "deletionGracePeriodSeconds": grace});
    let observed = observed(vec![task(Phase::Running, Desired::Running, Some(1))]);
    let mut memory = Memory::default();
    let mut releases = |meta: Value, now: u64| {
        let book = book(vec![pod(meta, bound("n1"))]);
        memory.due.extend(book.unplanned());
        let (plan, _) = book.read(|pages| plan(pages, &observed, &charter(), Moment(now), &mut memory));
        plan.releases.len()
    };
    let long = meta("1970-01-01T00:17:10Z", 30);
    assert_eq!(releases(long.clone(), 1_000_000), 1);
    assert_eq!(releases(long, 1_007_000), 0);
    assert_eq!(releases(meta("1970-01-01T00:16:49Z", 1), 1_008_000), 1);
}

#[test]
fn a_pod_that_is_gone_from_the_api_is_stopped_and_forgotten() {
    let plan = planned(None, vec![task(Phase::Running, Desired::Running, Some(1))]);
    assert_eq!(plan.releases[0].grace_ms, Some(FORCED_GRACE_MS));
    let plan = planned(None, vec![task(Phase::Stopped, Desired::Running, Some(1))]);
    assert_eq!(plan.forgets.len(), 1);
}

#[test]
fn nothing_is_decided_before_both_lists_are_whole() {
    let book = Book::default();
    let observed = observed(vec![task(Phase::Running, Desired::Running, Some(1))]);
    let mut memory = Memory::default();
    let (plan, _) = book.read(|pages| plan(pages, &observed, &charter(), Moment(1), &mut memory));
    assert!(plan.is_empty());
}

#[test]
fn a_pod_is_looked_at_until_what_was_asked_for_it_shows_and_then_when_it_changes() {
    let mut memory = Memory::default();
    let book = book(vec![pod(json!({}), json!({}))]);
    book.note("u", Work::Ready(lowered()));
    let mut mirror = observed(vec![]);
    let mut planned = |mirror: &Observed, now: u64| {
        memory.due.extend(book.unplanned());
        let (plan, _) = book.read(|pages| plan(pages, mirror, &charter(), Moment(now), &mut memory));
        let due = memory.due.len();
        (plan, due)
    };
    let (first, due) = planned(&mirror, 1_000);
    assert_eq!((first.claims.len(), due), (1, 1));
    let (again, _) = planned(&mirror, 1_001);
    assert_eq!(again.claims, first.claims, "nothing says that it was taken");
    mirror.claimed(Moment(1_002), &first.claims[0]);
    let (taken, due) = planned(&mirror, 1_003);
    assert_eq!((taken.is_empty(), due), (true, 0));
    book.drop_pod(&pod(json!({}), json!({})));
    let (gone, due) = planned(&mirror, 1_004);
    assert_eq!((gone.releases.len(), due), (1, 1));
    let all_at = gone.wake_at.unwrap();
    assert_eq!(
        all_at,
        Moment(1_000).plus(ALL),
        "everything is looked at now and then"
    );
}
