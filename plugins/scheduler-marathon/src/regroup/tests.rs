//! Requests on groups, over the pure modules.

use super::*;
use crate::change::{Declined, Force, Limits, Occasion, Proposal, propose};
use crate::request::app::parse_body;
use crate::request::group::read_group;
use crate::request::names::UnknownFields;
use crate::stamp::Stamp;

fn wanted_of(path: &str, text: &str) -> Result<Wanted, Refusal> {
    let fields = read_group(&parse_body(text.as_bytes())?, UnknownFields::Refuse)?;
    wanted(&AppId::from_root(path), fields)
}

fn proposal(desired: &Desired, ms: i64, wishes: Vec<(AppId, Wish)>) -> Result<Proposal, Refusal> {
    let occasion = Occasion {
        now: Stamp::from_ms(ms),
        deployment: format!("d{ms}"),
        force: Force::No,
    };
    let limits = Limits {
        service_ports: 10_000..20_000,
        deployments: 100,
        versions: 5,
    };
    propose(desired, wishes, &occasion, &limits).map_err(|declined| {
        let Declined { refusal, .. } = *declined;
        refusal
    })
}

/// What is wanted after a change whose deployment is over.
fn put(desired: &Desired, ms: i64, path: &str, text: &str) -> Result<Desired, Refusal> {
    let wishes = wishes(desired, wanted_of(path, text)?)?;
    let made = proposal(desired, ms, wishes)?.desired;
    Ok(Desired {
        deployments: Vec::new(),
        ..made
    })
}

fn shown(desired: &Desired) -> Vec<String> {
    let groups = desired
        .groups
        .iter()
        .map(|(id, g)| format!("{id} {:?}", g.dependencies));
    let apps = desired.apps.iter();
    let apps = apps.map(|(id, r)| format!("{id}={} {:?}", r.app.instances, r.app.config.dependencies));
    groups.chain(apps).collect()
}

const SHOP: &str = r#"{"id":"shop","dependencies":["../base"],"groups":[
    {"id":"back","apps":[{"id":"db","cmd":"xx"},{"id":"api","cmd":"xx","instances":3,"dependencies":["db"]}]},
    {"id":"/shop/front","dependencies":["../back"],"apps":[{"id":"/shop/front/web","cmd":"xx"}]}]}"#;

#[test]
fn ids_and_dependencies_are_meant_from_their_group() {
    let made = put(&Desired::default(), 1, "/", SHOP).unwrap();
    assert_eq!(
        shown(&made),
        [
            "/shop {/base}",
            "/shop/back {}",
            "/shop/front {/shop/back}",
            "/shop/back/api=3 {/shop/back/db}",
            "/shop/back/db=1 {}",
            "/shop/front/web=1 {}",
        ]
    );
}

#[test]
fn what_is_not_named_in_a_list_goes_and_a_list_that_is_not_there_changes_nothing() {
    let made = put(&Desired::default(), 1, "/", SHOP).unwrap();
    let less = put(&made, 2, "/shop", r#"{"groups":[{"id":"back"}]}"#).unwrap();
    assert_eq!(less.apps.len(), 2);
    assert!(!less.has_group(&AppId::from_root("/shop/front")));
    let other = r#"{"groups":[{"id":"back","apps":[{"id":"new","cmd":"xx"}]}]}"#;
    let other = put(&made, 2, "/shop", other).unwrap();
    assert_eq!(
        other.apps.keys().map(ToString::to_string).collect::<Vec<_>>(),
        ["/shop/back/new"]
    );
    let freed = put(&made, 2, "/shop", r#"{"dependencies":[]}"#).unwrap();
    assert_eq!(freed.apps, made.apps);
    assert!(freed.groups[&AppId::from_root("/shop")].dependencies.is_empty());
}

#[test]
fn members_lie_right_under_their_group_and_rules_say_where() {
    let cases = [
        (
            r#"{"id":"/g","apps":[{"id":"/h/a","cmd":"xx"}]}"#,
            "/apps(0)/id",
            "Identifier is not child of /g. Hint: use relative paths.",
        ),
        (
            r#"{"id":"/g","groups":[{"id":"i"},{"id":"h","apps":[{"id":"b","cmd":"xx"},{"id":"x/a","cmd":"xx"}]}]}"#,
            "/groups(1)/apps(1)/id",
            "Identifier is not child of /g/h. Hint: use relative paths.",
        ),
        (
            r#"{"id":"/g","groups":[{"id":"/h"}]}"#,
            "/groups(0)/id",
            "Identifier is not child of /g. Hint: use relative paths.",
        ),
        (
            r#"{"id":"/g/versions"}"#,
            "/id",
            "must not end with any of the following reserved keywords: restart, tasks, versions",
        ),
        (
            r#"{"id":"/g","scaleBy":2}"#,
            "/scaleBy",
            "not allowed in conjunction with other properties.",
        ),
        (
            r#"{"version":"2020-01-01T00:00:00.000Z","apps":[]}"#,
            "/version",
            "not allowed in conjunction with other properties.",
        ),
    ];
    for (text, path, error) in cases {
        let refused = wanted_of("/", text).expect_err(text);
        assert_eq!(refused, Refusal::Rules(vec![Detail::new(path, error)]), "{text}");
    }
    let own = wanted_of("/", r#"{"id":"/g","apps":[{"id":"a"}]}"#).unwrap_err();
    let Refusal::Rules(details) = own else {
        panic!("{own}")
    };
    assert_eq!(
        details[0].path, "/",
        "an app's own rules are told without its place"
    );
}

#[test]
fn circles_and_names_used_twice_are_refused() {
    let rules = |error: &str| Err(Refusal::Rules(vec![Detail::new("/", error)]));
    let circle = r#"{"id":"g","dependencies":["a"],"apps":[{"id":"a","cmd":"xx"}]}"#;
    assert_eq!(
        put(&Desired::default(), 1, "/", circle),
        rules("Dependency graph has cyclic dependencies.")
    );
    let made = put(&Desired::default(), 1, "/", SHOP).unwrap();
    let twice = rules("Groups and Applications may not have the same identifier.");
    for text in [
        r#"{"id":"/shop/back/db/inner"}"#,
        r#"{"id":"/shop/back/db"}"#,
        r#"{"id":"/new","apps":[{"id":"x","cmd":"xx"}],"groups":[{"id":"x"}]}"#,
    ] {
        assert_eq!(put(&made, 2, "/", text), twice, "{text}");
    }
    let swapped = r#"{"apps":[{"id":"back","cmd":"xx"}],"groups":[]}"#;
    let swapped = put(&made, 2, "/shop", swapped).unwrap();
    assert_eq!(
        shown(&swapped),
        ["/shop {/base}", "/shop/back=1 {}"],
        "a name may change its kind"
    );
}

#[test]
fn a_group_is_scaled_with_all_below_it_and_rounded_up() {
    let made = put(&Desired::default(), 1, "/", SHOP).unwrap();
    let count = |d: &Desired, id: &str| d.app(&AppId::from_root(id)).unwrap().app.instances;
    let more = put(&made, 2, "/shop", r#"{"scaleBy":1.5}"#).unwrap();
    assert_eq!(
        (count(&more, "/shop/back/api"), count(&more, "/shop/front/web")),
        (5, 2)
    );
    let none = put(&more, 3, "/", r#"{"scaleBy":0}"#).unwrap();
    assert_eq!(count(&none, "/shop/back/api"), 0);
    let many = put(&more, 3, "/", r#"{"scaleBy":1e9}"#).unwrap_err();
    assert_eq!(many.status(), 422, "{many}");
    let made = put(&Desired::default(), 1, "/new", r#"{"scaleBy":2}"#).unwrap();
    assert!(
        made.has_group(&AppId::from_root("/new")),
        "one that is not there is made"
    );
}

#[test]
fn a_group_goes_back_to_any_version_that_is_kept() {
    let first = put(&Desired::default(), 1, "/", SHOP).unwrap();
    let grown = put(&first, 2, "/other", r#"{"apps":[{"id":"a","cmd":"xx"}]}"#).unwrap();
    let wishes = removed(&grown, &AppId::from_root("/shop")).unwrap();
    let gone = Desired {
        deployments: Vec::new(),
        ..proposal(&grown, 3, wishes).unwrap().desired
    };
    assert_eq!(shown(&gone), ["/other {}", "/other/a=1 {}"]);
    let ms = |versions: Vec<Stamp>| versions.iter().map(|v| v.ms()).collect::<Vec<_>>();
    assert_eq!(ms(gone.versions_of(&AppId::from_root("/shop"))), [2, 1]);
    assert_eq!(ms(gone.versions_of(&AppId::default())), [3, 2, 1]);
    let version = Stamp::from_ms(1);
    let back = put(&gone, 4, "/shop", &format!(r#"{{"version":"{version}"}}"#)).unwrap();
    let mut expected = shown(&first);
    expected.splice(0..0, ["/other {}".to_owned()]);
    expected.insert(4, "/other/a=1 {}".to_owned());
    assert_eq!(shown(&back), expected);
    let unknown = put(&gone, 4, "/shop", r#"{"version":"2020-01-01T00:00:00.000Z"}"#);
    let text = "Group /shop not available in version 2020-01-01T00:00:00.000Z";
    assert_eq!(unknown, Err(Refusal::Argument(text.to_owned())));
    assert_eq!(unknown.unwrap_err().status(), 422);
}

#[test]
fn only_the_newest_versions_are_kept() {
    let mut desired = Desired::default();
    for n in 1..=9 {
        desired = put(&desired, n, &format!("/g{n}"), "{}").unwrap();
    }
    let kept: Vec<_> = desired
        .versions_of(&AppId::default())
        .iter()
        .map(|v| v.ms())
        .collect();
    assert_eq!(kept, [9, 8, 7, 6, 5]);
    let there = |tree: crate::past::Tree| tree.groups.len();
    assert_eq!(desired.tree_at(Stamp::from_ms(5)).map(there), Some(5));
    assert_eq!(desired.tree_at(Stamp::from_ms(4)), None);
}

#[test]
fn what_is_not_there_cannot_be_removed_and_the_root_only_emptied() {
    let none = AppId::from_root("/none");
    assert_eq!(removed(&Desired::default(), &none), Err(Refusal::NoGroup(none)));
    let made = put(&Desired::default(), 1, "/", SHOP).unwrap();
    let wishes = removed(&made, &AppId::default()).unwrap();
    let empty = proposal(&made, 2, wishes).unwrap();
    assert!(shown(&empty.desired).is_empty());
    assert!(removed(&empty.desired, &AppId::default()).unwrap().is_empty());
    let steps: Vec<Vec<String>> = empty
        .plan
        .steps()
        .iter()
        .map(|step| step.iter().map(|a| format!("{:?} {}", a.kind, a.app)).collect())
        .collect();
    assert_eq!(
        steps,
        [
            ["Stop /shop/front/web"],
            ["Stop /shop/back/api"],
            ["Stop /shop/back/db"]
        ],
        "what others need stops after them"
    );
}

#[test]
fn a_group_sent_back_as_it_is_changes_nothing() {
    let made = put(&Desired::default(), 1, "/", SHOP).unwrap();
    let again = wishes(&made, wanted_of("/", SHOP).unwrap()).unwrap();
    let again = proposal(&made, 2, again).unwrap();
    assert!(again.plan.is_empty());
    assert_eq!(again.desired, made);
}
