//! Commands that change something: how they wait, and how they end.

use crate::fake::{Fate, Ran, Server, World, serve, some, wait};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use std::process::Stdio;

#[tokio::test]
async fn run_creates_an_app_and_waits_until_it_is_ready() {
    let server = serve(some()).await;
    let ran = server.run("run --name hello --instances 2 -- sleep 1000").await;
    assert_eq!((ran.code, ran.out.as_str()), (0, "marathon/hello\n"), "{ran:?}");
    assert!(
        ran.err.contains("marathon/hello  0/2 ready") && ran.err.ends_with("2/2 ready\n"),
        "{}",
        ran.err
    );
    let apps = server.world.lock().unwrap().apps.clone();
    assert_eq!(
        (&apps[0]["id"], &apps[0]["args"]),
        (&json!("/hello"), &json!(["sleep", "1000"]))
    );

    let ran = server.run("run --name hello -- true").await;
    assert_eq!(ran.code, 4, "a conflict: {ran:?}");
    assert!(
        ran.err
            .starts_with("error[PLN-2005]: An app with id [/hello] already exists.\n"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("plenum delete hello"), "{}", ran.err);
}

async fn with_fate(fate: Fate, line: &str) -> Ran {
    serve(World { fate, ..some() }).await.run(line).await
}

#[tokio::test]
async fn run_ends_on_a_cause_that_does_not_go_away() {
    let ran = with_fate(Fate::NoImage, "run --name hello --image nothing").await;
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.err
            .contains("error[PLN-4002]: hello cannot run: image cannot be had: no such image\n"),
        "{}",
        ran.err
    );
}

#[tokio::test]
async fn run_says_that_what_is_not_placed_in_time_still_waits() {
    let ran = with_fate(Fate::NoRoom, "run --name hello --timeout 500ms -- true").await;
    assert_eq!(ran.code, 7, "{ran:?}");
    assert!(
        ran.err.contains("error[PLN-3001]:") && ran.err.contains("2 short of memory"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("plenum why hello"), "{}", ran.err);
    let ran = with_fate(Fate::NoRoom, "run --name hello --detach -- true").await;
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
}

#[tokio::test]
async fn an_interrupt_ends_the_watching_and_says_that_the_change_goes_on() {
    let server = serve(World {
        fate: Fate::NoRoom,
        ..some()
    })
    .await;
    let mut command = server.command("run --name hello -- true");
    let mut child = command.spawn().unwrap();
    let mut stderr = tokio::process::ChildStderr::from_std(child.stderr.take().unwrap()).unwrap();
    // It watches as soon as it shows progress.
    let mut first = [0];
    tokio::io::AsyncReadExt::read_exact(&mut stderr, &mut first)
        .await
        .unwrap();
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
    let ran = wait(child).await;
    let mut rest = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut stderr, &mut rest)
        .await
        .unwrap();
    assert_eq!(ran.code, 6, "{rest}");
    assert!(
        rest.contains("stopped watching; the change goes on") && rest.contains("plenum delete hello"),
        "{rest}"
    );
}

async fn apply(server: &Server, text: &str) -> Ran {
    let file = server.home.path().join("app");
    std::fs::write(&file, text).unwrap();
    server.run(&format!("apply -f {}", file.display())).await
}

#[tokio::test]
async fn apply_makes_apps_true_and_names_the_place_that_is_refused() {
    let server = serve(some()).await;
    let ran = apply(&server, "- {id: /a, cmd: sleep 1}\n- {id: /b, cmd: sleep 1}\n").await;
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (0, "marathon/a\nmarathon/b\n"),
        "{ran:?}"
    );
    let ran = apply(&server, "id: /c\n").await;
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.err
            .contains("Object is not valid\n          /cmd: error.path.missing\n"),
        "{}",
        ran.err
    );
    let ran = apply(&server, "apiVersion: v1\nkind: Pod\n").await;
    assert!(
        ran.code == 1 && ran.err.contains("no kubernetes door is known"),
        "{ran:?}"
    );
    let ran = server.run("apply -f /nowhere").await;
    assert_eq!(ran.code, 3, "{ran:?}");
}

#[tokio::test]
async fn delete_removes_an_app_and_leaves_what_is_anothers() {
    let server = serve(some()).await;
    {
        let mut world = server.world.lock().unwrap();
        world.apps.push(json!({"id": "/web"}));
        let mut foreign = crate::fake::a_workload("db");
        (foreign.scheduler, foreign.id) = ("kubernetes".into(), "kubernetes/db".into());
        world.workloads.push(foreign);
    }
    assert_eq!(server.run("delete web").await.code, 0);
    assert_eq!(server.world.lock().unwrap().deleted, ["web"]);
    let ran = server.run("delete db").await;
    assert!(
        ran.code == 1 && ran.err.contains("kubernetes/db belongs to kubernetes"),
        "{ran:?}"
    );
    assert_eq!(server.run("delete nothing").await.code, 3);
}

#[tokio::test]
async fn of_several_changes_one_that_fails_keeps_no_other_from_being_tried() {
    let server = serve(some()).await;
    let ran = server.run("node cordon n9 n1").await;
    assert_eq!((ran.code, ran.out.as_str()), (8, "n1  cordoned\n"), "{ran:?}");
    assert!(ran.err.starts_with("error[PLN-2003]"), "{ran:?}");
    assert_eq!(server.run("node uncordon n1").await.out, "n1  ready\n");
    assert_eq!(server.run("node cordon n9").await.code, 3);
    let ran = server
        .run("node taint n1 gpu=a100:NoSchedule spot:NoExecute")
        .await;
    assert_eq!(ran.out, "n1  gpu=a100:NoSchedule spot:NoExecute\n");
    let ran = server.run("node show n1").await;
    assert!(ran.out.contains("taint       gpu=a100:NoSchedule\n"), "{ran:?}");
    let ran = server.run("node taint n1 gpu=a100:NoSchedule- spot-").await;
    assert_eq!(ran.out, "n1  no taints\n");
    let ran = server.run("task kill web.0 --grace 2s").await;
    assert_eq!(ran.out, "web.0  asked to stop\n");
    let stopped = server.world.lock().unwrap().stopped.clone();
    assert_eq!(stopped, [("web.0".to_owned(), json!({"grace_ms": 2_000}))]);
}

#[tokio::test]
async fn a_tenant_keeps_what_is_not_named() {
    let server = serve(some()).await;
    let ran = server
        .run("tenant set web --weight 3 --limit cpu=8,memory=1.5GiB")
        .await;
    assert_eq!(
        ran.out, "web  weight 3  guarantee 2 cpu  limit 8 cpu, 1.5 GiB\n",
        "{ran:?}"
    );
    let ran = server.run("tenant set new --weight 2").await;
    assert_eq!(ran.out, "new  weight 2  guarantee -  limit -\n", "{ran:?}");
    assert_eq!(
        server.run("tenant set web").await.code,
        2,
        "nothing to set is a usage error"
    );
    assert_eq!(server.run("tenant set web --limit cpu").await.code, 2);
}

#[tokio::test]
async fn what_is_not_there_ends_with_3_and_is_an_error_in_json_too() {
    let server = serve(some()).await;
    let ran = server.run("task show nothing").await;
    assert_eq!(ran.code, 3);
    assert_eq!(
        ran.err,
        "error[PLN-2003]: there is no such task\n  where   name\n  try     look again\n"
    );
    let ran = server.run("task show nothing -o json").await;
    let error: serde_json::Value = serde_json::from_str(&ran.err).unwrap();
    assert_eq!((ran.code, &error["error"]["code"]), (3, &json!("PLN-2003")));
}

#[tokio::test]
async fn a_reader_that_has_gone_is_no_failure() {
    let server = serve(some()).await;
    let mut command = server.command("ps");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let child = command.stdout(Stdio::from(writer)).spawn().unwrap();
    drop(command);
    let ran = wait(child).await;
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
}
