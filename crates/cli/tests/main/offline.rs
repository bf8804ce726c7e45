//! What works without a server, and what is said when there is none.

use crate::fake::{Ran, command, ran, serve, some};
use std::path::Path;

fn offline(line: &str, home: &Path) -> Ran {
    ran(command(line, home).output().unwrap())
}

/// An address where nothing listens.
const NOWHERE: &str = "http://127.0.0.1:1";

#[test]
fn a_server_that_does_not_answer_is_named_with_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    let ran = offline(&format!("ps -c {NOWHERE}"), home.path());
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.err
            .starts_with("error[PLN-1002]: cannot reach http://127.0.0.1:1: "),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("plenum up"), "{}", ran.err);
    assert_eq!(ran.out, "");
}

#[test]
fn a_command_that_is_not_known_ends_with_2_and_the_nearest_one() {
    let home = tempfile::tempdir().unwrap();
    let ran = offline("tsk list", home.path());
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    assert!(ran.err.contains("did you mean `task`?"), "{}", ran.err);
    assert_eq!(offline("", home.path()).code, 2, "no command at all");
    assert_eq!(offline("--help", home.path()).code, 0);
}

#[test]
fn codes_are_explained_without_a_server() {
    let home = tempfile::tempdir().unwrap();
    let ran = offline("explain pln-3001", home.path());
    assert!(
        ran.code == 0 && ran.out.starts_with("PLN-3001  no node can hold the task now\n\n"),
        "{ran:?}"
    );
    assert_eq!(offline("explain PLN-9999", home.path()).code, 3);
    assert!(
        offline("explain", home.path())
            .out
            .contains("PLN-4002  an image cannot be had")
    );
}

#[test]
fn every_shell_gets_a_completion_of_every_command() {
    let home = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let ran = offline(&format!("completion {shell}"), home.path());
        for word in ["uncordon", "explain", "no-headers"] {
            assert!(ran.out.contains(word), "{shell}: {word}");
        }
    }
}

#[test]
fn contexts_are_kept_used_and_exported() {
    let home = tempfile::tempdir().unwrap();
    let at = |line: &str| offline(line, home.path());
    let ran = at("context add prod http://10.0.0.1:7717 --door marathon=http://10.0.0.1:8080");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(at("context use prd").code, 3);
    assert_eq!(at("context use prod").code, 0);
    assert_eq!(
        at("context list").out,
        "\
CONTEXT           CURRENT  API                    DOORS
- (this machine)  -        http://127.0.0.1:7717  -
prod              yes      http://10.0.0.1:7717   marathon http://10.0.0.1:8080
"
    );
    assert_eq!(
        at("context export marathon").out,
        "export MARATHON_URL=http://10.0.0.1:8080\n"
    );
    assert_eq!(
        at("context export dcos").out,
        "[core]\ndcos_url = \"http://10.0.0.1:8080\"\n"
    );
    let ran = at("context export docker");
    assert!(
        ran.code == 1 && ran.err.contains("no docker door is known"),
        "{ran:?}"
    );
    assert!(at("context show").out.starts_with("from        context prod\n"));
    assert_eq!(at("context add bad nonsense://x").code, 2);
    assert_eq!(at("context use -").code, 0);
    assert!(
        at("context show")
            .out
            .starts_with("from        the default address\n")
    );
}

#[tokio::test]
async fn doctor_has_a_line_per_check_and_fails_when_something_fails() {
    let home = tempfile::tempdir().unwrap();
    let ran = offline(&format!("doctor -c {NOWHERE}"), home.path());
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.out.contains("FAIL   server") && ran.out.contains("plenum up"),
        "{}",
        ran.out
    );
    for check in ["disk", "docker", "cgroups", "open files", "ports"] {
        assert!(ran.out.contains(&format!("  {check}  ")), "{check}: {}", ran.out);
    }
    let server = serve(some()).await;
    let ran = server.run("doctor").await;
    for line in [
        "ok     server",
        "ok     nodes",
        "ok     schedulers",
        "ok     clock",
    ] {
        assert!(ran.out.contains(line), "{line}: {}", ran.out);
    }
    assert_eq!(server.run("version").await.out.lines().count(), 2);
}
