//! This runtime's cgroups: in every hierarchy `ROOT/NAME` for each container and `ROOT/shims` for their
//! parents. They are made when the first container comes and removed after the last one.

use crate::cgroups::hierarchy::{Controller, Hierarchy, Version};
use crate::cgroups::limits::settings;
use crate::cgroups::usage::{field, number};
use plenum_model::spec::Caps;
use plenum_shim::cgroup;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// No container can have this name: theirs begin with a task id.
const SHIMS: &str = "shims";
/// How long a cgroup may stay busy after its processes were killed.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(5);
/// v1 says "no limit" with a number close to this.
const UNLIMITED: u64 = 1 << 62;

/// All hierarchies in which this runtime may make cgroups.
#[derive(Debug)]
pub(crate) struct Tree {
    hierarchies: Vec<Hierarchy>,
    /// Relative to each mount.
    root: PathBuf,
    /// Making and removing the common directories excludes each other.
    shape: Mutex<()>,
}

/// What a container's cgroups say of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) cpu_nanos: Option<u64>,
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) memory_limit_bytes: Option<u64>,
    pub(crate) pids: Option<u64>,
}

impl Tree {
    /// Keeps those of `candidates` in which a cgroup can really be made, and of their controllers those that
    /// really are there.
    pub(crate) fn probe(candidates: Vec<Hierarchy>, root: &Path) -> Self {
        let v1: BTreeSet<Controller> = candidates
            .iter()
            .filter(|hierarchy| hierarchy.version == Version::V1)
            .flat_map(|hierarchy| hierarchy.controllers.iter().copied())
            .collect();
        let mut tree = Self {
            hierarchies: Vec::new(),
            root: root.to_owned(),
            shape: Mutex::new(()),
        };
        let name = format!("probe-{}", std::process::id());
        for mut hierarchy in candidates {
            if hierarchy.version == Version::V2 {
                hierarchy
                    .controllers
                    .retain(|controller| !v1.contains(controller));
            }
            let probe = Self {
                hierarchies: vec![hierarchy.clone()],
                root: root.to_owned(),
                shape: Mutex::new(()),
            };
            if probe.make(&name).is_ok() {
                let dir = probe.dir(&hierarchy, &name);
                hierarchy
                    .controllers
                    .retain(|&controller| dir.join(witness(hierarchy.version, controller)).exists());
                tree.hierarchies.push(hierarchy);
            }
            let _ = probe.remove(&name);
        }
        tree.prune();
        tree
    }

    /// What can be limited.
    pub(crate) fn controllers(&self) -> BTreeSet<Controller> {
        self.hierarchies
            .iter()
            .flat_map(|hierarchy| hierarchy.controllers.iter().copied())
            .collect()
    }

    /// In words, for people.
    pub(crate) fn describe(&self) -> &'static str {
        let with = |version| {
            self.hierarchies
                .iter()
                .any(|h| h.version == version && !h.controllers.is_empty())
        };
        match (with(Version::V1), with(Version::V2)) {
            (true, true) => "cgroup v1 and v2",
            (true, false) => "cgroup v1",
            (false, true) => "cgroup v2",
            (false, false) => "no cgroups",
        }
    }

    /// The directories of the container `name`.
    pub(crate) fn dirs(&self, name: &str) -> Vec<PathBuf> {
        self.hierarchies
            .iter()
            .map(|hierarchy| self.dir(hierarchy, name))
            .collect()
    }

    /// The directories of the containers' parents.
    pub(crate) fn shim_dirs(&self) -> Vec<PathBuf> {
        self.dirs(SHIMS)
    }

    fn dir(&self, hierarchy: &Hierarchy, name: &str) -> PathBuf {
        hierarchy.mount.join(&self.root).join(name)
    }

    /// Makes the cgroups of the container `name` with these limits. May be repeated.
    pub(crate) fn create(&self, name: &str, caps: &Caps) -> io::Result<()> {
        self.make(name)?;
        for hierarchy in &self.hierarchies {
            let dir = self.dir(hierarchy, name);
            for setting in settings(caps, hierarchy.version) {
                if !hierarchy.controllers.contains(&setting.controller) {
                    continue;
                }
                let file = dir.join(setting.file);
                match fs::write(&file, &setting.value) {
                    Err(error) if setting.optional && error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => {
                        let what = format!("cannot write {} to {}: {error}", setting.value, file.display());
                        return Err(io::Error::new(error.kind(), what));
                    }
                    Ok(()) => {}
                }
            }
        }
        Ok(())
    }

    fn make(&self, name: &str) -> io::Result<()> {
        let _shape = self.shape.lock().unwrap_or_else(PoisonError::into_inner);
        for hierarchy in &self.hierarchies {
            for name in [SHIMS, name] {
                self.make_in(hierarchy, name)?;
            }
        }
        Ok(())
    }

    /// Another agent of this machine may remove the common parent between two steps: then once more.
    fn make_in(&self, hierarchy: &Hierarchy, name: &str) -> io::Result<()> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let made = self
                .descend(hierarchy)
                .and_then(|()| make_dir(&self.dir(hierarchy, name)));
            match made {
                Err(error) if error.kind() == io::ErrorKind::NotFound && attempts < 10 => {
                    thread::sleep(PAUSE)
                }
                other => return other,
            }
        }
    }

    /// Makes the directories down to the root; in v2 each must hand its controllers down.
    fn descend(&self, hierarchy: &Hierarchy) -> io::Result<()> {
        let mut at = hierarchy.mount.clone();
        let mut parts = self.root.components();
        loop {
            if hierarchy.version == Version::V2 {
                for controller in &hierarchy.controllers {
                    // What cannot be handed down is missing below, where it is looked for.
                    let _ = name_in_v2(*controller)
                        .map(|name| fs::write(at.join("cgroup.subtree_control"), format!("+{name}")));
                }
            }
            let Some(part) = parts.next() else { return Ok(()) };
            at.push(part);
            make_dir(&at)?;
        }
    }

    /// Kills what is in the cgroups of `name` and removes them. Not there: no error.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        let dirs = self.dirs(name);
        let deadline = Instant::now() + PATIENCE;
        for dir in &dirs {
            loop {
                match remove_tree(dir) {
                    Ok(()) => break,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                    Err(error) if Instant::now() > deadline => return Err(error),
                    Err(_) => {
                        cgroup::kill(&dirs);
                        thread::sleep(PAUSE);
                    }
                }
            }
        }
        Ok(())
    }

    /// Removes the common directories, if no container is left in them.
    pub(crate) fn prune(&self) {
        let _shape = self.shape.lock().unwrap_or_else(PoisonError::into_inner);
        for hierarchy in &self.hierarchies {
            let root = hierarchy.mount.join(&self.root);
            let others = children(&root)
                .into_iter()
                .any(|child| child.file_name().is_some_and(|n| n != SHIMS));
            if others {
                continue;
            }
            // The last shim may be on its way out.
            let deadline = Instant::now() + Duration::from_millis(200);
            while fs::remove_dir(root.join(SHIMS)).is_err_and(|e| e.kind() != io::ErrorKind::NotFound)
                && Instant::now() < deadline
            {
                thread::sleep(PAUSE);
            }
            for dir in root.ancestors().take(self.root.components().count()) {
                if fs::remove_dir(dir).is_err() {
                    break;
                }
            }
        }
    }

    /// The names of containers that have a cgroup.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        let roots = self
            .hierarchies
            .iter()
            .map(|hierarchy| hierarchy.mount.join(&self.root));
        let names = roots.flat_map(|root| children(&root));
        names
            .filter_map(|dir| Some(dir.file_name()?.to_str()?.to_owned()))
            .filter(|name| name != SHIMS)
            .collect()
    }

    /// How many of its processes the kernel killed for want of memory.
    pub(crate) fn oom_kills(&self, name: &str) -> u64 {
        let (version, dir) = match self.with(Controller::Memory, name) {
            Some(found) => found,
            None => return 0,
        };
        let file = match version {
            Version::V1 => "memory.oom_control",
            Version::V2 => "memory.events",
        };
        read(&dir, file)
            .and_then(|text| field(&text, "oom_kill"))
            .unwrap_or(0)
    }

    /// What it uses now.
    pub(crate) fn usage(&self, name: &str) -> Usage {
        let mut usage = Usage::default();
        if let Some((version, dir)) = self.with(Controller::Cpuacct, name) {
            usage.cpu_nanos = match version {
                Version::V1 => read(&dir, "cpuacct.usage").and_then(|text| number(&text)),
                Version::V2 => {
                    let micros = read(&dir, "cpu.stat").and_then(|text| field(&text, "usage_usec"));
                    micros.map(|micros| micros.saturating_mul(1000))
                }
            };
        }
        if let Some((version, dir)) = self.with(Controller::Memory, name) {
            let (current, limit, cache) = match version {
                Version::V1 => (
                    "memory.usage_in_bytes",
                    "memory.limit_in_bytes",
                    "total_inactive_file",
                ),
                Version::V2 => ("memory.current", "memory.max", "inactive_file"),
            };
            let dropped = read(&dir, "memory.stat")
                .and_then(|text| field(&text, cache))
                .unwrap_or(0);
            let current = read(&dir, current).and_then(|text| number(&text));
            usage.memory_bytes = current.map(|bytes| bytes.saturating_sub(dropped));
            let limit = read(&dir, limit).and_then(|text| number(&text));
            usage.memory_limit_bytes = limit.filter(|&bytes| bytes < UNLIMITED);
        }
        if let Some((_, dir)) = self.with(Controller::Pids, name) {
            usage.pids = read(&dir, "pids.current").and_then(|text| number(&text));
        }
        usage
    }

    fn with(&self, controller: Controller, name: &str) -> Option<(Version, PathBuf)> {
        let hierarchy = self
            .hierarchies
            .iter()
            .find(|h| h.controllers.contains(&controller))?;
        Some((hierarchy.version, self.dir(hierarchy, name)))
    }
}

/// A file that is there exactly if the controller is.
fn witness(version: Version, controller: Controller) -> &'static str {
    match (version, controller) {
        (Version::V1, Controller::Cpu) => "cpu.shares",
        (Version::V1, Controller::Cpuacct) => "cpuacct.usage",
        (Version::V1, Controller::Memory) => "memory.limit_in_bytes",
        (Version::V2, Controller::Cpu) => "cpu.weight",
        // Without the controller it is there, too, and counts.
        (Version::V2, Controller::Cpuacct) => "cpu.stat",
        (Version::V2, Controller::Memory) => "memory.max",
        (Version::V1 | Version::V2, Controller::Pids) => "pids.max",
    }
}

fn name_in_v2(controller: Controller) -> Option<&'static str> {
    match controller {
        Controller::Cpu => Some("cpu"),
        Controller::Cpuacct => None,
        Controller::Memory => Some("memory"),
        Controller::Pids => Some("pids"),
    }
}

fn read(dir: &Path, file: &str) -> Option<String> {
    fs::read_to_string(dir.join(file)).ok()
}

fn make_dir(dir: &Path) -> io::Result<()> {
    match fs::create_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

fn children(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

/// A container may have made cgroups below its own. The files in them cannot and need not be removed.
fn remove_tree(dir: &Path) -> io::Result<()> {
    for child in children(dir) {
        remove_tree(&child)?;
    }
    fs::remove_dir(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory stands in for the v2 file system, whose files the kernel would make.
    #[test]
    fn v2_hands_controllers_down_and_is_read_in_its_own_words() {
        let mount = tempfile::tempdir().unwrap();
        let controllers = BTreeSet::from([
            Controller::Cpu,
            Controller::Cpuacct,
            Controller::Memory,
            Controller::Pids,
        ]);
        let hierarchy = Hierarchy {
            version: Version::V2,
            mount: mount.path().to_owned(),
            controllers,
        };
        let tree = Tree {
            hierarchies: vec![hierarchy],
            root: "plenum/node-1".into(),
            shape: Mutex::new(()),
        };
        let caps = Caps {
            memory_limit_bytes: Some(64 << 20),
            ..Caps::default()
        };
        tree.create("c", &caps).unwrap();
        for parent in ["", "plenum", "plenum/node-1"] {
            let handed = fs::read_to_string(mount.path().join(parent).join("cgroup.subtree_control"));
            assert_eq!(handed.unwrap(), "+pids", "the last of three");
        }
        let dir = &tree.dirs("c")[0];
        assert_eq!(*dir, mount.path().join("plenum/node-1/c"));
        assert_eq!(fs::read_to_string(dir.join("memory.max")).unwrap(), "67108864");
        assert_eq!(tree.names(), BTreeSet::from(["c".to_owned()]));
        for (file, text) in [
            ("cpu.stat", "usage_usec 1500\nuser_usec 1000\n"),
            ("memory.current", "9000\n"),
            ("memory.stat", "anon 1\ninactive_file 1000\n"),
            ("pids.current", "3\n"),
            ("memory.events", "oom 2\noom_kill 1\n"),
        ] {
            fs::write(dir.join(file), text).unwrap();
        }
        let expected = Usage {
            cpu_nanos: Some(1_500_000),
            memory_bytes: Some(8000),
            memory_limit_bytes: Some(64 << 20),
            pids: Some(3),
        };
        assert_eq!(tree.usage("c"), expected);
        assert_eq!(tree.oom_kills("c"), 1);
    }
}
