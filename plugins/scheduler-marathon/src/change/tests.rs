//! What requests make of what is wanted.

use super::revert::reverting;
use super::*;
use crate::plan::Kind;
use crate::tests::canonical;

fn limits() -> Limits {
    Limits {
        service_ports: 10_000..20_000,
        deployments: 3,
        versions: 3,
    }
}

fn occasion(ms: i64, force: Force) -> Occasion {
    Occasion {
        now: Stamp::from_ms(ms),
        deployment: format!("d{ms}"),
        force,
    }
}

fn become_(text: &str) -> (AppId, Wish) {
    let app = canonical(text).unwrap();
    (app.id.clone(), Wish::Become(Box::new(app)))
}

fn propose_one(desired: &Desired, wish: (AppId, Wish), ms: i64, force: Force) -> Result<Proposal, Refusal> {
    propose(desired, vec![wish], &occasion(ms, force), &limits()).map_err(|declined| declined.refusal)
}

fn a() -> AppId {
    AppId::from_root("/a")
}

fn with_a() -> Desired {
    let made = propose_one(
        &Desired::default(),
        become_(r#"{"id":"a","cmd":"one"}"#),
        1,
        Force::No,
    )
    .unwrap();
    Desired {
        deployments: Vec::new(),
        ..made.desired
    }
}

#[test]
fn a_new_app_gets_ports_a_version_a_uid_and_a_deployment() {
    let made = propose_one(
        &Desired::default(),
        become_(r#"{"id":"a","cmd":"one"}"#),
        7,
        Force::No,
    )
    .unwrap();
    let record = made.desired.app(&a()).unwrap();
    assert_eq!(
        (record.uid.as_str(), record.app.version),
        ("/a@7", Stamp::from_ms(7))
    );
    assert_eq!(record.app.config.service_ports(), [10_000]);
    assert_eq!(made.put, [a()].into());
    assert_eq!(made.desired.deployments[0].current()[0].kind, Kind::Start);
}

#[test]
fn a_change_under_a_deployment_is_locked_and_forcing_it_cancels_the_other() {
    let desired = propose_one(&with_a(), become_(r#"{"id":"a","cmd":"two"}"#), 2, Force::No)
        .unwrap()
        .desired;
    let again = become_(r#"{"id":"a","cmd":"three"}"#);
    let refused = propose_one(&desired, again.clone(), 3, Force::No).unwrap_err();
    assert_eq!(refused, Refusal::Locked(vec!["d2".into()]));
    let forced = propose_one(&desired, again, 3, Force::Yes).unwrap();
    assert_eq!(
        forced
            .cancelled
            .iter()
            .map(|d| d.plan.id.as_str())
            .collect::<Vec<_>>(),
        ["d2"]
    );
    assert_eq!(forced.desired.deployments.len(), 1);
}

#[test]
fn nothing_changed_is_no_deployment_and_is_never_locked() {
    let desired = propose_one(&with_a(), become_(r#"{"id":"a","cmd":"two"}"#), 2, Force::No)
        .unwrap()
        .desired;
    let same = propose_one(&desired, become_(r#"{"id":"a","cmd":"two"}"#), 3, Force::No).unwrap();
    assert!(same.plan.steps().is_empty() && same.put.is_empty());
    assert_eq!(same.desired, desired);
}

#[test]
fn too_many_deployments_are_refused() {
    let mut desired = Desired::default();
    for (i, id) in ["x", "y", "z"].iter().enumerate() {
        let wish = become_(&format!(r#"{{"id":"{id}","cmd":"one"}}"#));
        desired = propose_one(&desired, wish, i64::try_from(i).unwrap(), Force::No)
            .unwrap()
            .desired;
    }
    let more = become_(r#"{"id":"w","cmd":"one"}"#);
    assert_eq!(
        propose_one(&desired, more, 9, Force::No).unwrap_err(),
        Refusal::TooManyDeployments(3)
    );
}

#[test]
fn a_wish_on_an_app_that_is_not_there_is_refused() {
    for wish in [Wish::Restart, Wish::Gone, Wish::Shrink([].into())] {
        let refused = propose_one(&Desired::default(), (a(), wish), 1, Force::Yes).unwrap_err();
        assert_eq!(refused, Refusal::NoApp(a(), None));
    }
}

#[test]
fn an_app_cannot_be_where_a_group_is_nor_a_group_where_an_app_is() {
    let desired = propose_one(&with_a(), become_(r#"{"id":"/g/b","cmd":"one"}"#), 2, Force::No)
        .unwrap()
        .desired;
    for id in ["/g", "/a/c"] {
        let refused = propose_one(
            &desired,
            become_(&format!(r#"{{"id":"{id}","cmd":"one"}}"#)),
            3,
            Force::No,
        );
        assert_eq!(refused.unwrap_err().status(), 422, "{id}");
    }
}

#[test]
fn a_deleted_app_is_stopped_by_its_uid_and_one_of_the_same_name_is_another() {
    let gone = propose_one(&with_a(), (a(), Wish::Gone), 2, Force::Yes).unwrap();
    assert!(gone.desired.apps.is_empty());
    assert_eq!(gone.plan.apps[&a()].stopped_uid.as_deref(), Some("/a@1"));
    let anew = propose_one(&gone.desired, become_(r#"{"id":"a","cmd":"one"}"#), 3, Force::Yes).unwrap();
    assert_eq!(anew.desired.app(&a()).unwrap().uid, "/a@3");
}

#[test]
fn old_versions_are_dropped_beyond_the_limit() {
    let mut desired = with_a();
    let mut dropped = Vec::new();
    for n in 2..6_i64 {
        let wish = become_(&format!(r#"{{"id":"a","cmd":"one","instances":{n}}}"#));
        let next = propose_one(&desired, wish, n, Force::Yes).unwrap();
        dropped.extend(next.dropped_versions.iter().map(|(_, v)| v.ms()));
        desired = next.desired;
    }
    assert_eq!(dropped, [1, 2]);
    let kept: Vec<_> = desired
        .app(&a())
        .unwrap()
        .versions
        .keys()
        .map(|v| v.ms())
        .collect();
    assert_eq!(kept, [3, 4, 5]);
}

#[test]
fn killing_with_scale_lowers_the_count_and_names_the_victims() {
    let desired = {
        let wish = become_(r#"{"id":"a","cmd":"one","instances":3}"#);
        let made = propose_one(&with_a(), wish, 2, Force::No).unwrap().desired;
        Desired {
            deployments: Vec::new(),
            ..made
        }
    };
    let victims: BTreeSet<_> = [TaskId([7; 16])].into();
    let shrunk = propose_one(&desired, (a(), Wish::Shrink(victims.clone())), 3, Force::No).unwrap();
    assert_eq!(shrunk.desired.app(&a()).unwrap().app.instances, 2);
    assert_eq!(shrunk.plan.apps[&a()].victims, victims);
    assert_eq!(shrunk.plan.steps()[0][0].kind, Kind::Scale);
}

#[test]
fn reverting_brings_back_what_was_and_removes_what_is_new() {
    let changed = propose_one(&with_a(), become_(r#"{"id":"a","cmd":"two"}"#), 2, Force::No)
        .unwrap()
        .desired;
    let wishes = reverting(&changed, &changed.deployments[0]);
    let back = propose(&changed, wishes, &occasion(3, Force::Yes), &limits()).unwrap();
    assert_eq!(
        back.desired.app(&a()).unwrap().app.config.cmd.as_deref(),
        Some("one")
    );
    assert_eq!(back.plan.steps()[0][0].kind, Kind::Restart);

    let made = propose_one(
        &Desired::default(),
        become_(r#"{"id":"a","cmd":"one"}"#),
        1,
        Force::No,
    )
    .unwrap();
    let wishes = reverting(&made.desired, &made.desired.deployments[0]);
    assert_eq!(wishes, [(a(), Wish::Gone)]);
}

#[test]
fn an_update_that_asks_for_any_port_keeps_its_own() {
    let desired = with_a();
    let next = propose_one(&desired, become_(r#"{"id":"a","cmd":"two"}"#), 2, Force::No).unwrap();
    assert_eq!(
        next.desired.app(&a()).unwrap().app.config.service_ports(),
        [10_000]
    );
}

#[test]
fn reverting_removes_new_groups_unless_others_have_put_something_into_them() {
    let g = |path: &str| AppId::from_root(path);
    let made = propose_one(
        &Desired::default(),
        become_(r#"{"id":"/g/h/a","cmd":"one"}"#),
        1,
        Force::No,
    )
    .unwrap();
    let first = made.desired.deployments[0].clone();
    let alone = propose(
        &made.desired,
        reverting(&made.desired, &first),
        &occasion(2, Force::Yes),
        &limits(),
    );
    assert!(alone.unwrap().desired.groups.is_empty());

    let more = propose_one(
        &made.desired,
        become_(r#"{"id":"/g/b","cmd":"one"}"#),
        2,
        Force::No,
    )
    .unwrap();
    let back = propose(
        &more.desired,
        reverting(&more.desired, &first),
        &occasion(3, Force::Yes),
        &limits(),
    );
    let back = back.unwrap().desired;
    assert_eq!(back.groups.keys().collect::<Vec<_>>(), [&g("/g")]);
    assert_eq!(back.apps.keys().collect::<Vec<_>>(), [&g("/g/b")]);
}

#[test]
fn reverting_takes_back_its_own_dependencies_only() {
    let group = |needs: &[&str]| Group {
        dependencies: needs.iter().map(|n| AppId::from_root(n)).collect(),
    };
    let g = AppId::from_root("/g");
    let wish = |needs: &[&str]| (g.clone(), Wish::Group(group(needs)));
    let base = propose_one(&Desired::default(), wish(&["/old"]), 1, Force::No)
        .unwrap()
        .desired;
    let changes = vec![wish(&["/mine"]), become_(r#"{"id":"/g/a","cmd":"one"}"#)];
    let changed = propose(&base, changes, &occasion(2, Force::No), &limits())
        .unwrap()
        .desired;
    let deployment = changed.deployments[0].clone();
    let theirs = propose_one(&changed, wish(&["/mine", "/theirs"]), 3, Force::No)
        .unwrap()
        .desired;
    let wishes = reverting(&theirs, &deployment);
    let back = propose(&theirs, wishes, &occasion(4, Force::Yes), &limits())
        .unwrap()
        .desired;
    assert_eq!(back.groups[&g], group(&["/old", "/theirs"]));
}

#[test]
fn an_id_that_no_key_can_hold_is_refused() {
    let long = format!("/{}", vec!["abcdefgh"; 100].join("/"));
    let app = become_(&format!(r#"{{"id":"{long}","cmd":"one"}}"#));
    let group = (app.0.clone(), Wish::Group(Group::default()));
    for wish in [app, group] {
        let refused = propose_one(&Desired::default(), wish, 1, Force::No).unwrap_err();
        assert_eq!(refused.status(), 422, "{refused}");
    }
}
