//! More programs in a running container.

use crate::support::{Container, is_root, sh, shim, until};
use plenum_shim::client;
use plenum_shim::config::{ExecConfig, Namespaces, User};
use std::collections::BTreeMap;
use std::process::{Output, Stdio};

fn order(script: &str) -> ExecConfig {
    ExecConfig {
        argv: vec!["sh".into(), "-c".into(), script.into()],
        env: BTreeMap::new(),
        cwd: None,
        user: None,
        terminal: false,
    }
}

fn exec(container: &Container, order: &ExecConfig) -> Output {
    let mut command = client::exec_command(shim(), &container.dir(), order).unwrap();
    command.stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn it_runs_with_the_container_s_environment_and_passes_on_how_it_ended() {
    let container = Container::new();
    let mut config = sh("sleep 100");
    config.env.insert("A".into(), "a".into());
    config.env.insert("B".into(), "b".into());
    container.launch(&config).unwrap();
    let mut wanted = order("echo $A $B $PWD; echo bad >&2; exit 3");
    wanted.env.insert("B".into(), "c".into());
    wanted.cwd = Some("/usr".into());
    let output = exec(&container, &wanted);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(
        (text(&output.stdout), text(&output.stderr)),
        ("a c /usr\n", "bad\n")
    );
    assert_eq!(exec(&container, &order("kill -TERM $$")).status.code(), Some(143));
    wanted.argv = vec!["no-such-program".into()];
    let output = exec(&container, &wanted);
    assert_eq!(
        (output.status.code(), text(&output.stderr)),
        (Some(127), "command not found: no-such-program\n")
    );
    wanted.cwd = Some("/no/such/dir".into());
    assert_eq!(exec(&container, &wanted).status.code(), Some(126));
    let left = std::fs::read_dir(container.dir()).unwrap().flatten();
    assert!(
        !left
            .map(|entry| entry.file_name())
            .any(|name| name.to_string_lossy().starts_with("exec-"))
    );
}

#[test]
fn it_enters_the_container_s_namespaces_as_its_user() {
    if !is_root("namespaces") {
        return;
    }
    let container = Container::new();
    let mut config = sh("sleep 100");
    config.namespaces = Namespaces {
        pid: true,
        mount: true,
        uts: true,
    };
    config.hostname = Some("inside".into());
    config.user = Some(User {
        uid: 1234,
        gid: 1234,
        groups: vec![],
    });
    container.launch(&config).unwrap();
    let output = exec(
        &container,
        &order("hostname; id -u; ps -e -o comm= | sort -u | tr '\\n' ' '"),
    );
    assert_eq!(
        text(&output.stdout),
        "inside\n1234\nplenum-init ps sh sleep sort tr ",
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn it_ends_with_the_container_and_with_who_asked_for_it() {
    let container = Container::run("sleep 100");
    let mut command = client::exec_command(shim(), &container.dir(), &order("sleep 1000")).unwrap();
    let mut running = command.stdin(Stdio::null()).spawn().unwrap();
    client::kill(&container.dir()).unwrap();
    container.wait();
    let status = running.wait().unwrap();
    assert!(matches!(status.code(), Some(137 | 126)), "{status:?}");
    let refused = exec(&container, &order("true"));
    assert_eq!(
        (refused.status.code(), text(&refused.stderr)),
        (Some(126), "the container has ended\n")
    );

    let container = Container::run("sleep 100");
    let mut command =
        client::exec_command(shim(), &container.dir(), &order("echo $$; exec sleep 1000")).unwrap();
    let mut running = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut output = std::io::BufReader::new(running.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut output, &mut line).unwrap();
    let inner: i32 = line.trim().parse().unwrap();
    running.kill().unwrap();
    running.wait().unwrap();
    until("the program to end", || {
        plenum_shim::procfs::identify(inner).is_err()
    });
}
