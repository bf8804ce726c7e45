//! Bad days by seed, up to a hundred nodes: everything dies now and then while users change their minds.

use crate::cluster::Cluster;
use plenum_testkit::machine::Temper;
use plenum_testkit::rng::Rng;
use scheduler_marathon::change::Wish;

fn bad_day() -> Temper {
    Temper {
        flaky: 20,
        ..Temper::default()
    }
}

fn storm(seed: u64, nodes: usize, apps: u32, faults: u64) {
    let mut cluster = Cluster::new(seed, nodes, bad_day());
    let mut chance = Rng::new(seed);
    for i in 0..apps {
        cluster.app(&format!("/a{i}"), 1, 10);
    }
    for _ in 0..faults {
        let pause = chance.between(100, 2_000);
        cluster.pass(pause);
        cluster.sim.misfortune();
        if chance.below(5) == 0 {
            let id = format!("/a{}", chance.below(u64::from(apps)));
            let version = u32::try_from(chance.below(3)).unwrap();
            let instances = u32::try_from(chance.between(1, 15)).unwrap();
            cluster.app(&id, version, instances);
        }
    }
    cluster.settle(seed);
    for i in 0..apps {
        cluster.wish(&format!("/a{i}"), Wish::Gone);
    }
    cluster.settle(seed);
    cluster.pass(5_000);
    assert_eq!(
        cluster.sim.task_count(),
        Some(0),
        "seed {seed}: nothing is left of apps that are gone"
    );
}

#[test]
fn apps_are_as_wanted_after_small_storms() {
    (1..=20).for_each(|seed| storm(seed, 5, 3, 25));
}

#[test]
fn a_hundred_nodes_are_as_wanted_after_a_bad_day() {
    storm(42, 100, 12, 120);
}

/// A group of three layers: `web` needs all of `back`, where `api` needs `db`.
fn layered(version: u64, instances: u64) -> String {
    let app = |id: &str, needs: &str| {
        format!(
            r#"{{"id":"{id}","cmd":"serve {version}","cpus":0.1,"mem":16,"instances":{instances},"dependencies":[{needs}]}}"#
        )
    };
    let (db, api, web) = (app("db", ""), app("api", r#""db""#), app("web", ""));
    format!(
        r#"{{"groups":[{{"id":"back","apps":[{db},{api}]}},{{"id":"front","dependencies":["../back"],"apps":[{web}]}}]}}"#
    )
}

/// A user does something to a group, whatever is under way.
fn regroup(cluster: &mut Cluster, chance: &mut Rng, group: &str) {
    let (version, instances) = (chance.below(3), chance.below(6));
    let change = match chance.below(6) {
        0 => format!(
            r#"{{"scaleBy":{}}}"#,
            ["0.5", "1.5", "2"][usize::try_from(chance.below(3)).unwrap()]
        ),
        1 => {
            let desired = cluster.desk.desired();
            let versions = desired.versions_of(&scheduler_marathon::path::AppId::from_root(group));
            let count = u64::try_from(versions.len()).unwrap();
            match count {
                0 => return,
                _ => format!(
                    r#"{{"version":"{}"}}"#,
                    versions[usize::try_from(chance.below(count)).unwrap()]
                ),
            }
        }
        2 => {
            // it may be gone already
            let _ = cluster.remove_group(group);
            return;
        }
        3 => r#"{"groups":[]}"#.to_owned(),
        _ => layered(version, instances),
    };
    cluster.group(group, &change).unwrap();
}

fn group_storm(seed: u64, nodes: usize, groups: u64, faults: u64) {
    let mut cluster = Cluster::new(seed, nodes, bad_day());
    let mut chance = Rng::new(seed);
    for i in 0..groups {
        cluster.group(&format!("/g{i}"), &layered(1, 3)).unwrap();
    }
    for _ in 0..faults {
        let pause = chance.between(100, 3_000);
        cluster.pass(pause);
        cluster.sim.misfortune();
        if chance.below(4) == 0 {
            let group = format!("/g{}", chance.below(groups));
            regroup(&mut cluster, &mut chance, &group);
        }
    }
    cluster.settle(seed);
    cluster.remove_group("/").unwrap();
    cluster.settle(seed);
    cluster.pass(5_000);
    assert_eq!(
        cluster.sim.task_count(),
        Some(0),
        "seed {seed}: nothing is left of groups that are gone"
    );
}

#[test]
fn groups_are_as_wanted_after_small_storms() {
    (1..=15).for_each(|seed| group_storm(seed, 5, 2, 25));
}

#[test]
fn many_groups_are_as_wanted_after_a_bad_day() {
    group_storm(42, 60, 10, 100);
}
