//! Every verb of single containers through the real CLIs: exit code, output, and what is so afterwards.

use crate::support::docker::{Cli, clis};
use crate::support::image::{BUSYBOX, docker};
use crate::support::up::Up;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_verb_of_a_container_does_what_docker_does() {
    if !docker() {
        return;
    }
    let up = Up::start_with(2, &["swarm"]).await;
    for cli in clis(up.url("docker")) {
        codes(&cli);
        held(&cli);
        logs(&cli);
        execs(&cli);
        life(&cli);
        lists(&cli);
        looks(&cli);
        refused(&cli);
        assert_eq!(cli.ok(&["ps", "-aq"]), "");
    }
}

/// Waits until a command prints this.
fn until(cli: &Cli, args: &[&str], wanted: &str) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let got = cli.ok(args);
        if got.contains(wanted) {
            return;
        }
        assert!(Instant::now() < deadline, "{args:?}: still {got}, not {wanted}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The exit code of `run` is the container's own, or tells what went wrong before.
fn codes(cli: &Cli) {
    let run = ["run", "--rm", BUSYBOX];
    let of = |command: &[&str], code| cli.fails(&[&run[..], command].concat(), code);
    assert_eq!(cli.ok(&[&run[..], &["true"]].concat()), "");
    of(&["sh", "-c", "exit 3"], 3);
    assert!(of(&["/nosuch"], 127).contains("no such file"));
    assert!(of(&["/etc/passwd"], 126).contains("permission denied"));
    let missing = cli.fails(&["run", "--rm", "nosuch-image:1"], 125);
    assert!(missing.contains("nosuch-image:1"), "{missing}");
    assert_eq!(
        cli.with_input(&["run", "-i", "--rm", BUSYBOX, "cat"], b"hi\n"),
        "hi\n"
    );
}

/// What is created is started later, as often as one likes.
fn held(cli: &Cli) {
    cli.ok(&[
        "create",
        "-i",
        "--name",
        "held",
        BUSYBOX,
        "sh",
        "-c",
        "read x; echo got $x; exit 4",
    ]);
    assert_eq!(cli.field("held", "{{.State.Status}}"), "created");
    let mut child = cli.command(&["start", "-ai", "held"]);
    let child = child
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped());
    let mut child = child.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"it\n").unwrap();
    let out = child.wait_with_output().unwrap();
    assert_eq!((out.status.code(), &out.stdout[..]), (Some(4), &b"got it\n"[..]));
    cli.ok(&["rm", "held"]);

    cli.ok(&[
        "create",
        "--name",
        "again",
        BUSYBOX,
        "sh",
        "-c",
        "echo ran; exit 2",
    ]);
    for _ in 0..2 {
        let out = cli.run(&["start", "-a", "again"]);
        assert_eq!(
            (out.status.code(), &out.stdout[..]),
            (Some(2), &b"ran\n"[..]),
            "{out:?}"
        );
    }
    assert_eq!(
        cli.field("again", "{{.State.Status}} {{.State.ExitCode}}"),
        "exited 2"
    );
    cli.ok(&["rm", "again"]);
}

fn logs(cli: &Cli) {
    let script = "for i in 1 2 3; do echo out $i; done; echo err >&2; sleep 1.5; echo last";
    cli.ok(&["run", "-d", "--name", "told", BUSYBOX, "sh", "-c", script]);
    let followed = cli.run(&["logs", "-f", "told"]);
    assert_eq!(
        followed.stdout, b"out 1\nout 2\nout 3\nlast\n",
        "following ends with it"
    );
    assert_eq!(followed.stderr, b"err\n");
    assert_eq!(cli.ok(&["logs", "--tail", "1", "told"]), "last");
    assert_eq!(cli.ok(&["logs", "--tail", "0", "told"]), "");
    let stamped = cli.ok(&["logs", "-t", "--tail", "1", "told"]);
    let (at, line) = stamped.split_once(' ').unwrap();
    assert!(at.ends_with('Z') && at.len() == 30 && line == "last", "{stamped}");
    assert_eq!(cli.ok(&["logs", "--since", at, "told"]), "last");
    assert_eq!(cli.ok(&["logs", "--since", "2100-01-01T00:00:00Z", "told"]), "");
    assert!(cli.ok(&["logs", "--since", "10m", "told"]).starts_with("out 1"));
    assert!(
        cli.fails(&["logs", "nosuch"], 1)
            .contains("No such container: nosuch")
    );
    cli.ok(&["rm", "told"]);
}

fn execs(cli: &Cli) {
    cli.ok(&[
        "run", "-d", "--name", "host", "-e", "A=1", "-w", "/tmp", BUSYBOX, "sleep", "1000",
    ]);
    assert_eq!(cli.ok(&["exec", "host", "sh", "-c", "echo $A $(pwd)"]), "1 /tmp");
    assert_eq!(
        cli.ok(&[
            "exec",
            "-e",
            "A=2",
            "-w",
            "/etc",
            "host",
            "sh",
            "-c",
            "echo $A $(pwd)"
        ]),
        "2 /etc"
    );
    assert_eq!(cli.with_input(&["exec", "-i", "host", "cat"], b"typed"), "typed");
    cli.fails(&["exec", "host", "sh", "-c", "exit 9"], 9);
    // By the age of the node's engine.
    let missing = cli.run(&["exec", "host", "/nosuch"]).status.code();
    assert!(matches!(missing, Some(126 | 127)), "{missing:?}");
    cli.ok(&["exec", "-d", "host", "sh", "-c", "echo made > /tmp/it"]);
    until(cli, &["exec", "host", "sh", "-c", "cat /tmp/it || true"], "made");
    assert_eq!(cli.ok(&["exec", "-u", "7:8", "host", "busybox", "id", "-u"]), "7");
    cli.ok(&["stop", "-t", "0", "host"]);
    assert!(cli.fails(&["exec", "host", "true"], 1).contains("is not running"));
    assert!(
        cli.fails(&["exec", "nosuch", "true"], 1)
            .contains("No such container: nosuch")
    );
    cli.ok(&["rm", "host"]);
}

/// From created to removed, and what is told of it.
fn life(cli: &Cli) {
    let began = cli.ok(&["run", "--rm", BUSYBOX, "date", "+%s"]);
    let trap = "trap 'echo hup' HUP; trap 'echo term; exit 5' TERM; echo up; while :; do sleep 0.05; done";
    let id = cli.ok(&[
        "run", "-d", "--name", "alive", "--label", "k=v", BUSYBOX, "sh", "-c", trap,
    ]);
    until(cli, &["logs", "alive"], "up");
    cli.ok(&["kill", "-s", "HUP", "alive"]);
    until(cli, &["logs", "alive"], "hup");
    assert_eq!(
        cli.field("alive", "{{.State.Status}} {{.State.Running}}"),
        "running true"
    );
    cli.ok(&["rename", "alive", "moved"]);
    assert_eq!(cli.field(&id[..12], "{{.Name}}"), "/moved");
    assert_eq!(cli.ok(&["ps", "--format", "{{.Names}}"]), "moved");
    cli.ok(&["stop", "moved"]);
    assert_eq!(cli.ok(&["wait", "moved"]), "5");
    assert_eq!(
        cli.field("moved", "{{.State.Status}} {{.State.ExitCode}}"),
        "exited 5"
    );
    assert!(cli.fails(&["kill", "moved"], 1).contains("is not running"));
    cli.ok(&["restart", "-t", "0", "moved"]);
    assert_eq!(cli.field("moved", "{{.State.Status}}"), "running");
    assert!(
        cli.fails(&["rm", "moved"], 1)
            .contains("cannot remove a running container")
    );
    cli.ok(&["kill", "moved"]);
    assert_eq!(cli.ok(&["wait", "moved"]), "137");
    cli.ok(&["start", "moved"]);
    cli.ok(&["rm", "-f", "moved"]);
    assert!(cli.fails(&["inspect", "moved"], 1).contains("o such object"));

    let format = "{{.Action}} {{.Actor.Attributes.name}} {{.Actor.Attributes.exitCode}}";
    let told = cli.ok(&[
        "events",
        "--since",
        &began,
        "--until",
        &now(),
        "--filter",
        "label=k=v",
        "--format",
        format,
    ]);
    let told: Vec<&str> = told
        .lines()
        .map(|l| l.trim_end_matches(" <no value>").trim_end())
        .collect();
    let wanted = [
        "create alive",
        "start alive",
        "kill alive",
        "rename moved",
        "kill moved",
        "die moved 5",
        "stop moved",
        "start moved",
        "restart moved",
        "kill moved",
        "die moved 137",
        "start moved",
        "destroy moved",
    ];
    let mut rest = told.iter();
    for one in wanted {
        assert!(
            rest.any(|t| *t == one),
            "{one} is not told, or not in its turn: {told:?}"
        );
    }
}

fn lists(cli: &Cli) {
    let web = cli.ok(&[
        "run", "-d", "--name", "web", "--label", "tier=web", BUSYBOX, "sleep", "1000",
    ]);
    cli.ok(&["create", "--name", "idle", BUSYBOX, "true"]);
    cli.fails(&["run", "--name", "done", BUSYBOX, "sh", "-c", "exit 3"], 3);
    let names = |more: &[&str]| {
        let args = [&["ps", "--format", "{{.Names}}"][..], more].concat();
        let listed = cli.ok(&args);
        let mut names: Vec<String> = listed.lines().map(str::to_owned).collect();
        names.sort();
        names.join(" ")
    };
    assert_eq!(names(&[]), "web");
    assert_eq!(names(&["-a"]), "done idle web");
    for (filter, wanted) in [
        ("status=created", "idle"),
        ("status=exited", "done"),
        ("exited=3", "done"),
        ("label=tier=web", "web"),
        ("label=tier=none", ""),
        ("name=do", "done"),
        ("id=0000", ""),
        ("health=none", "done idle web"),
        ("since=web", "done idle"),
        ("before=idle", "web"),
        ("network=bridge", "done idle web"),
    ] {
        assert_eq!(names(&["-a", "--filter", filter]), wanted, "{filter}");
    }
    let ancestor = format!("ancestor={BUSYBOX}");
    assert_eq!(names(&["--filter", &ancestor]), "web");
    assert!(cli.fails(&["ps", "--filter", "bogus=1"], 1).contains("bogus"));
    assert_eq!(names(&["-n", "1"]), "done");
    let row = cli.ok(&[
        "ps",
        "--no-trunc",
        "--format",
        "{{.ID}} {{.Image}} {{.Command}} {{.State}} {{.Status}}",
    ]);
    assert!(
        row.starts_with(&format!("{web} {BUSYBOX} \"sleep 1000\" running Up ")),
        "{row}"
    );
    cli.ok(&["rm", "-f", "web", "idle", "done"]);
}

/// `top`, `stats`, `port` and what is behind the port.
fn looks(cli: &Cli) {
    let serve = "echo hello > /www/index.html; httpd -p 80 -h /www; echo up; sleep 1000";
    let asked = [
        "run", "-d", "--name", "seen", "-p", "80", "-m", "32m", BUSYBOX, "sh", "-c", serve,
    ];
    cli.ok(&asked);
    until(cli, &["logs", "seen"], "up");
    let port = cli.ok(&["port", "seen", "80/tcp"]);
    let address = port.lines().next().unwrap();
    let mut socket = TcpStream::connect(address).unwrap();
    socket.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("hello\n"), "{answer}");

    let top = cli.ok(&["top", "seen"]);
    assert!(
        top.starts_with("UID") && top.contains("sleep 1000") && top.contains("httpd"),
        "{top}"
    );
    let columns = cli.ok(&["top", "seen", "-o", "pid,comm"]);
    assert!(
        columns.contains("COMMAND") && columns.contains("sleep"),
        "{columns}"
    );
    let format = "{{.Name}}|{{.CPUPerc}}|{{.MemUsage}}|{{.NetIO}}|{{.BlockIO}}|{{.PIDs}}";
    let stats = cli.ok(&["stats", "--no-stream", "--format", format, "seen"]);
    let cells: Vec<&str> = stats.split('|').collect();
    assert_eq!(cells[0], "seen");
    assert!(
        cells[1].ends_with('%') && cells[2].ends_with("/ 32MiB"),
        "{stats}"
    );
    assert!(
        !cells[3].starts_with("0B / 0B") && cells[5] != "0",
        "what it served is counted: {stats}"
    );
    cli.ok(&["stop", "-t", "0", "seen"]);
    assert!(cli.fails(&["top", "seen"], 1).contains("is not running"));
    cli.ok(&["rm", "seen"]);
}

/// What is not served says so by its name.
fn refused(cli: &Cli) {
    cli.ok(&["run", "-d", "--name", "kept", BUSYBOX, "sleep", "1000"]);
    for (args, words) in [
        (&["pause", "kept"][..], "pause of a container is not served"),
        (&["unpause", "kept"], "unpause of a container is not served"),
        (
            &["update", "-m", "64m", "kept"],
            "update of a container is not served",
        ),
        (&["diff", "kept"], "diff of a container is not served"),
        (&["export", "kept"], "export of a container is not served"),
        (
            &["cp", "kept:/etc/passwd", "-"],
            "archive (docker cp) of a container is not served",
        ),
        (&["rename", "kept", "kept"], "same name"),
    ] {
        let out = cli.run(args);
        assert!(!out.status.success(), "{args:?}: {out:?}");
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(said.contains(words), "{args:?}: {said}");
    }
    cli.ok(&["rm", "-f", "kept"]);
}

/// An image whose own check passes while a file is there; gone with this.
struct Checked(String);

impl Checked {
    fn image() -> Self {
        let name = format!("plenum-test/checked:{}", std::process::id());
        let check = "HEALTHCHECK --interval=2s --retries=2 CMD test -e /tmp/well";
        let line = format!(
            "id=$(docker create {BUSYBOX} true) && docker export $id | docker import -c 'ENV PATH=/bin' \
             -c '{check}' - {name} && docker rm $id"
        );
        let made = Command::new("sh").args(["-c", &line]).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        Self(name)
    }
}

impl Drop for Checked {
    fn drop(&mut self) {
        drop(Command::new("docker").args(["rmi", "-f", &self.0]).output());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_is_starting_then_what_the_check_says_whoever_named_the_check() {
    if !docker() {
        return;
    }
    let image = Checked::image();
    let up = Up::start_with(1, &["swarm"]).await;
    let cli = &clis(up.url("docker"))[0];
    let own = [
        "--health-cmd",
        "test -e /tmp/well",
        "--health-interval",
        "2s",
        "--health-retries",
        "2",
    ];
    let ways: [(&[&str], &str); 2] = [(&own, BUSYBOX), (&[], &image.0)];
    for (flags, image) in ways {
        let run = [
            &["run", "-d", "--name", "sick"][..],
            flags,
            &[image, "sleep", "1000"],
        ]
        .concat();
        cli.ok(&run);
        until(cli, &["ps", "--format", "{{.Status}}"], "(health: starting)");
        until(cli, &["ps", "--format", "{{.Status}}"], "(unhealthy)");
        let failing = cli.field(
            "sick",
            "{{.State.Health.FailingStreak}} {{len .State.Health.Log}}",
        );
        let numbers: Vec<u32> = failing.split(' ').map(|n| n.parse().unwrap()).collect();
        assert!(numbers[0] >= 2 && (2..=5).contains(&numbers[1]), "{failing}");
        assert_eq!(cli.field("sick", "{{(index .State.Health.Log 0).ExitCode}}"), "1");
        assert_eq!(
            cli.field("sick", "{{.State.Running}}"),
            "true",
            "it goes on all the same"
        );
        assert_eq!(
            cli.ok(&["ps", "--filter", "health=unhealthy", "--format", "{{.Names}}"]),
            "sick"
        );
        cli.ok(&["exec", "sick", "sh", "-c", "echo > /tmp/well"]);
        until(cli, &["ps", "--format", "{{.Status}}"], "(healthy)");
        assert_eq!(cli.field("sick", "{{.State.Health.Status}}"), "healthy");
        assert_eq!(cli.field("sick", "{{.State.Health.FailingStreak}}"), "0");
        cli.ok(&["rm", "-f", "sick"]);
    }
    let off = [
        "run",
        "-d",
        "--name",
        "off",
        "--no-healthcheck",
        &image.0,
        "sleep",
        "1000",
    ];
    cli.ok(&off);
    assert_eq!(cli.field("off", "{{.State.Health}}"), "<nil>");
    cli.ok(&["rm", "-f", "off"]);
    let told = cli.ok(&[
        "events",
        "--since",
        "10m",
        "--until",
        &now(),
        "--format",
        "{{.Action}}",
    ]);
    for action in ["health_status: unhealthy", "health_status: healthy"] {
        assert_eq!(
            told.lines().filter(|t| *t == action).count(),
            2,
            "{action}: {told}"
        );
    }
}

/// An end of `events` that has all of this second: the CLI cuts moments it is given as durations to whole seconds.
fn now() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    (since.unwrap().as_secs() + 1).to_string()
}
