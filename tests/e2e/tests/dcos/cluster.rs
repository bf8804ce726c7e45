//! Setting up clusters, and what they say of themselves.

use crate::support::dcos::Dcos;
use crate::support::up::Up;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_set_up_listed_attached_renamed_and_removed_and_is_the_same_after_a_restart() {
    let mut up = Up::start(3).await;
    let d = Dcos::alone();
    let url = up.url("dcos").to_owned();
    let setup = [
        "cluster",
        "setup",
        &url,
        "--no-check",
        "--username=u",
        "--password=p",
    ];
    assert_eq!(d.ok(&setup), "");
    let listed = d.json(&["cluster", "list", "--json"]);
    let id = listed[0]["cluster_id"].as_str().unwrap().to_owned();
    assert_eq!(
        listed,
        json!([{"attached": true, "cluster_id": id, "name": "plenum", "status": "AVAILABLE", "url": url,
            "version": "1.13.9"}])
    );
    assert!(d.home().join("clusters").join(&id).join("dcos.toml").exists());
    let again = d.fails(&setup);
    assert!(again.contains("is already setup"), "{again}");
    assert_eq!(d.ok(&["cluster", "rename", "plenum", "mine"]), "");
    assert_eq!(d.ok(&["cluster", "attach", "mine"]), "");
    assert!(d.ok(&["cluster", "list", "--attached"]).contains("mine*"));
    assert!(d.ok(&["--version"]).contains("\ndcos.version=1.13.9\n"));

    up.kill_hard();
    up.start_again().await;
    let metadata = reqwest::get(format!("{}/metadata", up.url("dcos")))
        .await
        .unwrap();
    let metadata: serde_json::Value = metadata.json().await.unwrap();
    assert_eq!(metadata["CLUSTER_ID"], id, "it is found again");
    assert_eq!(d.ok(&["cluster", "remove", "mine"]), "");
    assert_eq!(d.json(&["cluster", "list", "--json"]), json!([]));

    let old = Dcos::alone();
    let set = old.run(&["config", "set", "core.dcos_url", up.url("dcos")]);
    assert!(set.status.success(), "{set:?}");
    assert_eq!(old.json(&["marathon", "about"])["name"], "marathon");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_parts_of_a_cluster_are_seen_and_what_is_not_served_is_refused() {
    let up = Up::start(3).await;
    let d = Dcos::of(&up);
    let about = d.json(&["marathon", "about"]);
    assert_eq!(
        (&about["name"], &about["version"]),
        (&json!("marathon"), &json!("1.8.244"))
    );
    assert_eq!(
        d.ok(&["marathon", "ping"]),
        "Marathon ping response[1x]: \"pong\"\n"
    );
    let leader = d.json(&["marathon", "leader", "show", "--json"]);
    assert_eq!(leader, json!({"host": "marathon.mesos.", "ip": "127.0.0.1"}));
    assert_eq!(
        d.json(&["marathon", "plugin", "list", "--json"])["plugins"],
        json!([])
    );
    let nodes = d.json(&["node", "--json"]);
    let kinds: Vec<_> = nodes
        .as_array()
        .unwrap()
        .iter()
        .map(|n| n["type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["master (leader)", "agent", "agent", "agent"]);
    assert_eq!(d.ok(&["node"]).lines().count(), 5);
    let dns = d.ok(&["node", "dns", "master.mesos"]);
    assert!(dns.contains("127.0.0.1"), "{dns}");
    let parts = d.ok(&["node", "list-components", "--mesos-id=node-1"]);
    assert_eq!(parts, "plenum-agent.service\n");
    for (command, why) in [
        ("node log --leader", "No files exist. Exiting."),
        ("node log --mesos-id=node-1", "No files exist. Exiting."),
        ("service shutdown marathon", "HTTP 501: \"Not Implemented\""),
        (
            "service log none",
            "No marathon apps found for service name [none]",
        ),
        ("node decommission node-1", "Couldn't mark agent node-1 as gone"),
        ("node decommission node-9", "HTTP 404: \"Not Found\""),
        ("job list", "not"),
        ("package list", ""),
        (
            "task metrics summary none",
            "Cannot find a task with ID containing \"none\"",
        ),
    ] {
        let args: Vec<&str> = command.split(' ').collect();
        let out = d.run(&args);
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr)
        );
        assert!(
            out.status.code() == Some(1) && said.contains(why),
            "dcos {command}: {said}"
        );
    }
}
