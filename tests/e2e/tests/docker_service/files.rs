//! Secrets and configs in containers, and the logs of tasks on several nodes.

use crate::support::eventually;
use crate::support::image::docker;
use crate::support::service::Docker;
use crate::support::up::Up;
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

#[tokio::test(flavor = "multi_thread")]
async fn secrets_and_configs_are_in_the_container_and_logs_say_where_from() {
    if !docker() {
        return;
    }
    let up = Up::start_with(3, &["swarm"]).await;
    let d = Docker::of(&up);
    let file = up.data().join("value");
    std::fs::write(&file, "hush").unwrap();
    let path = file.to_str().unwrap();
    d.ok(&["secret", "create", "s1", path]);
    d.ok(&["config", "create", "c1", path]);
    assert!(!d.ok(&["secret", "inspect", "s1"]).contains("Data"));
    assert!(d.ok(&["config", "inspect", "--pretty", "c1"]).contains("hush"));
    let script = "cat /run/secrets/s1 /etc/deep/c; echo \" of $SLOT\"; exec sleep 1000";
    let more = [
        "--replicas",
        "3",
        "--secret",
        "s1",
        "--config",
        "source=c1,target=/etc/deep/c,mode=0400",
        "-e",
        "SLOT={{.Task.Slot}}",
    ];
    d.create("sc", &more, &["sh", "-c", script]);
    d.replicas("sc", "3/3").await;
    eventually("three lines", || async {
        let raw = d.ok(&["service", "logs", "--raw", "sc"]);
        let lines: BTreeSet<&str> = raw.lines().collect();
        if lines == ["hushhush of 1", "hushhush of 2", "hushhush of 3"].into() {
            Ok(())
        } else {
            Err(raw)
        }
    })
    .await;
    let rm = d.no(&["secret", "rm", "s1"]);
    assert!(
        rm.contains("secret 's1' is in use by the following service: sc"),
        "{rm}"
    );
    followed(&d).await;
    d.ok(&["secret", "rm", "s1"]);
    d.ok(&["config", "rm", "c1"]);
}

/// Every line says its task and node; a fourth task is picked up, and the end of the service ends it.
async fn followed(d: &Docker) {
    let mut child = d
        .command(&["service", "logs", "-f", "--no-task-ids", "sc"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let writer = Arc::clone(&seen);
    let reader = std::thread::spawn(move || {
        let lines = out.lines().map_while(Result::ok);
        for line in lines {
            writer.lock().unwrap().insert(line);
        }
    });
    d.ok(&["service", "scale", "-d", "sc=4"]);
    eventually("lines of four slots on three nodes", || async {
        let lines = seen.lock().unwrap().clone();
        let of = |slot: usize| {
            let (prefix, end) = (format!("sc.{slot}@node-"), format!("    | hushhush of {slot}"));
            lines.iter().any(|l| l.starts_with(&prefix) && l.ends_with(&end))
        };
        let nodes = (1..=3).all(|n| lines.iter().any(|l| l.contains(&format!("@node-{n}    |"))));
        if nodes && (1..=4).all(of) {
            Ok(())
        } else {
            Err(format!("{lines:?}"))
        }
    })
    .await;
    let last = d.ok(&["service", "logs", "--tail", "1", "sc"]);
    let whole = |l: &str| l.starts_with("sc.") && l.contains("@node-") && l.contains("    | hushhush of ");
    assert!(last.lines().count() == 4 && last.lines().all(whole), "{last}");
    d.ok(&["service", "rm", "sc"]);
    eventually("the end of the service ends what follows it", || async {
        let ended = child_ended(&child);
        ended.then_some(()).ok_or("it goes on".to_owned())
    })
    .await;
    child.wait().unwrap();
    reader.join().unwrap();
}

fn child_ended(child: &Child) -> bool {
    !crate::support::alive(i32::try_from(child.id()).unwrap())
}
