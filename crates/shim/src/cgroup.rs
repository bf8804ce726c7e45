//! Joining and emptying cgroups, v1 or v2, given as directories. Making, limiting and removing them is
//! not the shim's business.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Moves the calling process into `cgroup`.
///
/// # Errors
/// What the system said.
pub fn join(cgroup: &Path) -> io::Result<()> {
    fs::write(cgroup.join("cgroup.procs"), "0")
}

/// The processes in these cgroups and below them, as numbers of the reader's pid namespace.
pub fn processes(cgroups: &[PathBuf]) -> BTreeSet<i32> {
    let mut found = BTreeSet::new();
    for cgroup in cgroups {
        collect(cgroup, &mut found);
    }
    found
}

fn collect(cgroup: &Path, found: &mut BTreeSet<i32>) {
    if let Ok(text) = fs::read_to_string(cgroup.join("cgroup.procs")) {
        // 0 stands for a process of another pid namespace, which cannot be named here.
        found.extend(
            text.lines()
                .filter_map(|line| line.parse().ok())
                .filter(|&pid: &i32| pid > 0),
        );
    }
    let Ok(entries) = fs::read_dir(cgroup) else { return };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect(&entry.path(), found);
        }
    }
}

/// Sends SIGKILL to everything in these cgroups once: at a stroke where the kernel can (`cgroup.kill`), one
/// by one otherwise. Whether they are gone, the caller must look again.
pub fn kill(cgroups: &[PathBuf]) {
    for cgroup in cgroups {
        if fs::write(cgroup.join("cgroup.kill"), "1").is_ok() {
            continue;
        }
        for pid in processes(std::slice::from_ref(cgroup)) {
            let _ =
                nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
        }
    }
}
