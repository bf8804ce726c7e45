//! Images of the pool through the real CLIs: pulled, loaded, listed, named, saved and removed; and brought from
//! the node that has one to the node that needs it, where each has a daemon of its own.

use crate::support::dockerd::Dockerd;
use crate::support::image::{BUSYBOX, docker};
use crate::support::parts::{Part, endpoint};
use crate::support::registry::{AUTH, PASSWORD, serve};
use crate::support::up::Up;
use crate::support::{eventually, free_port, plenum};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// One real CLI that talks to a pool.
struct Cli<'a> {
    program: &'a str,
    host: &'a str,
    config: &'a Path,
}

impl Cli<'_> {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.program);
        command
            .args(args)
            .env("DOCKER_HOST", self.host)
            .env("DOCKER_CONFIG", self.config)
            .env_remove("DOCKER_CONTEXT");
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// What it printed; it must succeed.
    fn ok(&self, args: &[&str]) -> String {
        let out = self.run(args);
        assert!(out.status.success(), "{} {args:?}: {out:?}", self.program);
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    }

    /// What it complained of; it must fail.
    fn fails(&self, args: &[&str]) -> String {
        let out = self.run(args);
        assert!(!out.status.success(), "{} {args:?}: {out:?}", self.program);
        String::from_utf8(out.stderr).unwrap()
    }

    fn load(&self, archive: &Path) -> Output {
        let file = File::open(archive).unwrap();
        self.command(&["load"]).stdin(Stdio::from(file)).output().unwrap()
    }
}

fn clis() -> Vec<&'static str> {
    let all = ["/usr/local/bin/docker", "/usr/bin/docker"];
    all.into_iter().filter(|p| Path::new(p).exists()).collect()
}

/// An image that nobody else has, as an archive; no daemon keeps it. Like the busybox, with a label of its own.
struct Archive {
    name: String,
    file: PathBuf,
    dir: tempfile::TempDir,
}

impl Archive {
    fn new(what: &str) -> Self {
        let name = format!("plenum-test/{what}-{}:1", std::process::id());
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("image.tar");
        let run = |args: &[&str]| {
            let out = Command::new("docker").args(args).output().unwrap();
            assert!(out.status.success(), "docker {args:?}: {out:?}");
            String::from_utf8(out.stdout).unwrap().trim().to_owned()
        };
        let made = run(&["create", BUSYBOX, "true"]);
        run(&["commit", "-c", &format!("LABEL test={name}"), &made, &name]);
        run(&["rm", &made]);
        run(&["save", "-o", &file.display().to_string(), &name]);
        run(&["rmi", &name]);
        Self { name, file, dir }
    }

    /// The name with another tag.
    fn tagged(&self, tag: &str) -> String {
        let (name, _) = self.name.rsplit_once(':').unwrap();
        format!("{name}:{tag}")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn images_are_loaded_pulled_listed_and_removed_through_the_door() {
    if !docker() {
        return;
    }
    let up = Up::start_with(2, &["swarm"]).await;
    let host = up.url("docker").to_owned();
    for (n, program) in clis().into_iter().enumerate() {
        let archive = Archive::new(&format!("images-{n}"));
        let config = archive.dir.path().join("config");
        std::fs::create_dir(&config).unwrap();
        let cli = Cli {
            program,
            host: &host,
            config: &config,
        };
        loaded(&cli, &archive);
        refused(&cli, &archive);
        pulled(&cli, &archive).await;
    }
    for entry in walk(up.data()) {
        let bytes = std::fs::read(&entry).unwrap_or_default();
        for secret in [PASSWORD, AUTH] {
            let kept = bytes.windows(secret.len()).any(|w| w == secret.as_bytes());
            assert!(!kept, "{} keeps a password", entry.display());
        }
    }
}

fn loaded(cli: &Cli<'_>, archive: &Archive) {
    let name = archive.name.as_str();
    assert!(cli.fails(&["image", "inspect", name]).contains("No such image"));
    let out = cli.load(&archive.file);
    assert_eq!(
        String::from_utf8(out.stdout).unwrap().trim(),
        format!("Loaded image: {name}")
    );
    let format = "{{.Repository}}:{{.Tag}}";
    assert_eq!(cli.ok(&["images", "--format", format, name]), name);
    let filter = format!("label=test={name}");
    assert_eq!(cli.ok(&["images", "--format", format, "--filter", &filter]), name);
    let id = cli.ok(&["image", "inspect", "-f", "{{.Id}}", name]);
    assert_eq!(cli.ok(&["image", "inspect", "-f", "{{.Id}}", &id[7..19]]), id);
    assert_eq!(cli.ok(&["run", "--rm", name, "echo", "hi"]), "hi");
    assert_eq!(cli.ok(&["run", "--rm", &id, "echo", "by id"]), "by id");

    let other = archive.tagged("2");
    cli.ok(&["tag", name, &other]);
    assert_eq!(cli.ok(&["images", "-q", "--no-trunc", &other]), id);
    let saved = archive.dir.path().join("saved.tar");
    cli.ok(&["save", "-o", &saved.display().to_string(), name, &other]);
    assert_eq!(cli.ok(&["rmi", &other]), format!("Untagged: {other}"));

    cli.ok(&["run", "-d", "--name", "uses", name, "sleep", "1000"]);
    assert!(
        cli.fails(&["rmi", name]).contains("conflict"),
        "a container uses it"
    );
    cli.ok(&["rm", "-f", "uses"]);
    let gone = cli.ok(&["rmi", name]);
    assert!(gone.contains(&format!("Deleted: {id}")), "{gone}");
    assert!(cli.fails(&["image", "inspect", name]).contains("No such image"));

    assert!(cli.load(&saved).status.success());
    assert_eq!(cli.ok(&["image", "inspect", "-f", "{{.Id}}", &other]), id);
    cli.ok(&["rmi", "-f", &id]);
}

/// What is no image, and what is nowhere: at once, and with the daemon's own words.
fn refused(cli: &Cli<'_>, archive: &Archive) {
    let broken = archive.dir.path().join("broken.tar");
    let whole = std::fs::read(&archive.file).unwrap();
    for bytes in [
        &b"no archive at all"[..],
        &whole[..whole.len() / 2],
        &[0_u8; 2048],
    ] {
        std::fs::write(&broken, bytes).unwrap();
        let out = cli.load(&broken);
        assert!(!out.status.success(), "{} bytes: {out:?}", bytes.len());
        let said = String::from_utf8(out.stderr).unwrap();
        assert!(said.contains("Error"), "{said}");
    }
    assert!(
        cli.fails(&["image", "inspect", &archive.name])
            .contains("No such image")
    );
    for (args, words) in [
        (&["history", BUSYBOX][..], "not served"),
        (&["push", BUSYBOX], "not served"),
        (&["pull", "-a", "plenum-test/busybox"], "all tags"),
        (&["rmi", "nosuch:1"], "No such image"),
        (&["tag", "nosuch:1", "other:1"], "No such image"),
        (&["save", "nosuch:1"], "No such image"),
        (&["pull", "127.0.0.1:1/nosuch:1"], "connection refused"),
        (
            &["run", "--rm", "127.0.0.1:1/nosuch:1", "true"],
            "connection refused",
        ),
    ] {
        let began = Instant::now();
        let said = cli.fails(args);
        assert!(said.contains(words), "{args:?}: {said}");
        assert!(began.elapsed() < Duration::from_secs(10), "{args:?}");
    }
}

/// From a registry that wants a password.
async fn pulled(cli: &Cli<'_>, archive: &Archive) {
    let registry = serve(&archive.file).await;
    let image = format!("{registry}/team/app:1");
    let cli = |args: &[&str]| tokio::task::block_in_place(|| cli.run(args));
    let text = |out: &[u8]| String::from_utf8_lossy(out).into_owned();
    let refused = cli(&["pull", &image]);
    assert!(!refused.status.success());
    assert!(
        text(&refused.stderr).contains("no basic auth credentials"),
        "{refused:?}"
    );
    let config = format!(r#"{{"auths":{{"{registry}":{{"auth":"{AUTH}"}}}}}}"#);
    std::fs::write(archive.dir.path().join("config/config.json"), config).unwrap();

    let out = cli(&["pull", &image]);
    let told = text(&out.stdout);
    assert!(out.status.success(), "{out:?}");
    assert!(told.contains("Status: Downloaded newer image for"), "{told}");
    let out = cli(&["pull", &format!("{registry}/team/app:2")]);
    assert!(text(&out.stderr).contains("manifest unknown"), "{out:?}");
    let digests = cli(&["image", "inspect", "-f", "{{index .RepoDigests 0}}", &image]);
    let digest = text(&digests.stdout).trim().to_owned();
    assert!(
        digest.starts_with(&format!("{registry}/team/app@sha256:")),
        "{digest}"
    );
    let out = cli(&["run", "--rm", &digest, "echo", "by digest"]);
    assert_eq!(text(&out.stdout), "by digest\n", "{out:?}");
    assert!(cli(&["rmi", &image]).status.success());

    // What is missing the CLI pulls by itself.
    let out = cli(&["run", "--rm", &image, "echo", "hi"]);
    assert_eq!(text(&out.stdout), "hi\n", "{out:?}");
    assert!(text(&out.stderr).contains("Unable to find image"), "{out:?}");
    assert!(cli(&["rmi", &image]).status.success());
}

fn walk(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files.extend(walk(&entry.path())),
            Ok(kind) if kind.is_file() => files.push(entry.path()),
            _ => {}
        }
    }
    files
}

/// Two nodes with a daemon each, a broker and the door, as processes of their own.
struct Rig {
    host: String,
    daemons: [Dockerd; 2],
    dirs: Vec<PathBuf>,
    _parts: Vec<Part>,
    data: tempfile::TempDir,
}

impl Rig {
    async fn start() -> Self {
        let daemons = [Dockerd::start(), Dockerd::start()];
        let data = tempfile::Builder::new().prefix("plenum-img-").tempdir().unwrap();
        let dir = |name: &str| data.path().join(name);
        let start = |prefix: &[&str], name: &str, args: &[&str]| {
            let own = dir(name).display().to_string();
            let args = [args, &["--data", &own]].concat();
            Part::start(prefix, &args, &data.path().join(format!("{name}.log")))
        };
        let listen = format!("127.0.0.1:{}", free_port());
        let url = format!("http://{listen}");
        let mut parts = vec![start(&[], "broker", &["broker", "--listen", &listen])];
        for (i, daemon) in daemons.iter().enumerate() {
            let (name, address) = (format!("n{}", i + 1), format!("127.78.9.{}", i + 1));
            let args = ["agent", "--broker", &url, "--name", &name, "--address", &address];
            let set = ["--set", "agent.runtimes=docker", "--set", "agent.cpu_millis=1000"];
            let host = format!("agent.docker_host={}", daemon.host);
            let set = [&set[..], &["--set", &host]].concat();
            parts.push(start(&[], &name, &[&args[..], &set].concat()));
        }
        let door = format!("127.0.0.1:{}", free_port());
        let args = ["scheduler", "swarm", "--broker", &url, "--listen", &door];
        parts.push(start(&[], "swarm", &args));
        let host = endpoint(&dir("swarm"), "docker").await;
        Self {
            host,
            daemons,
            dirs: vec![dir("n1"), dir("n2")],
            _parts: parts,
            data,
        }
    }

    /// Which of the daemons have an image, and under which id.
    fn having(&self, name: &str) -> [String; 2] {
        [0, 1].map(|i| {
            let out = self.daemons[i].docker(&["images", "-q", "--no-trunc", name]);
            String::from_utf8(out.stdout).unwrap().trim().to_owned()
        })
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self._parts.clear();
        for dir in &self.dirs {
            let _ = Command::new(plenum()).arg("down").arg("--data").arg(dir).output();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_loaded_on_one_node_reaches_the_node_that_needs_it() {
    if !docker() || !nix::unistd::geteuid().is_root() {
        eprintln!("no Docker, or not root: daemons of their own are not tested");
        return;
    }
    let rig = Rig::start().await;
    let cli = Cli {
        program: clis()[0],
        host: &rig.host,
        config: rig.data.path(),
    };
    eventually("two nodes", || async {
        let nodes = cli.run(&["node", "ls", "-q"]).stdout;
        let count = String::from_utf8_lossy(&nodes).lines().count();
        if count == 2 {
            Ok(())
        } else {
            Err(format!("{count}"))
        }
    })
    .await;
    let archives = [Archive::new("moves-a"), Archive::new("moves-b")];
    let [first, second] = &archives;

    let out = cli.load(&first.file);
    assert!(out.status.success(), "{out:?}");
    let before = rig.having(&first.name);
    let on = usize::from(before[0].is_empty());
    assert_eq!(
        before.iter().filter(|id| !id.is_empty()).count(),
        1,
        "one node takes it"
    );
    // The node that has it takes no more tasks: the container runs on the other one.
    let (has, lacks) = (format!("n{}", on + 1), format!("n{}", 2 - on));
    cli.ok(&["node", "update", "--availability", "pause", &has]);
    let nodes = "{{json .Plenum.Nodes}}";
    assert_eq!(
        cli.ok(&["image", "inspect", "-f", nodes, &first.name]),
        format!("[\"{has}\"]")
    );
    assert_eq!(cli.ok(&["run", "--rm", &first.name, "echo", "moved"]), "moved");
    let after = rig.having(&first.name);
    assert_eq!(
        after[1 - on],
        before[on],
        "the same image, under its name: {lacks}"
    );

    cli.ok(&["node", "update", "--availability", "active", &has]);
    by_id(&rig, &cli, second);

    let began = Instant::now();
    assert!(
        cli.fails(&["run", "--rm", "nosuch:1", "true"])
            .contains("Unable to find image")
    );
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "nobody has it: {:?}",
        began.elapsed()
    );
    let gone = cli.ok(&["rmi", &first.name]);
    assert!(gone.contains("Deleted"), "{gone}");
    assert_eq!(rig.having(&first.name), ["", ""], "removed from both");
}

/// A service on every node, of an image that one of them has, by its id.
fn by_id(rig: &Rig, cli: &Cli<'_>, archive: &Archive) {
    let out = cli.load(&archive.file);
    assert!(out.status.success(), "{out:?}");
    let id = cli.ok(&["image", "inspect", "-f", "{{.Id}}", &archive.name]);
    cli.ok(&[
        "service",
        "create",
        "-q",
        "--mode",
        "global",
        "--no-resolve-image",
        "--name",
        "both",
        &id,
        "sleep",
        "1000",
    ]);
    assert_eq!(
        rig.having(&archive.name).iter().filter(|i| i.is_empty()).count(),
        1,
        "an id brings no name"
    );
    let all = [0, 1].map(|i| rig.daemons[i].docker(&["image", "inspect", &id]).status.success());
    assert_eq!(all, [true, true]);
    cli.ok(&["service", "rm", "both"]);
}
