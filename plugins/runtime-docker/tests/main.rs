//! Against a real daemon: the one that answers on this machine. Where none does, nothing is tested and that is
//! said.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use plenum_contract::runtime::{ContainerPlan, Runtime, RuntimeError};
use plenum_contract::suite::runtime::{Subject, runtime_suite};
use plenum_model::ids::{Incarnation, TaskId};
use plenum_model::spec::{Image, Pull};
use plenum_model::task::ExitReason;
use runtime_docker::DockerRuntime;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;

const IMAGE: &str = "plenum-test/runtime-docker:1";

/// Imports a static busybox, once; says whether a daemon answers.
fn docker() -> bool {
    static READY: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *READY.get_or_init(|| {
        let answers = Command::new("docker")
            .arg("info")
            .output()
            .is_ok_and(|o| o.status.success());
        if answers {
            import();
        } else {
            eprintln!("no Docker daemon answers: nothing is tested");
        }
        answers
    })
}

fn import() {
    let root = tempfile::tempdir().unwrap();
    let bin = root.path().join("bin");
    for dir in ["bin", "etc", "tmp", "proc"] {
        std::fs::create_dir(root.path().join(dir)).unwrap();
    }
    std::fs::copy("/bin/busybox", bin.join("busybox")).expect("package busybox-static is installed");
    for applet in ["sh", "sleep", "cat", "echo", "pwd"] {
        std::os::unix::fs::symlink("busybox", bin.join(applet)).unwrap();
    }
    let tar = Command::new("tar")
        .args(["-c", "."])
        .current_dir(root.path())
        .output()
        .unwrap();
    let mut import = Command::new("docker")
        .args(["import", "-", IMAGE])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    import.stdin.take().unwrap().write_all(&tar.stdout).unwrap();
    assert!(import.wait().unwrap().success());
}

fn subject(owner: &'static str) -> (Subject, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let make = move || -> Arc<dyn Runtime> { Arc::new(DockerRuntime::new(owner, None)) };
    let adapt = |plan: &mut ContainerPlan| {
        plan.image = Some(Image {
            reference: IMAGE.to_owned(),
            pull: Pull::Never,
        });
    };
    let subject = Subject {
        runtime: make(),
        again: Box::new(make),
        adapt: Box::new(adapt),
        dir: dir.path().to_owned(),
    };
    (subject, dir)
}

#[tokio::test]
async fn passes_the_suite_of_all_runtimes() {
    if docker() {
        let (subject, _dir) = subject("suite-docker");
        runtime_suite(&subject).await;
        assert_eq!(
            subject.runtime.recover().await.unwrap(),
            Vec::new(),
            "nothing is left"
        );
    }
}

#[tokio::test]
async fn an_image_that_cannot_be_had_is_refused_by_name() {
    if !docker() {
        return;
    }
    let (subject, dir) = subject("image-docker");
    for pull in [Pull::Never, Pull::IfMissing] {
        let mut plan = plenum_contract::suite::runtime::plan(&subject, "true");
        plan.image = Some(Image {
            reference: "plenum-test/missing:9".to_owned(),
            pull,
        });
        match subject.runtime.prepare(&plan).await {
            Err(RuntimeError::Refused {
                reason: ExitReason::Image,
                why,
            }) => {
                assert!(why.contains("plenum-test/missing"), "{why}");
            }
            other => panic!("{pull:?}: {other:?}"),
        }
    }
    drop(dir);
}

#[tokio::test]
async fn an_end_by_the_memory_limit_is_named() {
    if !docker() {
        return;
    }
    let (subject, _dir) = subject("oom-docker");
    let mut plan = plenum_contract::suite::runtime::plan(&subject, "a=x; while :; do a=$a$a; done");
    plan.caps.memory_limit_bytes = Some(16 << 20);
    plan.key.task = TaskId([9; 16]);
    plan.key.incarnation = Incarnation(std::process::id());
    subject.runtime.prepare(&plan).await.unwrap();
    subject.runtime.start(&plan.key).await.unwrap();
    let exit = subject.runtime.wait(&plan.key).await.unwrap();
    assert_eq!(exit.reason, ExitReason::OutOfMemory, "{exit:?}");
    subject.runtime.remove(&plan.key).await.unwrap();
}
