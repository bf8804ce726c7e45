//! The directory of one container: the shim's files, and beside them what this runtime must know again after
//! a restart of the agent.

use plenum_contract::runtime::ContainerKey;
use plenum_model::ids::{Incarnation, TaskId};
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const FILE: &str = "container.json";
/// What a file name may have, with room for what stands around the container's name.
const LONGEST: usize = 180;

/// What is remembered of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    task: TaskId,
    container: String,
    incarnation: u32,
    /// The name of its cgroups below this runtime's own.
    pub(crate) cgroup: String,
    /// Its memory limit in bytes.
    pub(crate) memory_limit: Option<u64>,
    /// Whether its standard input can be attached to.
    pub(crate) stdin: bool,
}

impl Record {
    pub(crate) fn new(key: &ContainerKey, memory_limit: Option<u64>, stdin: bool) -> Self {
        let Incarnation(incarnation) = key.incarnation;
        Self {
            task: key.task,
            container: key.container.clone(),
            incarnation,
            cgroup: name(key),
            memory_limit,
            stdin,
        }
    }

    pub(crate) fn key(&self) -> ContainerKey {
        let container = self.container.clone();
        ContainerKey {
            task: self.task,
            container,
            incarnation: Incarnation(self.incarnation),
        }
    }

    pub(crate) fn write(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)?;
        plenum_shim::files::write_json(dir, FILE, self)
    }

    /// None when there is no such container.
    pub(crate) fn read(dir: &Path) -> io::Result<Option<Self>> {
        plenum_shim::files::read_json(dir, FILE)
    }
}

/// A name for a container's directory and cgroups: the key, in letters that a path may have.
pub(crate) fn name(key: &ContainerKey) -> String {
    let Incarnation(incarnation) = key.incarnation;
    let mut container = String::new();
    for byte in key.container.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' {
            container.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(container, "%{byte:02x}");
        }
    }
    if container.len() > LONGEST {
        // What is cut is told apart by what the contract promises: names are unique within the task, so the
        // hash needs to tell a handful apart.
        let hash = container.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        container.truncate(LONGEST);
        let _ = write!(container, "%{hash:016x}");
    }
    format!("{}-{container}-{incarnation}", key.task)
}

/// Every directory below `containers`, of whatever state.
pub(crate) fn list(containers: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(containers)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(container: &str) -> ContainerKey {
        ContainerKey {
            task: TaskId([7; 16]),
            container: container.into(),
            incarnation: Incarnation(3),
        }
    }

    #[test]
    fn names_are_paths_and_stay_different() {
        assert_eq!(name(&key("web-1")), format!("{}-web-1-3", "07".repeat(16)));
        assert!(name(&key("../x")).ends_with("-%2e%2e%2fx-3"));
        let (a, b) = ("a".repeat(400), format!("{}b", "a".repeat(399)));
        assert_ne!(name(&key(&a)), name(&key(&b)));
        assert!(name(&key(&a)).len() < 255);
    }

    #[test]
    fn a_record_gives_its_key_back() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Record::read(dir.path()).unwrap(), None);
        let record = Record::new(&key("a b"), Some(5), true);
        record.write(dir.path()).unwrap();
        assert_eq!(Record::read(dir.path()).unwrap().unwrap().key(), key("a b"));
    }
}
