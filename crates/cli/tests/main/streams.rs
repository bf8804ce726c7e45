//! Logs and exec.

use crate::fake::{serve, some, wait};
use std::io::Write;
use std::process::Stdio;

#[tokio::test]
async fn logs_are_printed_as_they_were_written() {
    let server = serve(some()).await;
    let mut command = server.command("task logs web.0");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    assert_eq!(output.stdout, b"one\nt\xffo");
    let ran = server.run("task logs web.0 -t").await;
    assert_eq!(ran.out, "2026-01-02T03:04:05Z one\n");
    assert_eq!(
        ran.err, "2026-01-02T03:04:05Z two\n",
        "what went to standard error goes there again"
    );
    let ran = server.run("task logs web.0 -o json --since 5m").await;
    assert_eq!(ran.out.lines().count(), 2, "{}", ran.out);
    assert_eq!(server.run("task logs web.0 --since soon").await.code, 2);
}

#[tokio::test]
async fn exec_carries_input_output_and_the_exit_code() {
    let server = serve(some()).await;
    let mut command = server.command("task exec -i -e A=b web.0 -- cat -n");
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"hello\n").unwrap();
    let ran = wait(child).await;
    assert_eq!((ran.code, ran.out.as_str()), (7, "hello\n"));
    assert_eq!(ran.err, "[\"cat\", \"-n\"] [(\"A\", \"b\")]\n");
}

#[tokio::test]
async fn exec_without_input_takes_a_command_with_flags_as_it_is() {
    let server = serve(some()).await;
    let ran = server.run("task exec web.0 ls -la --help").await;
    assert_eq!(ran.code, 7, "{ran:?}");
    assert_eq!(ran.err, "[\"ls\", \"-la\", \"--help\"] []\n");
}
