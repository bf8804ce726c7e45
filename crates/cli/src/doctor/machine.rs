//! What this machine has of what broker and agents need.

use super::Check;
use crate::output::text::bytes;
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::statvfs::statvfs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// A ledger of 100,000 tasks with its snapshots, ten times over.
const ENOUGH_DISK_BYTES: u64 = 2 << 30;
/// Below this a broker stops taking changes soon.
const LITTLE_DISK_BYTES: u64 = 256 << 20;
/// A connection and two pipes for each of some thousand tasks.
const ENOUGH_FILES: u64 = 4_096;
/// The ports of the API and of the Marathon door.
const PORTS: [u16; 2] = [7717, 8080];

/// Room where the data directory is, or will be.
pub(super) fn disk(data: &Path) -> Check {
    let existing = data.ancestors().find(|p| p.exists()).unwrap_or(Path::new("/"));
    let free = match statvfs(existing) {
        Ok(s) => s.blocks_available().saturating_mul(s.fragment_size()),
        Err(e) => {
            return Check::fail(
                "disk",
                format!("{}: {e}", existing.display()),
                "give --data another directory",
            );
        }
    };
    let found = format!("{} free for {}", bytes(free), data.display());
    match free {
        0..LITTLE_DISK_BYTES => Check::fail("disk", found, "make room, or give --data another directory"),
        LITTLE_DISK_BYTES..ENOUGH_DISK_BYTES => Check::warn("disk", found, "make room soon"),
        _ => Check::ok("disk", found),
    }
}

/// Docker, for tasks with images.
pub(super) fn docker() -> Check {
    let fix = "tasks with images need it: start dockerd, or say where one listens with agent.docker_host";
    let path = Path::new("/var/run/docker.sock");
    match ping(path) {
        Ok(()) => Check::ok("docker", format!("answers on {}", path.display())),
        Err(why) => Check::warn("docker", format!("{}: {why}", path.display()), fix),
    }
}

fn ping(path: &Path) -> Result<(), String> {
    let ask = || {
        let mut socket = UnixStream::connect(path)?;
        socket.set_read_timeout(Some(Duration::from_secs(3)))?;
        socket.write_all(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")?;
        let mut answer = [0; 64];
        let n = socket.read(&mut answer)?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&answer[..n]).into_owned())
    };
    let answer = ask().map_err(|e| e.to_string())?;
    let status = answer.lines().next().unwrap_or_default();
    if status.contains(" 200") {
        Ok(())
    } else {
        Err(format!("it answers `{status}`"))
    }
}

/// Control groups, for limits.
pub(super) fn cgroups() -> Check {
    let root = Path::new("/sys/fs/cgroup");
    let user = nix::unistd::geteuid();
    let without_root = |found: String| {
        Check::warn(
            "cgroups",
            format!("{found}, and not root"),
            "run as root: else tasks have no limits",
        )
    };
    if let Ok(controllers) = std::fs::read_to_string(root.join("cgroup.controllers")) {
        let missing: Vec<&str> = ["cpu", "memory", "pids"]
            .into_iter()
            .filter(|c| !controllers.split_whitespace().any(|h| h == *c))
            .collect();
        return match (missing.is_empty(), user.is_root()) {
            (true, true) => Check::ok("cgroups", "v2 with cpu, memory, pids"),
            (true, false) => without_root("v2 with cpu, memory, pids".into()),
            (false, _) => Check::warn(
                "cgroups",
                format!("v2 without {}", missing.join(", ")),
                "enable the controllers: else nodes lack these limits",
            ),
        };
    }
    let missing: Vec<&str> = ["cpu", "memory", "pids"]
        .into_iter()
        .filter(|c| !root.join(c).join("cgroup.procs").exists())
        .collect();
    match (missing.is_empty(), user.is_root()) {
        (true, true) => Check::ok("cgroups", "v1 with cpu, memory, pids"),
        (true, false) => without_root("v1 with cpu, memory, pids".into()),
        (false, _) => Check::warn(
            "cgroups",
            format!("v1 without {}", missing.join(", ")),
            "mount them below /sys/fs/cgroup: else nodes lack these limits",
        ),
    }
}

/// How many files may be open at once.
pub(super) fn open_files() -> Check {
    match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((soft, _)) if soft >= ENOUGH_FILES => Check::ok("open files", format!("{soft} allowed")),
        Ok((soft, hard)) => Check::warn(
            "open files",
            format!("{soft} allowed"),
            format!("ulimit -n {}", ENOUGH_FILES.max(65_536).min(hard)),
        ),
        Err(e) => Check::warn("open files", e.to_string(), "ulimit -n 65536"),
    }
}

/// Whether the doors could listen. Asked only while no Plenum answers.
pub(super) fn ports() -> Check {
    let taken: Vec<String> = PORTS
        .into_iter()
        .filter(|p| TcpListener::bind(("127.0.0.1", *p)).is_err())
        .map(|p| p.to_string())
        .collect();
    if taken.is_empty() {
        let all = PORTS.map(|p| p.to_string()).join(", ");
        return Check::ok("ports", format!("{all} are free"));
    }
    Check::warn(
        "ports",
        format!("{} taken by another process", taken.join(", ")),
        "plenum up --free-ports",
    )
}
