//! Nodes, tasks, workloads, schedulers, tenants.

use crate::fake::{State, refusal, refused, serve, some, task, waiting};
use plenum_client::TaskQuery;
use plenum_client::v1::amounts::Amounts;
use plenum_client::v1::node::TaintRequest;
use plenum_client::v1::tenant::TenantSettings;
use plenum_contract::pool::Suppose;
use plenum_model::code;
use plenum_model::node::{Liveness, Scheduling};
use plenum_model::phase::Phase;
use plenum_model::task::{Exit, ExitReason};
use std::sync::Arc;

#[tokio::test]
async fn a_node_is_shown_with_what_is_free_and_can_be_closed() {
    let server = serve(some()).await;
    let names: Vec<String> = server
        .client
        .nodes()
        .await
        .unwrap()
        .into_iter()
        .map(|n| n.name)
        .collect();
    assert_eq!(names, ["n1", "n2"]);
    let n1 = server.client.node("n1").await.unwrap();
    assert_eq!(
        (n1.free.cpu_millis, n1.free.slots, n1.zone.as_deref()),
        (3_000, 99, Some("a"))
    );
    assert_eq!(
        server.client.cordon("n1").await.unwrap().scheduling,
        Scheduling::Cordoned
    );
    assert_eq!(
        server.client.drain("n1").await.unwrap().scheduling,
        Scheduling::Draining
    );
    assert_eq!(
        server.client.uncordon("n1").await.unwrap().scheduling,
        Scheduling::Open
    );
    assert_eq!(
        refusal(server.client.cordon("n9").await),
        refused(404, code::NOT_FOUND, "")
    );
    assert_eq!(
        refusal(server.client.node("a b").await),
        refused(400, code::INVALID, "node")
    );
}

#[tokio::test]
async fn taints_are_set_and_taken_away_by_key_and_effect() {
    let server = serve(some()).await;
    let change = |set: &[&str], remove: &[&str]| TaintRequest {
        set: set.iter().map(|t| (*t).to_owned()).collect(),
        remove: remove.iter().map(|t| (*t).to_owned()).collect(),
    };
    let both = change(&["gpu=a100:NoSchedule", "gpu:NoExecute"], &[]);
    let node = server.client.taint("n1", &both).await.unwrap();
    let shown: Vec<_> = node
        .taints
        .iter()
        .map(|t| (t.value.as_str(), t.effect.as_str(), t.configured))
        .collect();
    assert_eq!(shown, [("a100", "NoSchedule", false), ("", "NoExecute", false)]);
    let node = server
        .client
        .taint("n1", &change(&[], &["gpu:NoExecute"]))
        .await
        .unwrap();
    assert_eq!(node.taints.len(), 1);
    let node = server.client.taint("n1", &change(&[], &["gpu"])).await.unwrap();
    assert_eq!(node.taints, []);
    let never = server.client.taint("n1", &change(&["a:Never"], &[])).await;
    assert_eq!(refusal(never), refused(400, code::INVALID, "set"));
    let never = server.client.taint("n1", &change(&[], &["a:Never"])).await;
    assert_eq!(refusal(never), refused(400, code::INVALID, "remove"));
    let nowhere = server.client.taint("n9", &change(&[], &["a"])).await;
    assert_eq!(refusal(nowhere), refused(404, code::NOT_FOUND, ""));
}

#[tokio::test]
async fn only_a_node_that_is_gone_is_removed() {
    let server = serve(some()).await;
    assert_eq!(
        refusal(server.client.remove_node("n1").await),
        refused(409, code::CONFLICT, "")
    );
    server.pool.state.lock().unwrap().nodes[0].liveness = Liveness::Unreachable;
    server.client.remove_node("n1").await.unwrap();
    assert_eq!(server.pool.state.lock().unwrap().removed.len(), 1);
}

#[tokio::test]
async fn tasks_come_page_by_page_and_filtered() {
    let tasks = (0..25).map(|slot| task("web", slot, 0)).collect();
    let server = serve(State {
        tasks,
        ..State::default()
    })
    .await;
    let query = TaskQuery {
        limit: Some(10),
        ..TaskQuery::default()
    };
    let page = server.client.tasks_page(&query).await.unwrap();
    assert_eq!(page.items.len(), 10);
    assert_eq!(page.next.as_deref(), page.items.last().map(|t| t.id.as_str()));
    assert_eq!(server.client.tasks(&query).await.unwrap().len(), 25);
    let none = TaskQuery {
        workload: Some("other".into()),
        ..TaskQuery::default()
    };
    assert!(server.client.tasks(&none).await.unwrap().is_empty());
    let bad = TaskQuery {
        limit: Some(5_001),
        ..TaskQuery::default()
    };
    assert_eq!(
        refusal(server.client.tasks(&bad).await),
        refused(400, code::INVALID, "limit")
    );
    let bad = TaskQuery {
        node: Some("a b".into()),
        ..TaskQuery::default()
    };
    assert_eq!(
        refusal(server.client.tasks(&bad).await),
        refused(400, code::INVALID, "node")
    );
    let url = format!("{}/v1/tasks?colour=red", server.address);
    let text = reqwest::get(url).await.unwrap().text().await.unwrap();
    assert!(text.contains("colour"), "an unknown parameter is named: {text}");
}

#[tokio::test]
async fn a_task_is_found_by_every_name_it_has() {
    let server = serve(some()).await;
    let wanted = task("web", 1, 0);
    let id = wanted.id().to_string();
    for reference in [
        id.as_str(),
        &id[..12],
        "web.instance-1-0",
        "marathon/web.instance-1-0",
        "web.instance-1",
        "web.1",
        "marathon/web.1",
        "/web.1",
    ] {
        let found = server.client.task(reference).await;
        assert_eq!(
            found.map(|t| t.id).map_err(|e| e.to_string()),
            Ok(id.clone()),
            "{reference}"
        );
    }
    assert_eq!(
        refusal(server.client.task("we").await),
        refused(409, code::AMBIGUOUS, "task")
    );
    assert_eq!(
        refusal(server.client.task("swarm/web.1").await),
        refused(404, code::NOT_FOUND, "task")
    );
    let unknown = "0".repeat(32);
    assert_eq!(
        refusal(server.client.task(&unknown).await),
        refused(404, code::NOT_FOUND, "")
    );
}

#[tokio::test]
async fn of_several_attempts_the_one_that_runs_is_meant_and_else_the_newest() {
    let mut attempts: Vec<_> = (0..3).map(|attempt| task("web", 0, attempt)).collect();
    for t in &mut attempts[..2] {
        t.status.progress.phase = Phase::Failed;
    }
    let server = serve(State {
        tasks: attempts.clone(),
        ..State::default()
    })
    .await;
    assert_eq!(
        server.client.task("web.0").await.unwrap().id,
        attempts[2].id().to_string()
    );
    server.pool.state.lock().unwrap().tasks.pop();
    assert_eq!(
        server.client.task("web.0").await.unwrap().id,
        attempts[1].id().to_string()
    );
}

#[tokio::test]
async fn a_stop_carries_its_grace() {
    let server = serve(some()).await;
    server.client.stop_task("web.1", Some(500)).await.unwrap();
    server.client.stop_task("web.1", None).await.unwrap();
    let id = task("web", 1, 0).id();
    assert_eq!(
        server.pool.state.lock().unwrap().stopped,
        [(id, Some(500)), (id, None)]
    );
}

#[tokio::test]
async fn why_explains_a_node_and_a_tenant() {
    let server = serve(some()).await;
    let node = server.client.why_node("n1").await.unwrap();
    assert_eq!((node.waiting, node.waits_for_it), (3, 1));
    assert_eq!(
        (node.refuses[0].cause.as_str(), node.refuses[0].tasks),
        ("short of memory", 2)
    );
    assert_eq!(node.kept[0].task.name, "api.1");
    let settings = TenantSettings::default();
    server.client.set_tenant("web/a", &settings).await.unwrap();
    let tenant = server.client.why_tenant("web/a").await.unwrap();
    assert_eq!((tenant.share_per_mille, tenant.within_guarantee), (125, true));
    assert_eq!(tenant.waits[0].blocks.text, "its room on n1 is not free yet");
    assert_eq!(
        refusal(server.client.why_node("n9").await),
        refused(404, code::NOT_FOUND, "")
    );
    assert_eq!(
        refusal(server.client.why_tenant("no/one").await),
        refused(404, code::NOT_FOUND, "")
    );
}

#[tokio::test]
async fn why_explains_a_task_and_for_a_workload_the_task_that_waits() {
    let mut state = some();
    state.tasks.push(waiting("web", 7));
    let server = serve(state).await;
    let why = server.client.why("web").await.unwrap();
    assert_eq!(
        why.task.slot, 7,
        "the one that waits, although others start with that name"
    );
    assert_eq!(why.verdict, "pending: 1 node: 1 short of memory");
    assert_eq!(why.ahead.tasks, 2);
    assert_eq!(
        why.ahead.because.as_deref(),
        Some("its tenant has the smaller share")
    );
    assert_eq!(why.blocks.unwrap().kind, "nodes");
    assert_eq!(why.fix.as_deref(), Some("open node n2 (plenum node uncordon n2)"));
    let change = serde_json::to_value(&why.change).unwrap();
    assert_eq!(change, serde_json::json!({"change": "open_node", "node": "n2"}));
    assert_eq!(why.nodes[0].cause.as_deref(), Some("short of memory"));
    assert_eq!(server.client.why("marathon/web").await.unwrap().task.slot, 7);
    let why = server.client.why("web.1").await.unwrap();
    assert_eq!((why.verdict.as_str(), why.why), ("running: on n1", None));
}

#[tokio::test]
async fn workloads_show_what_is_ready_and_the_first_cause() {
    let mut state = some();
    let mut failed = task("job", 0, 0);
    failed.status.progress.phase = Phase::Failed;
    failed.status.exit = Some(Exit {
        code: Some(3),
        signal: None,
        reason: ExitReason::Exited,
        message: String::new(),
    });
    let mut gone = task("gone", 0, 0);
    gone.status.progress.phase = Phase::Stopped;
    gone.released = true;
    state.tasks.extend([failed, gone]);
    state.tasks[0].status.ready = Some(false);
    for uid in ["p1", "p2"] {
        let mut pod = task(uid, 0, 0);
        Arc::make_mut(&mut pod.terms).workload.name = "prod/api".into();
        state.tasks.push(pod);
    }
    let server = serve(state).await;
    let all = server.client.workloads().await.unwrap();
    let lines: Vec<String> = all
        .iter()
        .map(|w| {
            format!(
                "{} {}/{} {}",
                w.id,
                w.ready,
                w.wanted,
                w.problem.as_deref().unwrap_or("-")
            )
        })
        .collect();
    assert_eq!(
        lines,
        [
            "marathon/big 0/1 1 node: 1 short of memory",
            "marathon/job 0/1 exited with code 3",
            "marathon/web 1/2 its checks fail",
            "marathon/prod/api 2/2 -",
        ]
    );
    assert_eq!(all[2].held.cpu_millis, 1_000);
    assert_eq!(all[0].held.cpu_millis, 0, "what waits holds nothing");
    let one = server.client.task("prod/p2.instance").await.unwrap();
    assert_eq!(one.workload.uid, "p2", "a name may have its folder in front");
}

#[tokio::test]
async fn schedulers_have_their_share_of_the_pool() {
    let server = serve(some()).await;
    let [marathon] = server.client.schedulers().await.unwrap().try_into().unwrap();
    assert_eq!(
        (marathon.name.as_str(), marathon.state.as_str(), marathon.tasks),
        ("marathon", "ready", 3)
    );
    assert!(
        (marathon.share - 0.125).abs() < 1e-9,
        "1 of 8 cpu: {}",
        marathon.share
    );
}

#[tokio::test]
async fn a_tenant_is_set_and_read_back() {
    let server = serve(some()).await;
    let settings = TenantSettings {
        weight: 3,
        guarantee: Amounts {
            cpu_millis: 2_000,
            ..Amounts::default()
        },
        limit: Amounts::default(),
    };
    let set = server.client.set_tenant("web/checkout", &settings).await.unwrap();
    assert_eq!(
        (set.path.as_str(), set.weight, set.guarantee.cpu_millis),
        ("web/checkout", 3, 2_000)
    );
    assert_eq!(server.client.tenant("web/checkout").await.unwrap(), set);
    assert_eq!(server.client.tenants().await.unwrap().len(), 1);
    let zero = TenantSettings {
        weight: 0,
        ..settings.clone()
    };
    assert_eq!(
        refusal(server.client.set_tenant("a", &zero).await),
        refused(400, code::INVALID, "weight")
    );
    let mut much = settings;
    much.guarantee.cpu_millis = 2_000_000;
    assert_eq!(
        refusal(server.client.set_tenant("a", &much).await),
        refused(400, code::INVALID, "guarantee.cpu_millis")
    );
    assert_eq!(
        refusal(server.client.tenant("b").await),
        refused(404, code::NOT_FOUND, "path")
    );
    let response = reqwest::Client::new()
        .put(format!("{}/v1/tenants/a", server.address))
        .header("content-type", "application/json")
        .body(r#"{"limit": {"cpu_mills": 1}}"#);
    let text = response.send().await.unwrap().text().await.unwrap();
    assert!(text.contains("cpu_mills"), "an unknown field is named: {text}");
}

#[tokio::test]
async fn what_is_supposed_is_told_to_the_pool_in_full() {
    let server = serve(some()).await;
    let settings = TenantSettings {
        weight: 3,
        ..TenantSettings::default()
    };
    server.client.set_tenant("web", &settings).await.unwrap();
    let request = serde_json::json!({
        "lose_nodes": ["n1"],
        "tenants": [{"path": "web", "limit": {"cpu_millis": 5_000}}],
        "claims": [{"name": "x", "count": 2, "charge": {"cpu_millis": 500}, "ports": [80],
            "rules": {"required": [[{"key": "rack", "op": "in", "values": ["a"]}]]}}],
    });
    let request = serde_json::from_value(request).unwrap();
    let simulation = server.client.simulate(&request).await.unwrap();
    assert_eq!(simulation.ended[0].reason, "preempted");
    assert_eq!(
        (simulation.placed[0].node.as_str(), simulation.waiting),
        ("n2", 4)
    );
    let supposed = server.pool.state.lock().unwrap().supposed.clone();
    let [
        Suppose::LoseNode(node),
        Suppose::SetTenant(tenant),
        Suppose::Claim { terms, spec, count },
    ] = &supposed[..]
    else {
        panic!("{supposed:?}")
    };
    assert_eq!(node.as_str(), "n1");
    assert_eq!(
        (tenant.weight, tenant.limit.cpu_millis),
        (3, 5_000),
        "what is left out stays"
    );
    assert_eq!(
        (*count, terms.charge.slots, terms.tenant.as_str()),
        (2, 1, "default")
    );
    assert_eq!((terms.rules.required.len(), terms.ports.len()), (1, 1));
    assert_eq!(spec.containers[0].runtime, "process");
}
