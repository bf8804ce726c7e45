//! What a shim is told: one `config.json` per container, written by the agent before the start and never
//! changed. Plain data; everything that needs a look-up (user names, capabilities of this machine) was
//! resolved by the writer, the shim does exactly what stands here or reports why it cannot.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The whole order for one container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Program and arguments; a program without a slash is searched in `PATH` of `env`.
    pub argv: Vec<String>,
    /// The whole environment; nothing of the shim's own is inherited.
    pub env: BTreeMap<String, String>,
    /// Working directory as seen inside the container, entered as the container's user.
    pub cwd: PathBuf,
    /// Who runs it; absent keeps the identity of the shim.
    #[serde(default)]
    pub user: Option<User>,
    /// Existing cgroup directories that the container's processes join: one per v1 controller, or one of v2.
    #[serde(default)]
    pub cgroups: Vec<PathBuf>,
    /// Existing cgroup directories for the shim itself, so that it is not killed with the agent's.
    #[serde(default)]
    pub shim_cgroups: Vec<PathBuf>,
    /// Namespaces of its own.
    #[serde(default)]
    pub namespaces: Namespaces,
    /// Host name in its own uts namespace.
    #[serde(default)]
    pub hostname: Option<String>,
    /// Mounts made in its own mount namespace, in this order.
    #[serde(default)]
    pub mounts: Vec<Mount>,
    /// A terminal of this first size instead of pipes; stdout and stderr are one stream then.
    #[serde(default)]
    pub terminal: Option<WindowSize>,
    /// What standard input is.
    #[serde(default)]
    pub stdin: Stdin,
    /// How much output is kept.
    #[serde(default)]
    pub log: LogLimits,
    /// Limits of the process; those not named are inherited.
    #[serde(default)]
    pub rlimits: Vec<Rlimit>,
    /// Value for `/proc/self/oom_score_adj`.
    #[serde(default)]
    pub oom_score_adj: Option<i32>,
    /// Create only: attachable at once, started by [`crate::client::start`].
    #[serde(default)]
    pub hold: bool,
}

impl Config {
    /// An order with the defaults for everything but the command.
    pub fn new(argv: Vec<String>, cwd: PathBuf) -> Self {
        Self {
            argv,
            env: BTreeMap::new(),
            cwd,
            user: None,
            cgroups: Vec::new(),
            shim_cgroups: Vec::new(),
            namespaces: Namespaces::default(),
            hostname: None,
            mounts: Vec::new(),
            terminal: None,
            stdin: Stdin::Closed,
            log: LogLimits::default(),
            rlimits: Vec::new(),
            oom_score_adj: None,
            hold: false,
        }
    }

    /// What contradicts itself in this order, if anything does.
    pub fn contradiction(&self) -> Option<&'static str> {
        if self.argv.first().is_none_or(String::is_empty) {
            Some("argv is empty")
        } else if self.namespaces.pid && !self.namespaces.mount {
            Some("a pid namespace needs a mount namespace for its /proc")
        } else if self.hostname.is_some() && !self.namespaces.uts {
            Some("a host name needs a uts namespace")
        } else if !self.mounts.is_empty() && !self.namespaces.mount {
            Some("mounts need a mount namespace")
        } else if self.log.max_bytes == 0 || self.log.files == 0 {
            Some("log limits must not be zero")
        } else {
            None
        }
    }
}

/// A numeric identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Supplementary group ids.
    pub groups: Vec<u32>,
}

/// Which namespaces the container gets for itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespaces {
    /// Own process ids. A reaper of the shim is process 1, the command is process 2, so that signals keep
    /// their default actions for it.
    pub pid: bool,
    /// Own mounts, which receive the machine's later ones but pass none back.
    pub mount: bool,
    /// Own host name.
    pub uts: bool,
}

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// An existing path inside the container.
    pub target: PathBuf,
    /// What appears there.
    pub kind: MountKind,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MountKind {
    /// An existing file or directory of the machine, with what is mounted below it.
    Bind {
        /// The path on the machine.
        source: PathBuf,
        /// Whether it may not be written.
        read_only: bool,
    },
    /// Memory.
    Tmpfs {
        /// Its limit in bytes; absent is the kernel's default (half of the memory).
        size_bytes: Option<u64>,
        /// Permissions of its root, as in `0o1777`.
        mode: u32,
    },
}

/// What standard input of the container is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stdin {
    /// Nothing: it reads the end of file at once (with a terminal: nobody types).
    #[default]
    Closed,
    /// Open until an attached client closes it.
    Open,
    /// Open until the first client that attached to it has gone.
    Once,
}

/// Size of a terminal in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowSize {
    /// Columns.
    pub cols: u16,
    /// Rows.
    pub rows: u16,
}

/// How much of the output is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLimits {
    /// Bytes of one segment before the next is begun.
    pub max_bytes: u64,
    /// Segments kept, the one being written included.
    pub files: u32,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self {
            max_bytes: 10 << 20,
            files: 5,
        }
    }
}

/// One limit of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rlimit {
    /// Which.
    pub resource: RlimitResource,
    /// The limit in force; `u64::MAX` is none.
    pub soft: u64,
    /// The ceiling of the soft one; `u64::MAX` is none.
    pub hard: u64,
}

/// The limits that `setrlimit(2)` knows, under their names there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are the system's own")]
pub enum RlimitResource {
    As,
    Core,
    Cpu,
    Data,
    Fsize,
    Locks,
    Memlock,
    Msgqueue,
    Nice,
    Nofile,
    Nproc,
    Rss,
    Rtprio,
    Rttime,
    Sigpending,
    Stack,
}

/// What `exec` runs beside the command of a running container. What is absent is the container's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecConfig {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Added to the container's environment, or replacing what is there.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Working directory.
    #[serde(default)]
    pub cwd: Option<PathBuf>,
    /// Who runs it.
    #[serde(default)]
    pub user: Option<User>,
    /// Standard input is a terminal, which becomes the controlling one.
    #[serde(default)]
    pub terminal: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_reads_back_as_written_and_refuses_unknown_keys() {
        let mut config = Config::new(vec!["sleep".into(), "1".into()], "/".into());
        config.rlimits.push(Rlimit {
            resource: RlimitResource::Nofile,
            soft: 10,
            hard: u64::MAX,
        });
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<Config>(&text).unwrap(), config);
        assert!(serde_json::from_str::<Config>(&text.replacen("{", r#"{"argx":1,"#, 1)).is_err());
    }

    #[test]
    fn contradictions_are_named() {
        let mut config = Config::new(vec!["true".into()], "/".into());
        assert_eq!(config.contradiction(), None);
        config.namespaces.pid = true;
        assert!(config.contradiction().unwrap().contains("mount namespace"));
        config.namespaces = Namespaces::default();
        config.hostname = Some("a".into());
        assert!(config.contradiction().unwrap().contains("uts"));
        config = Config::new(vec![], "/".into());
        assert!(config.contradiction().unwrap().contains("argv"));
    }
}
