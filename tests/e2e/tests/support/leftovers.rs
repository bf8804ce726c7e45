//! What a pool may have left on this machine.

use super::up::cgroups_of;
use std::collections::BTreeSet;
use std::process::Command;

/// Names of containers of the machine's Docker: those that run, or `-a` for all.
pub(crate) fn containers(more: &[&str]) -> Vec<String> {
    let out = Command::new("docker")
        .args(["ps", "--no-trunc", "--format", "{{.Names}}"])
        .args(more)
        .env_remove("DOCKER_HOST")
        .output()
        .unwrap();
    String::from_utf8(out.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

/// The mark of the agent that a container of one of these tasks belongs to: what its name begins with.
pub(crate) fn mark<S: AsRef<str>>(container: &str, tasks: impl IntoIterator<Item = S>) -> Option<String> {
    let at = tasks.into_iter().find_map(|id| container.find(id.as_ref()))?;
    Some(container[..at].to_owned())
}

/// The marks of the agents that run containers of these tasks.
pub(crate) fn owners<S: AsRef<str>>(tasks: &[S]) -> BTreeSet<String> {
    let of = |name: String| mark(&name, tasks);
    containers(&[]).into_iter().filter_map(of).collect()
}

/// Nothing of these agents is left on the machine.
pub(crate) fn gone(owners: &BTreeSet<String>) {
    for owner in owners {
        let left: Vec<String> = containers(&["-a"])
            .into_iter()
            .filter(|c| c.starts_with(owner))
            .collect();
        assert!(left.is_empty(), "{left:?}");
        let mark = owner.trim_start_matches("plenum-").trim_end_matches('-');
        let cgroups = cgroups_of(mark);
        assert!(cgroups.is_empty(), "{cgroups:?}");
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
        assert!(!mounts.contains(mark), "mounts of {mark} are left");
    }
}
