//! Which cgroup hierarchies are mounted, and what each can do.

use std::collections::BTreeSet;
use std::path::PathBuf;

/// What this runtime uses of cgroups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Controller {
    /// Weight and quota of processor time.
    Cpu,
    /// Count of processor time (part of `Cpu` in v2).
    Cpuacct,
    /// Memory.
    Memory,
    /// Number of processes.
    Pids,
}

/// The two kinds of hierarchy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// One of several, each with its own controllers.
    V1,
    /// The one with all the others, possibly without any controller (beside v1 ones).
    V2,
}

/// One mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hierarchy {
    pub(crate) version: Version,
    /// Where it is mounted.
    pub(crate) mount: PathBuf,
    /// What it controls. For v2 this is what it could at most.
    pub(crate) controllers: BTreeSet<Controller>,
}

const ALL: [(&str, Controller); 4] = [
    ("cpu", Controller::Cpu),
    ("cpuacct", Controller::Cpuacct),
    ("memory", Controller::Memory),
    ("pids", Controller::Pids),
];

/// Those of use among the lines of `/proc/self/mountinfo`: v1 hierarchies with a controller of ours, and the
/// v2 one.
pub(crate) fn find(mountinfo: &str) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = Vec::new();
    for line in mountinfo.lines() {
        let Some((front, back)) = line.split_once(" - ") else {
            continue;
        };
        let mut back = back.split(' ');
        let (kind, options) = (back.next().unwrap_or_default(), back.nth(1).unwrap_or_default());
        let Some(mount) = front.split(' ').nth(4) else {
            continue;
        };
        let (version, controllers): (_, BTreeSet<_>) = match kind {
            "cgroup" => {
                let named = |name: &str| options.split(',').any(|option| option == name);
                let ours = ALL
                    .iter()
                    .filter(|(name, _)| named(name))
                    .map(|&(_, controller)| controller);
                (Version::V1, ours.collect())
            }
            "cgroup2" => (
                Version::V2,
                ALL.iter().map(|&(_, controller)| controller).collect(),
            ),
            _ => continue,
        };
        let again = found
            .iter()
            .any(|known| known.version == version && known.controllers == controllers);
        if !controllers.is_empty() && !again {
            found.push(Hierarchy {
                version,
                mount: unescape(mount),
                controllers,
            });
        }
    }
    found
}

/// Blanks and the like stand in octal.
fn unescape(path: &str) -> PathBuf {
    let mut out = String::new();
    let mut rest = path;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let code = rest
            .get(at + 1..at + 4)
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        out.push(code.map_or('\\', char::from));
        rest = &rest[at + if code.is_some() { 4 } else { 1 }..];
    }
    out.push_str(rest);
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v1_hierarchies_may_share_controllers_and_stand_beside_v2() {
        let found = find(
            "30 29 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n\
             31 29 0:27 / /sys/fs/cgroup/systemd rw shared:9 - cgroup cgroup rw,xattr,name=systemd\n\
             32 29 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
             33 29 0:29 / /sys/fs/cgroup/my\\040memory rw - cgroup cgroup rw,memory\n\
             34 29 0:29 / /elsewhere rw - cgroup cgroup rw,memory\n\
             35 29 0:30 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer\n\
             22 1 0:4 / /proc rw - proc proc rw\nnonsense",
        );
        let short: Vec<_> = found
            .iter()
            .map(|h| (h.version, h.mount.to_str().unwrap(), h.controllers.len()))
            .collect();
        assert_eq!(
            short,
            [
                (Version::V2, "/sys/fs/cgroup/unified", 4),
                (Version::V1, "/sys/fs/cgroup/cpu,cpuacct", 2),
                (Version::V1, "/sys/fs/cgroup/my memory", 1),
            ]
        );
    }
}
