//! How containers end, and why they do not start.

use crate::support::{Container, code, ended, sh, until};
use plenum_shim::client::{self, Recovered, ShimError};
use plenum_shim::config::{Rlimit, RlimitResource, User};
use plenum_shim::files;
use plenum_shim::logs::record::Stream;
use plenum_shim::procfs;
use plenum_shim::state::{Outcome, Stage, Status};
use std::path::PathBuf;

#[test]
fn exit_codes_and_signals_are_kept() {
    let container = Container::run("echo out; echo err >&2; exit 7");
    let exit = container.wait();
    assert_eq!(code(&exit), 7);
    assert!(exit.started_at_ms.unwrap() <= exit.finished_at_ms);
    assert_eq!(ended(&container.dir()), exit);
    assert_eq!(container.output(Stream::Stdout), "out\n");
    assert_eq!(container.output(Stream::Stderr), "err\n");
    assert_eq!(
        Container::run("kill -9 $$").wait().outcome,
        Outcome::Signal {
            signal: 9,
            core: false
        }
    );
    assert_eq!(
        Container::run("kill -40 $$").wait().outcome,
        Outcome::Signal {
            signal: 40,
            core: false
        }
    );
}

fn why(config: &plenum_shim::config::Config) -> (Stage, String) {
    let container = Container::new();
    let failure = match container.launch(config) {
        Err(ShimError::NotStarted(failure)) => failure,
        other => panic!("started or failed otherwise: {other:?}"),
    };
    let kept = ended(&container.dir());
    assert_eq!(
        kept.outcome,
        Outcome::NotStarted {
            failure: failure.clone()
        }
    );
    (failure.stage, failure.message)
}

#[test]
fn what_cannot_start_says_clearly_why() {
    let mut config = sh("true");
    config.argv = vec!["no-such-program".into()];
    assert_eq!(
        why(&config),
        (Stage::Exec, "command not found: no-such-program".into())
    );
    config.argv = vec!["/no/such/program".into()];
    assert_eq!(why(&config).1, "command not found: /no/such/program");
    config.argv = vec!["/etc/passwd".into()];
    assert_eq!(why(&config).1, "permission denied: /etc/passwd");
    config.argv = vec!["a\0b".into()];
    assert!(why(&config).1.contains("zero byte"));
    let script = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(script.path(), "#!/no/such/interpreter\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(script.path(), mode).unwrap();
    let script = script.into_temp_path();
    config.argv = vec![script.to_str().unwrap().to_owned()];
    assert!(why(&config).1.contains("interpreter"));
    config = sh("true");
    config.cwd = "/no/such/directory".into();
    let wanted = "cannot enter working directory /no/such/directory: No such file or directory";
    assert_eq!(why(&config), (Stage::Directory, wanted.into()));
    config = sh("true");
    config.cgroups = vec!["/no/such/cgroup".into()];
    assert_eq!(why(&config).0, Stage::Cgroup);
}

#[test]
fn an_order_that_contradicts_itself_is_refused() {
    let mut config = sh("true");
    config.argv.clear();
    assert_eq!(why(&config), (Stage::Prepare, "argv is empty".into()));
}

#[test]
fn a_directory_serves_one_start_only() {
    let container = Container::run("sleep 100");
    let second = container.launch(&sh("echo twice")).unwrap_err();
    assert!(second.to_string().contains("another shim runs"), "{second}");
    assert!(matches!(
        client::recover(&container.dir()),
        Ok(Recovered::Alive(_))
    ));
    client::kill(&container.dir()).unwrap();
    container.wait();
    let third = container.launch(&sh("echo twice")).unwrap_err();
    assert!(third.to_string().contains("served a start already"), "{third}");
    assert_eq!(container.output(Stream::Stdout), "");
}

#[test]
fn term_may_be_ignored_and_kill_may_not() {
    let container = Container::run("trap 'echo no' TERM; echo ready; while :; do sleep 0.05; done");
    container.until_output("ready");
    client::signal(&container.dir(), 15).unwrap();
    container.until_output("no");
    assert!(
        client::signal(&container.dir(), 99)
            .unwrap_err()
            .to_string()
            .contains("no such signal")
    );
    client::kill(&container.dir()).unwrap();
    assert_eq!(
        container.wait().outcome,
        Outcome::Signal {
            signal: 9,
            core: false
        }
    );
    assert!(matches!(
        client::kill(&container.dir()),
        Err(ShimError::Gone { .. })
    ));
}

#[test]
fn what_the_command_leaves_behind_goes_with_it() {
    let container =
        Container::run("setsid sh -c 'setsid sleep 1000 & echo $!; exec sleep 1000' & sleep 0.2; exit 3");
    assert_eq!(code(&container.wait()), 3);
    let left: i32 = container.output(Stream::Stdout).trim().parse().unwrap();
    until("the orphan to go", || procfs::identify(left).is_err());
}

#[test]
fn held_containers_start_when_asked_once_and_can_be_cancelled() {
    let mut config = sh("echo started");
    config.hold = true;
    let container = Container::new();
    assert_eq!(container.launch(&config).unwrap().main, None);
    assert!(
        client::signal(&container.dir(), 15)
            .unwrap_err()
            .to_string()
            .contains("not started")
    );
    client::start(&container.dir()).unwrap();
    assert_eq!(code(&container.wait()), 0);
    assert_eq!(container.output(Stream::Stdout), "started\n");
    let container = Container::new();
    container.launch(&config).unwrap();
    client::kill(&container.dir()).unwrap();
    assert_eq!(container.wait().outcome, Outcome::Cancelled);
    config.argv = vec!["no-such-program".into()];
    let container = Container::new();
    container.launch(&config).unwrap();
    let error = client::start(&container.dir()).unwrap_err();
    assert_eq!(error.to_string(), "command not found: no-such-program");
    assert!(matches!(container.wait().outcome, Outcome::NotStarted { .. }));
}

#[test]
fn starting_twice_is_starting_once() {
    let mut config = sh("echo started; sleep 100");
    config.hold = true;
    let container = Container::new();
    container.launch(&config).unwrap();
    client::start(&container.dir()).unwrap();
    client::start(&container.dir()).unwrap();
    container.until_output("started");
    assert_eq!(container.output(Stream::Stdout), "started\n");
}

#[test]
fn a_shim_that_was_killed_takes_its_command_along_and_is_gone() {
    let container = Container::run("sleep 1000 & echo $!; wait");
    container.until_output("\n");
    let Ok(Recovered::Alive(status)) = client::recover(&container.dir()) else {
        panic!("not alive")
    };
    kill_9(status.shim.pid);
    let main = status.main.unwrap();
    until("the command to die", || !procfs::is_alive(main));
    until("the lock to be free", || {
        matches!(
            client::recover(&container.dir()),
            Ok(Recovered::Gone { rebooted: false, .. })
        )
    });
    assert!(matches!(
        client::wait(&container.dir()),
        Err(ShimError::Gone { .. })
    ));
    client::sweep(&status, &[]);
    let left: i32 = container.output(Stream::Stdout).trim().parse().unwrap();
    until("what it left to go", || {
        !procfs::identify(left).is_ok_and(procfs::is_alive)
    });
    let old = Status {
        boot_id: "another".into(),
        ..status
    };
    files::write_json(&container.dir(), files::STATUS, &old).unwrap();
    assert!(matches!(
        client::recover(&container.dir()),
        Ok(Recovered::Gone { rebooted: true, .. })
    ));
}

pub(crate) fn kill_9(pid: i32) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
}

#[test]
fn an_empty_directory_holds_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let nothing = Recovered::Gone {
        last: None,
        rebooted: false,
    };
    assert_eq!(client::recover(dir.path()).unwrap(), nothing);
    assert_eq!(client::recover(&PathBuf::from("/no/such/dir")).unwrap(), nothing);
}

#[test]
fn the_command_gets_the_environment_limits_and_user_of_its_order_and_nothing_else() {
    let mut config =
        sh("env | grep -vE '^(PWD|SHLVL|_)='; ulimit -n; umask; pwd; ls -1 /proc/self/fd | wc -l");
    config.env.insert("GREETING".into(), "hallo welt".into());
    config.cwd = "/usr".into();
    config.rlimits = vec![Rlimit {
        resource: RlimitResource::Nofile,
        soft: 123,
        hard: 123,
    }];
    let container = Container::new();
    container.launch(&config).unwrap();
    assert_eq!(code(&container.wait()), 0, "{}", container.output(Stream::Stderr));
    let output = container.output(Stream::Stdout);
    // Standard streams and the directory that ls reads.
    assert_eq!(
        output,
        "GREETING=hallo welt\nPATH=/usr/local/bin:/usr/bin:/bin\n123\n0022\n/usr\n4\n"
    );
    if nix::unistd::geteuid().is_root() {
        let mut config = sh("id -u; id -g; id -G");
        config.user = Some(User {
            uid: 1234,
            gid: 1235,
            groups: vec![1236],
        });
        let container = Container::new();
        container.launch(&config).unwrap();
        container.wait();
        assert_eq!(container.output(Stream::Stdout), "1234\n1235\n1235 1236\n");
    }
}
