//! The agent dies, the shim does not.

use crate::ends::kill_9;
use crate::support::{Container, code, ended, is_root, output, sh, shim, until};
use plenum_shim::client::{self, Recovered};
use plenum_shim::logs::record::Stream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

const DIR: &str = "SHIM_TEST_DIR";
const SCRIPT: &str = "SHIM_TEST_SCRIPT";

/// Not a test: the process that plays the agent, started by the tests below from this same executable.
#[test]
#[ignore = "plays the agent for other tests"]
fn agent() {
    let (dir, script) = (std::env::var(DIR).unwrap(), std::env::var(SCRIPT).unwrap());
    client::launch(shim(), Path::new(&dir), &sh(&script)).unwrap();
    loop {
        std::thread::park();
    }
}

fn agent_command(dir: &Path, script: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "outlives::agent", "--ignored"])
        .env(DIR, dir)
        .env(SCRIPT, script)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

#[test]
fn exit_code_and_logs_of_the_gap_are_there_after_the_agent_was_killed() {
    let container = Container::new();
    let gate = container.dir().join("gate");
    let script = format!(
        "echo before; until [ -e {} ]; do sleep 0.02; done; echo after; exit 42",
        gate.display()
    );
    let mut agent = agent_command(&container.dir(), &script)
        .process_group(0)
        .spawn()
        .unwrap();
    until("the container to run", || {
        matches!(client::recover(&container.dir()), Ok(Recovered::Alive(_)))
    });
    container.until_output("before");
    // Ctrl-C for its whole group, then the hard way.
    let group = nix::unistd::Pid::from_raw(agent.id().cast_signed());
    nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGINT).unwrap();
    nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL).unwrap();
    agent.wait().unwrap();
    let Ok(Recovered::Alive(status)) = client::recover(&container.dir()) else {
        panic!("did not survive")
    };
    assert!(plenum_shim::procfs::is_alive(status.main.unwrap()));
    std::fs::write(gate, "").unwrap();
    assert_eq!(code(&container.wait()), 42);
    assert_eq!(output(&container.dir(), Stream::Stdout), "before\nafter\n");
    until("the shim to go", || !plenum_shim::procfs::is_alive(status.shim));
    assert_eq!(code(&ended(&container.dir())), 42);
}

#[test]
fn without_root_it_runs_without_namespaces_and_loses_nothing() {
    if !is_root("to become somebody else") {
        return;
    }
    let container = Container::new();
    std::fs::create_dir(container.dir()).unwrap();
    let root = container.dir().parent().unwrap().to_owned();
    for dir in [&root, &container.dir()] {
        std::os::unix::fs::chown(dir, Some(65_534), Some(65_534)).unwrap();
    }
    // The nobody of this test must be able to run what root has built.
    let copy = root.join("copy-of-this-test");
    std::fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    let agent = agent_command(&container.dir(), "id -u; sleep 0.1; exit 5");
    let mut agent = Command::new(&copy)
        .args(agent.get_args().map(ToOwned::to_owned).collect::<Vec<_>>())
        .envs(
            agent
                .get_envs()
                .filter_map(|(key, value)| Some((key.to_owned(), value?.to_owned()))),
        )
        .env("SHIM_TEST_INSTALL", &root)
        .stdout(Stdio::null())
        .uid(65_534)
        .gid(65_534)
        .spawn()
        .unwrap();
    until("the container to end", || {
        matches!(client::recover(&container.dir()), Ok(Recovered::Ended(_)))
    });
    kill_9(agent.id().cast_signed());
    agent.wait().unwrap();
    assert_eq!(code(&ended(&container.dir())), 5);
    assert_eq!(output(&container.dir(), Stream::Stdout), "65534\n");
}
