//! `dcos task`: what it shows of tasks, their logs and files, and processes in them.

use crate::support::dcos::Dcos;
use crate::support::up::Up;
use crate::support::{eventually, root};
use serde_json::json;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

const APP: &str = "echo one; echo '{\"two\": 2}'; echo thrée; echo error >&2; echo kept > file; \
                   while ! [ -e go ]; do sleep 0.1; done; echo four; sleep 1000";

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_listed_its_log_read_and_followed_and_its_files_are_seen() {
    let up = Up::start(3).await;
    let d = Dcos::of(&up);
    let labels = json!({"DCOS_PACKAGE_FRAMEWORK_NAME": "mine"});
    let app = json!({"id": "/g/web", "cmd": APP, "cpus": 0.05, "mem": 32, "labels": labels});
    d.add(&up, &app).await;
    let id = d.tasks("g_web").remove(0);
    let task = &d.json(&["task", "--json"])[0];
    assert_eq!(
        (&task["name"], &task["state"]),
        (&json!("web.g"), &json!("TASK_RUNNING"))
    );
    let table = d.ok(&["task"]);
    assert!(
        table.contains("web.g") && table.contains("127.77.0.") && table.contains(&id),
        "{table}"
    );
    eventually("the log is written", || async {
        let out = d.run(&["task", "log", &id]);
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        (text == "one\n{\"two\": 2}\nthrée\n").then_some(()).ok_or(text)
    })
    .await;
    assert_eq!(d.ok(&["task", "log", "--lines=1", &id]), "thrée\n");
    assert_eq!(d.ok(&["task", "log", &id, "stderr"]), "error\n");
    assert_eq!(d.ok(&["service", "log", "--lines=1", "mine"]), "thrée\n");
    assert_eq!(d.ok(&["task", "log", &id, "file"]), "kept\n");
    assert_eq!(
        d.fails(&["task", "log", &id, "none"]),
        "No files exist. Exiting.\n"
    );
    assert_eq!(d.ok(&["task", "ls", &id]), "file  stderr  stdout\n");
    let long = d.ok(&["task", "ls", "--long", &id]);
    assert!(long.lines().count() == 3 && long.contains("-rw-r--r--"), "{long}");
    let none = d.fails(&["task", "ls", &id, "none"]);
    assert_eq!(none, "Cannot access [none]: No such file or directory\n");

    let mut follow = d
        .command(&["task", "log", "--follow", "--lines=2", &id])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    let mut next = || lines.next().unwrap().unwrap();
    assert_eq!((next(), next()), ("{\"two\": 2}".to_owned(), "thrée".to_owned()));
    d.ok(&["task", "exec", &id, "touch", "go"]);
    assert_eq!(next(), "four", "a line that was written later");
    follow.kill().unwrap();
    follow.wait().unwrap();

    d.ok(&["marathon", "app", "stop", "/g/web"]);
    up.running("/g/web", 0).await;
    assert_eq!(d.ok(&["task"]), "");
    let over = d.fails(&["task", "log", &id]);
    assert!(over.contains("Run with --completed to see these logs."), "{over}");
    assert_eq!(d.ok(&["task", "log", "--completed", "--lines=1", &id]), "four\n");
    let completed = d.json(&["task", "--completed", "--json"]);
    assert_eq!(
        (&completed[0]["id"], &completed[0]["state"]),
        (&json!(id), &json!("TASK_KILLED"))
    );
    assert_eq!(d.json(&["task", "--all", "--json"]).as_array().unwrap().len(), 1);
    assert_eq!(d.ok(&["task", "ls", "--completed", &id]), "stderr  stdout\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_in_a_task_has_its_input_output_and_terminal() {
    let up = Up::start(3).await;
    let d = Dcos::of(&up);
    let app = json!({"id": "web", "cmd": "echo mine > file; sleep 1000", "cpus": 0.1, "mem": 64,
        "env": {"GREETING": "hello"}});
    d.add(&up, &app).await;
    let id = d.tasks("web").remove(0);
    assert_eq!(
        d.ok(&["task", "exec", &id, "sh", "-c", "cat file; echo $GREETING"]),
        "mine\nhello\n"
    );
    let both = d.run(&["task", "exec", &id, "sh", "-c", "echo out; echo error >&2"]);
    assert_eq!(
        (both.stdout.as_slice(), both.stderr.as_slice()),
        (&b"out\n"[..], &b"error\n"[..])
    );
    let none = d.run(&["task", "exec", &id, "no-such-command"]);
    assert!(
        String::from_utf8_lossy(&none.stderr).contains("no-such-command"),
        "{none:?}"
    );

    let bytes: Vec<u8> = (0..3_000_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let back = d.with_input(&["task", "exec", "-i", &id, "cat"], &bytes);
    assert!(
        back.status.success() && back.stderr.is_empty(),
        "{:?}",
        back.stderr
    );
    assert!(back.stdout == bytes, "{} bytes came back", back.stdout.len());
    let early = d.with_input(&["task", "exec", "-i", &id, "head", "-c", "3"], b"abcdef");
    assert_eq!(
        (early.stdout.as_slice(), early.stderr.as_slice()),
        (&b"abc"[..], &b""[..])
    );
    let ended = d.with_input(&["task", "exec", "-i", &id, "true"], b"");
    assert!(ended.status.success() && ended.stderr.is_empty(), "{ended:?}");

    let terminal = std::process::Command::new("python3")
        .arg(root().join("tests/e2e/tests/dcos/terminal.py"))
        .arg(crate::support::dcos::program())
        .args(["task", "exec", "-i", "-t", &id, "sh"])
        .env("DCOS_DIR", d.home())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&terminal.stdout);
    assert!(
        terminal.status.success() && said.contains("all of it"),
        "{terminal:?}"
    );
}
