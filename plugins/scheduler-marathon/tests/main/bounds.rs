//! What runs on the machines at every moment of a deployment: never fewer than the upgrade strategy wants, never
//! more than it allows, and nothing before what it needs.

use crate::cluster::Cluster;
use plenum_testkit::machine::Temper;
use std::collections::BTreeMap;

/// The names of the matrix's apps, with the fewest and the most that may run.
fn matrix() -> BTreeMap<String, (u32, f64, f64)> {
    let mut apps = BTreeMap::new();
    for count in 1..=4_u32 {
        for (h, health) in [0.0, 0.5, 1.0].into_iter().enumerate() {
            for (o, over) in [0.0, 0.5, 1.0].into_iter().enumerate() {
                apps.insert(format!("/m/n{count}-h{h}-o{o}"), (count, health, over));
            }
        }
    }
    apps
}

/// Marathon's own formula.
fn bounds(count: u32, health: f64, over: f64) -> (usize, usize) {
    let n = f64::from(count);
    let (least, most) = ((n * health).ceil(), (n * (1.0 + over)).floor());
    let most = if least == most { most + 1.0 } else { most };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // small and whole
    (least as usize, most as usize)
}

fn deploy(cluster: &mut Cluster, version: u32) {
    let app = |(id, (count, health, over)): (String, (u32, f64, f64))| {
        format!(
            r#"{{"id":"{id}","cmd":"serve {version}","cpus":0.1,"mem":16,"instances":{count},
                "upgradeStrategy":{{"minimumHealthCapacity":{health},"maximumOverCapacity":{over}}}}}"#
        )
    };
    let apps: Vec<String> = matrix().into_iter().map(app).collect();
    cluster
        .group("/m", &format!(r#"{{"apps":[{}]}}"#, apps.join(",")))
        .unwrap();
}

#[test]
fn a_rolling_restart_keeps_within_the_bounds_of_its_upgrade_strategy_at_every_moment() {
    for seed in 1..=2 {
        let mut cluster = Cluster::new(seed, 6, Temper::default());
        deploy(&mut cluster, 1);
        cluster.settle(seed);
        let before: Vec<_> = cluster.sim.running().map(|(_, c)| c.task).collect();
        for version in [2, 3] {
            deploy(&mut cluster, version);
            let mut moments = 0;
            while !cluster.desk.desired().deployments.is_empty() {
                moments += 1;
                assert!(moments < 20_000, "seed {seed}: {:?}", cluster.running());
                cluster.pass(25);
                let running = cluster.running();
                for (id, (count, health, over)) in matrix() {
                    let (least, most) = bounds(count, health, over);
                    let now = running.get(&id).copied().unwrap_or(0);
                    assert!(
                        (least..=most).contains(&now),
                        "seed {seed}: {id} has {now} of {least}..={most}"
                    );
                }
            }
            assert!(moments > 3, "there was something to see");
        }
        cluster.settle(seed);
        assert!(
            cluster.sim.running().all(|(_, c)| !before.contains(&c.task)),
            "all are new"
        );
    }
}

#[test]
fn nothing_runs_before_what_it_needs_and_nothing_outlives_what_needs_it() {
    let app = |id: &str, count: u32, needs: &str| {
        format!(
            r#"{{"id":"{id}","cmd":"serve","cpus":0.1,"mem":16,"instances":{count},"dependencies":[{needs}]}}"#
        )
    };
    let back = format!(
        r#"{{"id":"back","apps":[{},{}]}}"#,
        app("db", 2, ""),
        app("api", 3, r#""db""#)
    );
    let front = format!(
        r#"{{"id":"front","dependencies":["../back"],"apps":[{}]}}"#,
        app("web", 2, "")
    );
    for seed in 1..=10 {
        let mut cluster = Cluster::new(seed, 4, Temper::default());
        cluster
            .group("/s", &format!(r#"{{"groups":[{front},{back}]}}"#))
            .unwrap();
        let order = |cluster: &Cluster| {
            let running = cluster.running();
            let of = |id: &str| running.get(id).copied().unwrap_or(0);
            [of("/s/back/db"), of("/s/back/api"), of("/s/front/web")]
        };
        let mut moments = 0;
        while !cluster.desk.desired().deployments.is_empty() {
            cluster.pass(25);
            let [db, api, web] = order(&cluster);
            assert!(api == 0 || db == 2, "seed {seed}: {db} {api} {web}");
            assert!(web == 0 || api == 3, "seed {seed}: {db} {api} {web}");
            moments += 1;
            assert!(moments < 20_000, "seed {seed}: {db} {api} {web}");
        }
        assert_eq!(order(&cluster), [2, 3, 2]);
        cluster.remove_group("/s").unwrap();
        while !cluster.desk.desired().deployments.is_empty() {
            cluster.pass(25);
            let [db, api, web] = order(&cluster);
            assert!(web == 0 || (api == 3 && db == 2), "seed {seed}: {db} {api} {web}");
            assert!(api == 0 || db == 2, "seed {seed}: {db} {api} {web}");
            moments += 1;
            assert!(moments < 40_000, "seed {seed}: {db} {api} {web}");
        }
    }
}
