//! A Docker daemon of a test's own: its own data, its own containerd, its own network. A shell stands behind it
//! and ends it, by its pid, when the test's process is gone, however that ended.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

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

/// A running daemon, gone when this is dropped.
pub(crate) struct Dockerd {
    pub(crate) host: String,
    guard: Child,
    alive: Option<ChildStdin>,
}

impl Dockerd {
    /// A daemon without images.
    pub(crate) fn start() -> Self {
        // Short: a socket's path has at most 107 bytes.
        let made = tempfile::Builder::new().prefix("plenum-dd-").tempdir();
        let dir = made.unwrap().keep();
        let path = |name: &str| dir.join(name).display().to_string();
        let host = format!("unix://{}", path("sock"));
        let mut guard = Command::new("sh")
            .args(["-c", GUARD, "sh", &path("")])
            .args(["--data-root", &path("data"), "--exec-root", &path("exec")])
            .args(["--pidfile", &path("pid"), "-H", &host])
            .args(["--storage-driver=vfs", "--shutdown-timeout=1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(guard.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let alive = guard.stdin.take();
        let daemon = Self { host, guard, alive };
        let end = Instant::now() + Duration::from_secs(60);
        while !daemon.docker(&["version"]).status.success() {
            let log = || std::fs::read_to_string(dir.join("log")).unwrap_or_default();
            assert!(Instant::now() < end, "dockerd does not come up: {}", log());
            std::thread::sleep(Duration::from_millis(100));
        }
        daemon
    }

    /// The docker command, at this daemon.
    pub(crate) fn docker(&self, args: &[&str]) -> std::process::Output {
        let mut docker = Command::new("docker");
        docker.arg("-H").arg(&self.host).args(args).output().unwrap()
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        drop(self.alive.take());
        let _ = self.guard.wait();
    }
}
