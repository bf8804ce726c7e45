//! What the lists print.

use crate::fake::{serve, some};
use serde_json::Value;

async fn prints(line: &str, expected: &str) {
    let server = serve(some()).await;
    let ran = server.run(line).await;
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{line}: {ran:?}");
    assert_eq!(ran.out, expected, "{line}:\n{}", ran.out);
}

#[tokio::test]
async fn ps_prints_workloads_with_their_first_problem() {
    prints(
        "ps",
        "\
WORKLOAD  SCHEDULER  KIND  READY  VERSION  TENANT  AGE  PROBLEM
big       marathon   app     0/1  v1       web      5m  2 nodes: 1 short of memory, 1 cordoned
web       marathon   app     2/2  v1       web      5m  -
",
    )
    .await;
    prints("ps -q", "marathon/big\nmarathon/web\n").await;
    prints("ps -o name --no-headers", "marathon/big\nmarathon/web\n").await;
}

#[tokio::test]
async fn tasks_come_from_all_pages_in_the_order_of_their_names() {
    prints(
        "task list",
        "\
TASK   WORKLOAD  NODE  STATE    HEALTH  CPU      MEM  RESTARTS  AGE
big.0  big       -     pending  -         4    8 GiB         0   5m
web.0  web       n1    running  ok      0.5  128 MiB         0   5m
web.1  web       n1    running  ok      0.5  128 MiB         0   5m
",
    )
    .await;
    prints(
        "task list --sort-by cpu --no-headers -o wide",
        "\
web.0  web  n1  running  ok  0.5  128 MiB  0  5m  marathon  web  31000:80/tcp  00000000000000000000000000000003  -
web.1  web  n1  running  ok  0.5  128 MiB  0  5m  marathon  web  31000:80/tcp  00000000000000000000000000000013  -
big.0  big  -   pending  -     4    8 GiB  0  5m  marathon  web  31000:80/tcp  00000000000000000000000000000003  -
",
    )
    .await;
}

#[tokio::test]
async fn nodes_schedulers_tenants_and_events_have_their_tables() {
    prints(
        "node list",
        "\
NODE  STATE  ZONE  TASKS       CPU HELD/ALL   MEM HELD/ALL  GPU  AGENT  AGE
n1    ready  -     marathon 2           1/4  256 MiB/8 GiB    2  0.1.0   5m
n2    ready  -     marathon 2           1/4  256 MiB/8 GiB    2  0.1.0   5m
",
    )
    .await;
    prints(
        "scheduler list",
        "\
SCHEDULER  KIND      STATE  TASKS  PENDING  CPU HELD/ASKED   MEM HELD/ASKED   SHARE
marathon   marathon  ready      3        1           1 / 5  256 MiB / 8 GiB  31.2 %
",
    )
    .await;
    prints(
        "tenant list",
        "\
TENANT  WEIGHT  TASKS  USED            GUARANTEE  LIMIT  PENDING
web          1      2  1 cpu, 256 MiB  2 cpu      -      -
",
    )
    .await;
    prints(
        "tenant tree",
        "\
TENANT  WEIGHT  GUARANTEE  USED            BORROWED  LENT   LIMIT  PENDING  STARVED
web          1  2 cpu      1 cpu, 256 MiB  256 MiB   1 cpu  -      -        -
",
    )
    .await;
    prints(
        "tenant usage",
        "\
TENANT  RESOURCE     USED  GUARANTEE  LIMIT  PENDING  OF POOL
web     cpu             1          2      -        -   12.5 %
web     memory    256 MiB          -      -        -    1.6 %
web     slot            1          1      -        -    0.5 %
",
    )
    .await;
    prints(
        "events",
        "\
TIME                  TYPE         OBJECT  NODE  ACTOR   MESSAGE
2026-01-02T03:04:05Z  task.placed  web.0   n1    broker  on n1 [2J
",
    )
    .await;
}

#[tokio::test]
async fn json_and_yaml_have_a_version_and_all_there_is() {
    let server = serve(some()).await;
    let ran = server.run("scheduler list -o json").await;
    let expected = r#"{
  "version": "v1",
  "kind": "schedulers",
  "items": [
    {
      "name": "marathon",
      "kind": "marathon",
      "state": "ready",
      "tasks": 3,
      "pending": 1,
      "held": {
        "cpu_millis": 1000,
        "memory_bytes": 268435456,
        "disk_bytes": 0,
        "slots": 1
      },
      "asked": {
        "cpu_millis": 5000,
        "memory_bytes": 8589934592,
        "disk_bytes": 0,
        "slots": 1
      },
      "share": 0.3125
    }
  ]
}
"#;
    assert_eq!(ran.out, expected);
    let ran = server.run("task show web.0 -o json").await;
    let task: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        (&task["kind"], &task["item"]["state"]),
        (&"task".into(), &"running".into())
    );
    let ran = server.run("tenant list -o yaml").await;
    assert!(
        ran.out
            .starts_with("version: v1\nkind: tenants\nitems:\n- path: web\n  weight: 1\n"),
        "{}",
        ran.out
    );
    let ran = server.run("events -o json").await;
    let events: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(events["items"][0]["cursor"], 42);
}

#[tokio::test]
async fn why_says_what_blocks_and_what_would_help() {
    prints(
        "why big.0",
        "\
big.0  pending 5m   wants 4 cpu, 8 GiB   tenant web (guarantee 2 cpu, using 1 cpu, 256 MiB, borrowing 256 MiB)
  limit      none is reached
  nodes      0 of 2 could hold it now: 1 cordoned, 1 short of memory    <- blocks
             n1: cordoned
             n2: short of memory (wants 8 GiB, 1 GiB free)
  ahead      2 tasks, first small.1 of tenant shop: its tenant has the smaller share
  would fix  open node n1 (plenum node uncordon n1)
",
    )
    .await;
    prints(
        "why web.0",
        "web.0  running 5m   wants 0.5 cpu, 128 MiB   tenant web (guarantee 2 cpu, using 1 cpu, 256 MiB, borrowing 256 MiB)\n  verdict    running: on n1\n",
    )
    .await;
}

#[tokio::test]
async fn why_says_what_a_node_refuses_and_where_a_tenant_stands() {
    prints(
        "why node/n1",
        "\
n1  ready 5m   free 3 cpu, 7 GiB
  held by    marathon: 1 cpu, 256 MiB
  kept for   small.1 of tenant shop: 0.5 cpu, 64 MiB of it is free
  refuses    4 of 5 that wait: 3 tainted gpu, 1 short of memory
  only here  1 of them can go nowhere else: small.1 of tenant shop
",
    )
    .await;
    prints(
        "why tenant/web",
        "\
web  2 tasks   has less than it is guaranteed: goes before all who have not
  used       1 cpu, 256 MiB
  guarantee  2 cpu
  borrowed   -
  unused     1 cpu
  limit      -
  pending    -
  share      0.0 % of the pool at weight 1
  waits      3 tasks: tenant web reached its cpu limit (2.0 cpu of 2.0 cpu) (first small.1)
",
    )
    .await;
    let server = serve(some()).await;
    assert_eq!(server.run("why node/n9").await.code, 3);
    assert_eq!(server.run("why tenant/no/one").await.code, 3);
}

#[tokio::test]
async fn simulate_says_what_would_be_placed_end_and_wait() {
    let server = serve(some()).await;
    let file = server.home.path().join("claims.json");
    std::fs::write(&file, r#"{"claims": [{"name": "x", "count": 3}]}"#).unwrap();
    let ran = server
        .run(&format!(
            "simulate --lose-node n1 --tenant web --guarantee cpu=2 -f {}",
            file.display()
        ))
        .await;
    let expected = "\
1 would be placed, 1 would end, 1 would wait; 3 wait then in all
  on      n2: 1
  placed  small.1 on n2
  ends    small.1 on n1 of tenant shop: node_lost
  waits   small.1 of tenant shop: short of cpu
  share   shop: 12.5 % -> 25.0 %
";
    assert_eq!(ran.out, expected, "{ran:?}");
    let supposed = server.world.lock().unwrap().supposed.remove(0);
    assert_eq!(
        (supposed.lose_nodes[0].as_str(), supposed.claims[0].count),
        ("n1", 3)
    );
    let tenant = &supposed.tenants[0];
    assert_eq!(
        (tenant.weight, tenant.guarantee.as_ref().unwrap().cpu_millis),
        (None, 2_000)
    );
    assert_eq!(server.run("simulate").await.code, 2);
    assert_eq!(server.run("simulate --weight 2").await.code, 2);
}
