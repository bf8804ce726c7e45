//! What the suite of all runtimes does not ask: images, causes by name, limits, and a daemon that goes away.

use crate::daemon::Daemon;
use crate::{on, plan, runtime, start};
use plenum_contract::runtime::{
    Among, ContainerKey, ContainerPlan, FoundState, PublishedPort, Runtime as _, RuntimeError, SandboxPlan,
};
use plenum_model::claim::Protocol;
use plenum_model::node::capability;
use plenum_model::spec::{Image, Mount, MountSource, Network, Pull};
use plenum_model::task::ExitReason;
use std::time::Duration;

#[tokio::test]
async fn an_image_that_cannot_be_had_is_refused_by_name() {
    let Some((runtime, dir)) = on("image") else { return };
    for pull in [Pull::Never, Pull::IfMissing, Pull::Always] {
        let mut plan = plan(&dir, "true");
        plan.image = Some(Image {
            reference: "localhost:1/plenum-test/missing:9".to_owned(),
            pull,
        });
        match runtime.prepare(&plan).await {
            Err(RuntimeError::Refused {
                reason: ExitReason::Image,
                why,
            }) => {
                assert!(
                    why.starts_with("No such image: localhost:1/plenum-test/missing:9"),
                    "{why}"
                );
            }
            other => panic!("{pull:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn what_cannot_start_is_refused_with_its_cause() {
    let Some((runtime, dir)) = on("cause") else { return };
    type Change = fn(&mut ContainerPlan);
    let table: [(Change, ExitReason, &str); 5] = [
        (
            |p| p.entrypoint = Some(vec!["nope".into()]),
            ExitReason::Command,
            "executable file not found",
        ),
        (
            |p| p.entrypoint = Some(vec!["/etc/passwd".into()]),
            ExitReason::Command,
            "permission denied",
        ),
        (|p| p.user = Some("nobodyx".into()), ExitReason::Setup, "nobodyx"),
        (
            |p| p.caps.memory_limit_bytes = Some(1 << 20),
            ExitReason::Setup,
            "memory limit",
        ),
        (
            |p| {
                p.mounts.push(Mount {
                    target: "/x".into(),
                    source: MountSource::Host("/proc/no/such".into()),
                    read_only: true,
                });
            },
            ExitReason::Setup,
            "/proc/no",
        ),
    ];
    for (change, reason, words) in table {
        let mut plan = plan(&dir, "true");
        change(&mut plan);
        let refused = match runtime.prepare(&plan).await {
            Ok(()) => runtime.start(&plan.key).await,
            early => early,
        };
        match refused {
            Err(RuntimeError::Refused { reason: got, why }) => {
                assert_eq!(got, reason, "{why}");
                assert!(why.contains(words), "{why}");
            }
            other => panic!("{words}: {other:?}"),
        }
        runtime.remove(&plan.key).await.unwrap();
    }
    assert_eq!(runtime.recover().await.unwrap(), Vec::new());
}

#[tokio::test]
async fn an_end_by_the_memory_limit_is_named() {
    let Some((runtime, dir)) = on("oom") else { return };
    let mut plan = plan(&dir, "a=x; while :; do a=$a$a; done");
    plan.caps.memory_limit_bytes = Some(16 << 20);
    start(&runtime, &plan).await;
    let exit = runtime.wait(&plan.key).await.unwrap();
    assert_eq!(exit.reason, ExitReason::OutOfMemory, "{exit:?}");
    runtime.remove(&plan.key).await.unwrap();
}

#[tokio::test]
async fn the_image_says_how_it_wants_to_be_stopped_unless_the_spec_does() {
    let Some((runtime, dir)) = on("stop") else { return };
    let mut plan = plan(&dir, "trap 'exit 7' QUIT; echo up; while :; do sleep 0.05; done");
    let image = crate::daemon::shared().unwrap().image_stopped_by("SIGQUIT");
    plan.image = Some(Image {
        reference: image,
        pull: Pull::Never,
    });
    runtime.prepare(&plan).await.unwrap();
    assert_eq!(
        runtime.stop_signal(&plan.key).await.unwrap().as_deref(),
        Some("SIGQUIT")
    );
    runtime.start(&plan.key).await.unwrap();
    crate::streams::logged(&runtime, &plan.key, "up").await;
    let unknown = runtime.signal(&plan.key, "SIGNONE").await;
    assert!(
        matches!(unknown, Err(RuntimeError::Refused { .. })),
        "{unknown:?}"
    );
    runtime.signal(&plan.key, "SIGQUIT").await.unwrap();
    assert_eq!(runtime.wait(&plan.key).await.unwrap().code, Some(7));
    runtime.remove(&plan.key).await.unwrap();
    plan.stop_signal = Some("SIGUSR1".into());
    runtime.prepare(&plan).await.unwrap();
    assert_eq!(
        runtime.stop_signal(&plan.key).await.unwrap().as_deref(),
        Some("SIGUSR1")
    );
    runtime.remove(&plan.key).await.unwrap();
}

#[tokio::test]
async fn agents_that_share_a_daemon_do_not_see_each_others_containers() {
    let (Some((one, dir)), Some((two, _other))) = (on("share-1"), on("share-2")) else {
        return;
    };
    let plan = plan(&dir, "sleep 100");
    start(&one, &plan).await;
    assert_eq!(two.recover().await.unwrap(), Vec::new());
    assert!(matches!(
        two.start(&plan.key).await,
        Err(RuntimeError::NotFound { .. })
    ));
    let found = one.recover().await.unwrap();
    assert_eq!(
        found.iter().map(|f| (&f.key, &f.state)).collect::<Vec<_>>(),
        [(&plan.key, &FoundState::Running)]
    );
    one.signal(&plan.key, "SIGKILL").await.unwrap();
    one.wait(&plan.key).await.unwrap();
    one.remove(&plan.key).await.unwrap();
}

#[tokio::test]
async fn a_daemon_offers_a_bridge_only_if_it_has_one() {
    let Some((with, _dir)) = on("facts") else { return };
    let facts = with.facts().await.unwrap();
    assert!(
        !facts.version.is_empty() && facts.capabilities.contains(capability::IMAGES),
        "{facts:?}"
    );
    assert!(facts.capabilities.contains(capability::BRIDGE), "{facts:?}");
    let Some(daemon) = Daemon::new(&["--bridge=none"]) else {
        return;
    };
    let without = runtime("facts", &daemon).facts().await.unwrap();
    assert!(!without.capabilities.contains(capability::BRIDGE), "{without:?}");
}

#[tokio::test]
async fn a_port_of_a_sandbox_leads_to_whichever_of_its_containers_listens() {
    let Some((runtime, dir)) = on("sandbox") else {
        return;
    };
    let daemon = crate::daemon::shared().unwrap();
    let mut listening = plan(&dir, "nc -l -p 80 -e echo inside; sleep 100");
    let sandbox = SandboxPlan {
        key: ContainerKey {
            container: String::new(),
            ..listening.key.clone()
        },
        hostname: None,
        ports: vec![PublishedPort {
            address: "127.77.0.1".into(),
            host: 31010,
            container: 80,
            protocol: Protocol::Tcp,
        }],
    };
    let facts = runtime.make_sandbox(&sandbox).await.unwrap();
    listening.network = Network::Bridge;
    listening.among = Some(Among {
        sandbox: Some(sandbox.key.clone()),
    });
    start(&runtime, &listening).await;
    for (address, port) in [("127.77.0.1", "31010"), (facts.address.as_str(), "80")] {
        let mut heard = Vec::new();
        for _ in 0..100 {
            let nc = daemon
                .in_network(&["busybox", "nc", "-w", "2", address, port])
                .output()
                .unwrap();
            heard = nc.stdout;
            if !heard.is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(heard, b"inside\n", "{address}:{port}");
        if port == "80" {
            break;
        }
        // One that listens once: the next one takes its place behind the same address.
        runtime.signal(&listening.key, "SIGKILL").await.unwrap();
        runtime.wait(&listening.key).await.unwrap();
        runtime.remove(&listening.key).await.unwrap();
        listening.key.incarnation = listening.key.incarnation.next();
        start(&runtime, &listening).await;
    }
    for key in [&listening.key, &sandbox.key] {
        runtime.signal(key, "SIGKILL").await.unwrap();
        runtime.wait(key).await.unwrap();
        runtime.remove(key).await.unwrap();
    }
}

#[tokio::test]
async fn a_container_whose_sandbox_is_gone_is_not_made() {
    let Some((runtime, dir)) = on("lost-sandbox") else {
        return;
    };
    let mut plan = plan(&dir, "sleep 100");
    let sandbox = ContainerKey {
        container: String::new(),
        ..plan.key.clone()
    };
    plan.network = Network::Bridge;
    plan.among = Some(Among {
        sandbox: Some(sandbox.clone()),
    });
    match runtime.prepare(&plan).await {
        Err(RuntimeError::NotFound { key }) => assert_eq!(key, sandbox),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_published_port_leads_inside_and_is_refused_to_a_second_container() {
    let Some((runtime, dir)) = on("ports") else { return };
    let daemon = crate::daemon::shared().unwrap();
    let publish = |mut plan: ContainerPlan| {
        plan.network = Network::Bridge;
        plan.ports = vec![PublishedPort {
            address: "127.77.0.1".into(),
            host: 31000,
            container: 80,
            protocol: Protocol::Tcp,
        }];
        plan
    };
    let plans = [
        publish(plan(&dir, "echo inside | nc -l -p 80; sleep 100")),
        publish(plan(&dir, "sleep 100")),
    ];
    start(&runtime, &plans[0]).await;
    let mut heard = Vec::new();
    for _ in 0..100 {
        let nc = daemon
            .in_network(&["busybox", "nc", "-w", "2", "127.77.0.1", "31000"])
            .output()
            .unwrap();
        heard = nc.stdout;
        if !heard.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(heard, b"inside\n");
    runtime.prepare(&plans[1]).await.unwrap();
    match runtime.start(&plans[1].key).await {
        Err(RuntimeError::Refused {
            reason: ExitReason::Port,
            why,
        }) => {
            assert!(why.contains("127.77.0.1:31000"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    runtime.signal(&plans[0].key, "SIGKILL").await.unwrap();
    runtime.wait(&plans[0].key).await.unwrap();
    for plan in &plans {
        runtime.remove(&plan.key).await.unwrap();
    }
}

/// The daemon is killed under running containers and comes back: what runs on is waited for to its very end,
/// what ended meanwhile keeps its code, and no exit is made up.
#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_killed_and_comes_back_loses_no_end_and_makes_none_up() {
    let options = ["--live-restore"];
    let Some(daemon) = Daemon::new(&options) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let runtime = std::sync::Arc::new(runtime("restart", &daemon));
    let long = plan(&dir, "while ! [ -e \"$GATE\" ]; do sleep 0.05; done; exit 9");
    let mut long = long;
    let gate = long.sandbox.join("gate");
    long.env.push(("GATE".into(), gate.display().to_string()));
    let short = plan(&dir, "sleep 1; exit 5");
    start(&runtime, &long).await;
    start(&runtime, &short).await;
    let waits = [&long, &short].map(|p| {
        let (runtime, key) = (std::sync::Arc::clone(&runtime), p.key.clone());
        tokio::spawn(async move { runtime.wait(&key).await })
    });
    let daemon = tokio::task::spawn_blocking(move || {
        daemon.restart(&options, || std::thread::sleep(Duration::from_secs(2)))
    });
    let daemon = daemon.await.unwrap();
    let [first, second] = waits;
    let exit = tokio::time::timeout(Duration::from_secs(60), second)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(exit.code, Some(5), "{exit:?}");
    assert!(!first.is_finished(), "it runs on");
    std::fs::write(gate, "").unwrap();
    let exit = tokio::time::timeout(Duration::from_secs(60), first)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(exit.code, Some(9), "{exit:?}");
    for plan in [&long, &short] {
        runtime.remove(&plan.key).await.unwrap();
    }
    drop(daemon);
}
