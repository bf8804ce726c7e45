//! The files and secrets of tasks on this node. Each task has a directory of its own for plain files and one for
//! secrets, which only the agent's user can enter: containers see the files themselves, bound read-only.
//!
//! Secrets are in memory only: the directory of a task's secrets is a file system in memory, mounted for that task
//! and taken away with it, unless it lies in one already. Where neither can be had a secret is refused by name.
//! A file stands under its final name only when it is whole, so what is there need not be fetched again.
//!
//! Never: writes the bytes of a secret anywhere else, or says them in a log or an error.

use crate::config::{FILES, SECRETS, VOLUMES};
use crate::supervisor::{Piece, PlannedContainer, PlannedFile};
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use plenum_contract::runtime::{ContainerPlan, RuntimeError};
use plenum_contract::state_store::MAX_VALUE;
use plenum_model::task::ExitReason;
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// `CAP_SYS_ADMIN`, by which one may mount.
const SYS_ADMIN: u32 = 21;

/// Why a file is not where it belongs.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PutError {
    /// There is no file system in memory for a secret.
    #[error("secrets are kept in memory only, and {} is not on a file system in memory: {why}", .dir.display())]
    NoMemory {
        /// Where it would have to be.
        dir: PathBuf,
        /// Why none can be made.
        why: &'static str,
    },
    /// The system refused.
    #[error("cannot write {}", .path.display())]
    Io {
        /// Which file or directory.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

fn failed(path: &Path, source: io::Error) -> PutError {
    PutError::Io {
        path: path.to_owned(),
        source,
    }
}

/// The directory of a file.
fn dir_of(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

/// Makes the directory of a task's plain files.
pub(crate) fn make_plain_dir(dir: &Path) -> Result<(), PutError> {
    make_dir(dir).map_err(|e| failed(dir, e))
}

/// Makes the directories between the directory of a task's files and one of them: a volume that containers see.
pub(crate) fn make_inner_dirs(dir: &Path, path: &Path) -> Result<(), PutError> {
    let inner = dir_of(path);
    let missing: Vec<&Path> = inner
        .ancestors()
        .take_while(|a| *a != dir && !a.exists())
        .collect();
    let made = missing.into_iter().rev().try_for_each(|dir| {
        std::fs::create_dir(dir)?;
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755))
    });
    made.map_err(|e| failed(inner, e))
}

fn make_dir(dir: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Makes the directory of a task's secrets, so many, in memory.
pub(crate) fn make_secret_dir(dir: &Path, secrets: usize) -> Result<(), PutError> {
    make_dir(dir).map_err(|e| failed(dir, e))?;
    if in_memory(dir) {
        return Ok(());
    }
    // Each is at most `MAX_VALUE`, and is written beside its name first.
    let size = (secrets + 1).saturating_mul(MAX_VALUE);
    // In a volume each may have directories of its own.
    let inodes = secrets.saturating_mul(8).saturating_add(16);
    let options = format!("mode=0700,size={size},nr_inodes={inodes}");
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    match mount(
        Some("plenum-secrets"),
        dir,
        Some("tmpfs"),
        flags,
        Some(options.as_str()),
    ) {
        Ok(()) if in_memory(dir) => Ok(()),
        Ok(()) => Err(no_memory(dir, "it is still on disk after the mount")),
        Err(Errno::EPERM | Errno::EACCES) => Err(no_memory(dir, "only root can mount one")),
        Err(e) => Err(failed(dir, e.into())),
    }
}

fn no_memory(dir: &Path, why: &'static str) -> PutError {
    PutError::NoMemory {
        dir: dir.to_owned(),
        why,
    }
}

fn in_memory(dir: &Path) -> bool {
    statfs(dir).is_ok_and(|s| s.filesystem_type() == TMPFS_MAGIC)
}

/// Writes a file whole, with its mode, then gives it its name.
pub(crate) fn put(file: &PlannedFile, content: &[u8]) -> Result<(), PutError> {
    let new = file.path.with_extension("new");
    let written = || -> io::Result<()> {
        match std::fs::remove_file(&new) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            Ok(()) | Err(_) => {}
        }
        let mut out = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)?;
        out.write_all(content)?;
        // The umask has no say in what the claim asks for.
        out.set_permissions(std::fs::Permissions::from_mode(file.mode))?;
        out.sync_all()?;
        std::fs::rename(&new, &file.path)
    };
    written().map_err(|e| failed(&file.path, e))
}

/// Removes the files in these directories, then what is mounted there, then the directories.
pub(crate) fn remove(dirs: &[PathBuf]) -> io::Result<()> {
    dirs.iter().try_for_each(|dir| remove_dir(dir))
}

fn remove_dir(dir: &Path) -> io::Result<()> {
    // The files go first: a container that saw the mount may hold it for a while.
    match empty(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    }
    if is_mounted(dir)? {
        umount2(dir, MntFlags::MNT_DETACH)?;
        // An agent that died between mount and write may have left a mount below.
        return remove_dir(dir);
    }
    std::fs::remove_dir(dir)
}

fn empty(dir: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        // The directory of a volume; no container can write there.
        if entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(entry.path())?;
        } else {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// The plan with every variable that holds what files hold.
pub(crate) fn fill(planned: PlannedContainer) -> Result<ContainerPlan, RuntimeError> {
    let PlannedContainer {
        mut plan,
        from_files,
        below: _,
    } = planned;
    for variable in from_files {
        let mut value = String::new();
        for piece in &variable.pieces {
            match piece {
                Piece::Text(text) => value.push_str(text),
                Piece::File(path) => value.push_str(&text_of(path)?),
            }
        }
        if let Some((_, empty)) = plan.env.get_mut(variable.variable) {
            *empty = value;
        }
    }
    Ok(plan)
}

fn text_of(path: &Path) -> Result<String, RuntimeError> {
    match std::fs::read_to_string(path) {
        Ok(text) if text.contains('\0') => Err(refused("a file with a zero byte cannot be a variable")),
        Ok(text) => Ok(text),
        Err(e) if e.kind() == io::ErrorKind::InvalidData => {
            Err(refused("a file that is no text cannot be a variable"))
        }
        Err(e) => Err(RuntimeError::Failed {
            runtime: "agent",
            op: "read a file for a variable",
            why: e.to_string(),
        }),
    }
}

fn refused(why: &str) -> RuntimeError {
    RuntimeError::Refused {
        reason: ExitReason::Setup,
        why: why.to_owned(),
    }
}

pub(crate) fn is_mounted(dir: &Path) -> io::Result<bool> {
    Ok(std::fs::metadata(dir)?.dev() != std::fs::metadata(dir_of(dir))?.dev())
}

/// Removes the files, secrets and volumes of all tasks of a data directory that no agent uses, for when all their containers
/// are gone. Says in the log what it could not remove.
pub fn clear_files(data_dir: &Path) {
    for all in [FILES, SECRETS] {
        sweep(&data_dir.join(all), &BTreeSet::new());
    }
    crate::volumes::sweep(&data_dir.join(VOLUMES), &BTreeSet::new());
}

/// Removes the directories under `all` that belong to none of these tasks: what an agent left whose journal was
/// lost. Says in the log what it could not remove.
pub(crate) fn sweep(all: &Path, tasks: &BTreeSet<String>) {
    let Ok(entries) = std::fs::read_dir(all) else {
        return;
    };
    for entry in entries.flatten() {
        if tasks.contains(entry.file_name().to_string_lossy().as_ref()) {
            continue;
        }
        if let Err(e) = remove_dir(&entry.path()) {
            tracing::warn!(path = %entry.path().display(), error = %e, "files of no task stay");
        }
    }
}

/// Whether this agent can keep secrets under `all` in memory.
pub(crate) fn keeps_secrets(all: &Path) -> bool {
    let existing = all.ancestors().find(|p| p.exists());
    may_mount() || existing.is_some_and(in_memory)
}

fn may_mount() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|l| l.strip_prefix("CapEff:"));
    let bits = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    bits.is_some_and(|b| b & (1 << SYS_ADMIN) != 0)
}
