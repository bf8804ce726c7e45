//! The scheduler dies, or loses its session, and comes back.

use crate::field::Field;
use serde_json::json;

#[tokio::test]
async fn another_life_of_the_scheduler_changes_nothing_and_knows_everything() {
    let mut f = Field::with_room(10).await;
    f.create("/g/a", 3).await;
    f.put("/v2/apps/g/a", &json!({"instances": 2})).await.good();
    f.quiet().await;
    let (tasks, started) = (f.task_ids("/g/a").await, f.pool.started());
    let versions = f.get("/v2/apps/g/a/versions").await;
    f.restart().await;
    f.quiet().await;
    assert_eq!(f.task_ids("/g/a").await, tasks);
    assert_eq!(f.get("/v2/apps/g/a/versions").await, versions);
    assert_eq!(f.pool.started(), started, "nothing was started twice");
}

#[tokio::test]
async fn what_happened_while_it_was_away_is_made_good() {
    let mut f = Field::with_room(10).await;
    f.create("/a", 2).await;
    f.create("/b", 1).await;
    f.stop().await;
    f.pool.crash("/a", 1);
    f.restart().await;
    f.until("both again", async || f.app("/a").await["tasksRunning"] == 2)
        .await;
    assert_eq!(f.pool.live().len(), 3);
    assert_eq!(f.app("/a").await["lastTaskFailure"]["message"], "exited with 1");
}

#[tokio::test]
async fn a_deployment_goes_on_after_a_crash_in_its_middle() {
    let mut f = Field::with_room(10).await;
    f.create("/a", 2).await;
    let old = f.task_ids("/a").await;
    f.pool.set_runs(false);
    let id = f.put("/v2/apps/a", &json!({"cmd": "sleep 5"})).await.good()["deploymentId"].clone();
    f.until("new ones are staged", async || {
        f.app("/a").await["tasksStaged"] == 2
    })
    .await;
    f.restart().await;
    assert_eq!(f.get("/v2/deployments").await[0]["id"], id);
    f.pool.set_runs(true);
    f.quiet().await;
    let new = f.task_ids("/a").await;
    assert!(new.len() == 2 && new.iter().all(|t| !old.contains(t)));
    assert_eq!(f.pool.started().len(), 4);
}

#[tokio::test]
async fn a_lost_session_is_opened_again_and_nothing_is_done_twice() {
    let f = Field::with_room(10).await;
    f.create("/a", 2).await;
    let started = f.pool.started();
    f.pool.cut();
    f.until("changes are taken again", async || {
        f.put("/v2/apps/a", &json!({"labels": {}, "instances": 2}))
            .await
            .status
            == 200
    })
    .await;
    f.create("/b", 1).await;
    assert_eq!(f.pool.started().len(), started.len() + 1);
}
