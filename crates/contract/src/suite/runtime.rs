//! What every `Runtime` must do, whatever it is made of. The caller says how to run a shell in it.

use crate::runtime::{ContainerKey, ContainerPlan, FoundState, Runtime, RuntimeError};
use crate::streams::{ExecRequest, LogLine, LogQuery, LogSource, Output, StreamInput, StreamOutput};
use futures::StreamExt as _;
use plenum_model::ids::{Incarnation, TaskId};
use plenum_model::spec::{Caps, Confinement, LogLimits, Network};
use plenum_model::task::ExitReason;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

#[path = "runtime_together.rs"]
mod together;

/// A runtime under test.
pub struct Subject {
    /// The runtime.
    pub runtime: Arc<dyn Runtime>,
    /// Makes the same runtime again, as an agent does that was killed and started again.
    pub again: Box<dyn Fn() -> Arc<dyn Runtime> + Send + Sync>,
    /// Fills in what this runtime needs beside a command (an image).
    pub adapt: Box<dyn Fn(&mut ContainerPlan) + Send + Sync>,
    /// A directory for sandboxes.
    pub dir: std::path::PathBuf,
}

/// Runs everything. Panics at the first promise that does not hold.
pub async fn runtime_suite(subject: &Subject) {
    exit_codes_and_output_are_kept(subject).await;
    every_verb_may_be_repeated(subject).await;
    environment_directory_and_arguments_arrive(subject).await;
    a_stop_signal_is_delivered_and_a_kill_ends_everything(subject).await;
    a_command_that_does_not_exist_is_refused_by_name(subject).await;
    what_runs_is_recovered_and_what_ended_meanwhile_keeps_its_code(subject).await;
    logs_are_followed_and_cut(subject).await;
    exec_keeps_streams_apart_and_gives_the_code(subject).await;
    exec_reads_input_to_its_end(subject).await;
    stats_are_read(subject).await;
    together::containers_of_one_task_share_what_is_theirs(subject).await;
}

static NEXT: AtomicU32 = AtomicU32::new(1);

fn key() -> ContainerKey {
    let mut id = [0_u8; 16];
    id[..4].copy_from_slice(&std::process::id().to_be_bytes());
    id[12..].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    ContainerKey {
        task: TaskId(id),
        container: "main".to_owned(),
        incarnation: Incarnation(0),
    }
}

/// A plan of this runtime that runs a shell script, for tests of its own beside the suite.
pub fn plan(subject: &Subject, script: &str) -> ContainerPlan {
    let key = key();
    let sandbox = sandbox(&subject.dir, &key);
    let mut plan = ContainerPlan {
        key,
        image: None,
        entrypoint: Some(vec!["/bin/sh".to_owned(), "-c".to_owned()]),
        args: Some(vec![script.to_owned()]),
        env: vec![("PATH".to_owned(), "/bin:/usr/bin".to_owned())],
        workdir: None,
        user: None,
        hostname: None,
        tty: false,
        stdin: false,
        caps: Caps::default(),
        mounts: Vec::new(),
        network: Network::Host,
        ports: Vec::new(),
        stop_signal: None,
        logs: LogLimits::default(),
        privileged: false,
        confinement: Confinement::default(),
        labels: BTreeMap::new(),
        sandbox,
        among: None,
    };
    (subject.adapt)(&mut plan);
    plan
}

fn sandbox(dir: &Path, key: &ContainerKey) -> std::path::PathBuf {
    let sandbox = dir.join(key.task.to_string());
    std::fs::create_dir_all(&sandbox).expect("the directory of the suite can be written");
    sandbox
}

async fn run(subject: &Subject, plan: &ContainerPlan) {
    subject.runtime.prepare(plan).await.expect("prepare");
    subject.runtime.start(&plan.key).await.expect("start");
}

async fn end(subject: &Subject, plan: &ContainerPlan) {
    subject.runtime.signal(&plan.key, "SIGKILL").await.expect("kill");
    subject.runtime.wait(&plan.key).await.expect("wait");
    subject.runtime.remove(&plan.key).await.expect("remove");
}

/// A hanging runtime fails the suite instead of holding it.
async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(60), work).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: nothing for a minute"),
    }
}

async fn lines(mut output: StreamOutput) -> Vec<LogLine> {
    let mut lines = Vec::new();
    while let Some(item) = soon("log", output.next()).await {
        match item.expect("a log that is kept can be read") {
            Output::Log(line) => lines.push(line),
            other => panic!("a log has lines only, not {other:?}"),
        }
    }
    lines
}

fn text(lines: &[LogLine], source: LogSource) -> String {
    let of: Vec<u8> = lines
        .iter()
        .filter(|l| l.source == source)
        .flat_map(|l| l.bytes.to_vec())
        .collect();
    String::from_utf8_lossy(&of).into_owned()
}

/// What an exec gave: standard output, standard error, exit code.
async fn collect(mut output: StreamOutput) -> (Vec<u8>, Vec<u8>, i32) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    loop {
        match soon("exec", output.next())
            .await
            .expect("an exec ends with its code")
            .expect("exec")
        {
            Output::Stdout(bytes) => out.extend_from_slice(&bytes),
            Output::Stderr(bytes) => err.extend_from_slice(&bytes),
            Output::Exit { code } => return (out, err, code),
            other => panic!("an exec gives bytes and a code, not {other:?}"),
        }
    }
}

async fn exit_codes_and_output_are_kept(subject: &Subject) {
    let plan = plan(subject, "echo out; echo err >&2; exit 3");
    run(subject, &plan).await;
    let exit = soon("wait", subject.runtime.wait(&plan.key)).await.expect("wait");
    assert_eq!(
        (exit.code, exit.signal, exit.reason),
        (Some(3), None, ExitReason::Exited),
        "{exit:?}"
    );
    let again = soon("wait", subject.runtime.wait(&plan.key))
        .await
        .expect("waiting again gives the same");
    assert_eq!(again.code, exit.code);
    let logs = lines(
        subject
            .runtime
            .logs(&plan.key, LogQuery::default())
            .await
            .expect("logs after the end"),
    )
    .await;
    assert_eq!(
        (text(&logs, LogSource::Stdout), text(&logs, LogSource::Stderr)),
        ("out\n".into(), "err\n".into())
    );
    subject.runtime.remove(&plan.key).await.expect("remove");
}

async fn every_verb_may_be_repeated(subject: &Subject) {
    let plan = plan(subject, "exec sleep 1000");
    for _ in 0..2 {
        subject.runtime.prepare(&plan).await.expect("prepare twice");
    }
    let found = subject.runtime.recover().await.expect("recover");
    let state = found.iter().find(|f| f.key == plan.key).map(|f| f.state.clone());
    assert_eq!(state, Some(FoundState::Prepared), "prepared and not started");
    for _ in 0..2 {
        subject.runtime.start(&plan.key).await.expect("start twice");
    }
    for _ in 0..2 {
        subject
            .runtime
            .signal(&plan.key, "SIGKILL")
            .await
            .expect("kill twice");
    }
    let exit = soon("wait", subject.runtime.wait(&plan.key)).await.expect("wait");
    assert_eq!(exit.signal, Some(9), "{exit:?}");
    subject
        .runtime
        .start(&plan.key)
        .await
        .expect("start after the end changes nothing");
    for _ in 0..2 {
        subject.runtime.remove(&plan.key).await.expect("remove twice");
    }
    let left = subject.runtime.recover().await.expect("recover");
    assert!(left.iter().all(|f| f.key != plan.key), "removed is gone");
    assert!(matches!(
        subject.runtime.start(&plan.key).await,
        Err(RuntimeError::NotFound { .. })
    ));
}

async fn environment_directory_and_arguments_arrive(subject: &Subject) {
    let mut plan = plan(subject, "echo \"$A|$B|$0|$(pwd)\"");
    plan.args
        .as_mut()
        .expect("set above")
        .push("an argument".to_owned());
    plan.env.extend([
        ("A".to_owned(), "x y".to_owned()),
        ("B".to_owned(), "$A".to_owned()),
    ]);
    plan.workdir = Some("/tmp".to_owned());
    run(subject, &plan).await;
    soon("wait", subject.runtime.wait(&plan.key)).await.expect("wait");
    let logs = lines(
        subject
            .runtime
            .logs(&plan.key, LogQuery::default())
            .await
            .expect("logs"),
    )
    .await;
    assert_eq!(text(&logs, LogSource::Stdout), "x y|$A|an argument|/tmp\n");
    subject.runtime.remove(&plan.key).await.expect("remove");
}

async fn a_stop_signal_is_delivered_and_a_kill_ends_everything(subject: &Subject) {
    let polite = plan(
        subject,
        "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done",
    );
    run(subject, &polite).await;
    wait_for_line(subject, &polite.key, "up").await;
    subject
        .runtime
        .signal(&polite.key, "SIGTERM")
        .await
        .expect("term");
    let exit = soon("wait", subject.runtime.wait(&polite.key))
        .await
        .expect("wait");
    assert_eq!(exit.code, Some(0), "{exit:?}");
    subject.runtime.remove(&polite.key).await.expect("remove");

    let family = plan(subject, "trap '' TERM; sleep 1000 & sleep 1000 & echo up; wait");
    run(subject, &family).await;
    wait_for_line(subject, &family.key, "up").await;
    end(subject, &family).await;
}

async fn wait_for_line(subject: &Subject, key: &ContainerKey, wanted: &str) {
    let query = LogQuery {
        follow: true,
        ..LogQuery::default()
    };
    let mut output = subject
        .runtime
        .logs(key, query)
        .await
        .expect("logs of a running container");
    loop {
        match soon("line", output.next()).await {
            Some(Ok(Output::Log(line))) if line.bytes.starts_with(wanted.as_bytes()) => return,
            Some(Ok(_)) => {}
            other => panic!("no line `{wanted}`: {other:?}"),
        }
    }
}

async fn a_command_that_does_not_exist_is_refused_by_name(subject: &Subject) {
    let mut plan = plan(subject, "");
    plan.entrypoint = Some(vec!["/no/such/program".to_owned()]);
    plan.args = None;
    let failed = match subject.runtime.prepare(&plan).await {
        Ok(()) => subject.runtime.start(&plan.key).await,
        Err(e) => Err(e),
    };
    match failed {
        Err(RuntimeError::Refused { reason, why }) => {
            assert_eq!(reason, ExitReason::Command, "{why}");
            assert!(why.contains("/no/such/program"), "{why}");
        }
        other => panic!("a command that does not exist is refused, not {other:?}"),
    }
    subject
        .runtime
        .remove(&plan.key)
        .await
        .expect("remove what was never started");
}

async fn what_runs_is_recovered_and_what_ended_meanwhile_keeps_its_code(subject: &Subject) {
    let stays = plan(subject, "echo before; exec sleep 1000");
    let ends = plan(subject, "sleep 0.3; echo after; exit 9");
    run(subject, &stays).await;
    run(subject, &ends).await;
    let later = (subject.again)();
    let found = later.recover().await.expect("recover");
    let state = |key: &ContainerKey| found.iter().find(|f| f.key == *key).map(|f| f.state.clone());
    assert_eq!(state(&stays.key), Some(FoundState::Running));
    for f in &found {
        let names = later.names(&f.key).await.expect("names");
        assert_eq!(f.names, names, "it goes by the same names");
    }
    let exit = soon("wait", later.wait(&ends.key)).await.expect("wait");
    assert_eq!(exit.code, Some(9));
    let logs = lines(later.logs(&ends.key, LogQuery::default()).await.expect("logs")).await;
    assert_eq!(text(&logs, LogSource::Stdout), "after\n");
    later.remove(&ends.key).await.expect("remove");
    end(subject, &stays).await;
}

async fn logs_are_followed_and_cut(subject: &Subject) {
    let plan = plan(
        subject,
        "for i in 1 2 3 4 5; do echo line $i; done; sleep 0.3; echo last",
    );
    run(subject, &plan).await;
    let follow = LogQuery {
        follow: true,
        ..LogQuery::default()
    };
    let followed = lines(subject.runtime.logs(&plan.key, follow).await.expect("logs")).await;
    assert_eq!(
        followed.len(),
        6,
        "following ends with the container: {followed:?}"
    );
    let tail = LogQuery {
        tail: Some(2),
        ..LogQuery::default()
    };
    let tail = lines(subject.runtime.logs(&plan.key, tail).await.expect("logs")).await;
    assert_eq!(text(&tail, LogSource::Stdout), "line 5\nlast\n");
    let none = LogQuery {
        stdout: false,
        ..LogQuery::default()
    };
    assert!(
        lines(subject.runtime.logs(&plan.key, none).await.expect("logs"))
            .await
            .is_empty()
    );
    soon("wait", subject.runtime.wait(&plan.key)).await.expect("wait");
    subject.runtime.remove(&plan.key).await.expect("remove");
}

fn exec(script: &str) -> ExecRequest {
    ExecRequest {
        argv: vec!["/bin/sh".into(), "-c".into(), script.into()],
        ..ExecRequest::default()
    }
}

async fn exec_keeps_streams_apart_and_gives_the_code(subject: &Subject) {
    let plan = plan(subject, "exec sleep 1000");
    run(subject, &plan).await;
    let input = futures::stream::empty().boxed();
    let output = subject
        .runtime
        .exec(&plan.key, exec("echo o; echo e >&2; exit 4"), input)
        .await
        .expect("exec");
    assert_eq!(collect(output).await, (b"o\n".to_vec(), b"e\n".to_vec(), 4));
    end(subject, &plan).await;
}

async fn exec_reads_input_to_its_end(subject: &Subject) {
    let plan = plan(subject, "exec sleep 1000");
    run(subject, &plan).await;
    let chunk = bytes::Bytes::from(vec![b'x'; 64 << 10]);
    let sent: Vec<_> = std::iter::repeat_n(StreamInput::Data(chunk), 16)
        .chain([StreamInput::Eof])
        .collect();
    let request = ExecRequest {
        stdin: true,
        ..exec("cat")
    };
    let input = futures::stream::iter(sent).boxed();
    let output = subject
        .runtime
        .exec(&plan.key, request, input)
        .await
        .expect("exec");
    let (out, _, code) = collect(output).await;
    assert_eq!((out.len(), code), (1 << 20, 0), "a mebibyte there and back");
    end(subject, &plan).await;
}

async fn stats_are_read(subject: &Subject) {
    let plan = plan(subject, "exec sleep 1000");
    run(subject, &plan).await;
    let stats = soon("stats", subject.runtime.stats(&plan.key))
        .await
        .expect("stats");
    assert!(stats.at_nanos > 0, "{stats:?}");
    let top = soon("top", subject.runtime.top(&plan.key, ""))
        .await
        .expect("top");
    assert!(top.titles.iter().any(|t| t == "PID"), "{top:?}");
    let runs = |row: &Vec<String>| row.last().is_some_and(|c| c.contains("sleep 1000"));
    assert!(top.processes.iter().any(runs), "{top:?}");
    end(subject, &plan).await;
}
