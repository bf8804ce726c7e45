//! A Docker daemon of the tests' own, in a network of its own, so that they neither need one nor disturb one. A
//! shell stands behind it and ends it, by its pid, when the tests' process is gone, however that ended.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The image every test runs: a static busybox.
pub(crate) const IMAGE: &str = "plenum-test/runtime-docker:1";

/// `$1` is the directory, the rest are the daemon's arguments. Reading the end of its input it stops the daemon
/// (which stops its containers), undoes the mounts it leaves and removes the directory.
const GUARD: &str = r#"
dir=$1; shift
unshare --net sh -c 'ip link set lo up; exec dockerd "$@"' sh "$@" >>"$dir/log" 2>&1 </dev/null &
pid=$!
echo $pid
cat >/dev/null
kill $pid
wait $pid
while read -r _ at _; do
    case "$at" in "$dir"*) umount -l "$at";; esac
done </proc/mounts
rm -rf "$dir"
"#;

/// A running daemon.
pub(crate) struct Daemon {
    pub(crate) host: String,
    dir: PathBuf,
    pid: i32,
    guard: Child,
    _alive: ChildStdin,
}

/// The daemon that tests share; none where dockerd is not installed.
pub(crate) fn shared() -> Option<&'static Daemon> {
    static SHARED: OnceLock<Option<Daemon>> = OnceLock::new();
    SHARED.get_or_init(|| Daemon::new(&[])).as_ref()
}

impl Daemon {
    /// A daemon with the image in it; none, and that is said, where dockerd is not installed.
    pub(crate) fn new(more: &[&str]) -> Option<Self> {
        let installed = Command::new("dockerd")
            .arg("--version")
            .output()
            .is_ok_and(|o| o.status.success());
        let root = Command::new("id")
            .arg("-u")
            .output()
            .is_ok_and(|o| o.stdout == b"0\n");
        if !installed || !root {
            eprintln!("SKIPPED: dockerd is not installed, or this is not root; nothing is tested against it");
            return None;
        }
        // Short: a socket's path has at most 107 bytes.
        let dir = tempfile::Builder::new()
            .prefix("plenum-docker-")
            .tempdir()
            .unwrap()
            .keep();
        let daemon = Self::start(dir, more);
        daemon.import();
        Some(daemon)
    }

    fn start(dir: PathBuf, more: &[&str]) -> Self {
        let path = |name: &str| dir.join(name).display().to_string();
        let host = format!("unix://{}", path("sock"));
        let mut guard = Command::new("sh")
            .args(["-c", GUARD, "sh", &path("")])
            .args([
                "--data-root",
                &path("data"),
                "--exec-root",
                &path("exec"),
                "--pidfile",
                &path("pid"),
            ])
            .args(["-H", &host, "--storage-driver=vfs"])
            .args(["--shutdown-timeout=1"])
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(guard.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let alive = guard.stdin.take().unwrap();
        let daemon = Self {
            host,
            dir,
            pid: line.trim().parse().unwrap(),
            guard,
            _alive: alive,
        };
        daemon.answers();
        daemon
    }

    fn answers(&self) {
        let end = Instant::now() + Duration::from_secs(60);
        while !self
            .docker(&["version"])
            .output()
            .is_ok_and(|o| o.status.success())
        {
            let log = || std::fs::read_to_string(self.dir.join("log")).unwrap_or_default();
            assert!(Instant::now() < end, "dockerd does not come up: {}", log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The docker command, at this daemon.
    pub(crate) fn docker(&self, args: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.arg("-H").arg(&self.host).args(args);
        command
    }

    /// A command in the daemon's network, where published ports are.
    pub(crate) fn in_network(&self, args: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["--net", "--target", &self.pid.to_string()])
            .args(args);
        command
    }

    /// The daemon is killed and started again; its containers run on.
    pub(crate) fn restart(mut self, more: &[&str], meanwhile: impl FnOnce()) -> Self {
        // The guard first, or it would clean up.
        self.guard.kill().unwrap();
        self.guard.wait().unwrap();
        let killed = Command::new("kill").args(["-9", &self.pid.to_string()]).status();
        assert!(killed.unwrap().success());
        let proc = PathBuf::from(format!("/proc/{}", self.pid));
        while proc.exists() {
            std::thread::sleep(Duration::from_millis(10));
        }
        meanwhile();
        // What it leaves when it is killed.
        let _ = std::fs::remove_file(self.dir.join("pid"));
        Self::start(self.dir, more)
    }

    /// An image like the other, which wants to be stopped by `signal`.
    pub(crate) fn image_stopped_by(&self, signal: &str) -> String {
        let image = format!("plenum-test/{}:1", signal.to_lowercase());
        let made = self
            .docker(&["create", "--stop-signal", signal, IMAGE, "true"])
            .output()
            .unwrap();
        let id = String::from_utf8(made.stdout).unwrap();
        for args in [vec!["commit", id.trim(), &image], vec!["rm", id.trim()]] {
            assert!(self.docker(&args).output().unwrap().status.success());
        }
        image
    }

    fn import(&self) {
        let root = tempfile::tempdir().unwrap();
        fill(root.path());
        let tar = Command::new("tar")
            .args(["-c", "."])
            .current_dir(root.path())
            .output()
            .unwrap();
        let mut import = self
            .docker(&["import", "-", IMAGE])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        import.stdin.take().unwrap().write_all(&tar.stdout).unwrap();
        assert!(import.wait().unwrap().success());
    }
}

fn fill(root: &Path) {
    for dir in ["bin", "etc", "tmp", "proc", "dev", "sys"] {
        std::fs::create_dir(root.join(dir)).unwrap();
    }
    std::fs::copy("/bin/busybox", root.join("bin/busybox")).expect("package busybox-static is installed");
    for applet in [
        "sh", "sleep", "cat", "echo", "pwd", "id", "stty", "true", "kill", "nc",
    ] {
        std::os::unix::fs::symlink("busybox", root.join("bin").join(applet)).unwrap();
    }
    let users = "root:x:0:0:root:/:/bin/sh\napp:x:1000:1000::/:/bin/sh\n";
    std::fs::write(root.join("etc/passwd"), users).unwrap();
}
