//! The volumes of tasks on this node: directories on disk or in memory that the containers of a task share, and the
//! directories of files that they see. What is in them is the containers' own: links among it are never followed.

use crate::files::is_mounted;
use crate::supervisor::{PlannedContainer, PlannedVolume};
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use plenum_contract::runtime::RuntimeError;
use plenum_model::task::ExitReason;
use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Everybody inside may write, whoever they are there.
const FOR_ALL: u32 = 0o777;

/// Everybody inside may look.
const TO_READ: u32 = 0o755;

/// Makes these volumes; those that are there stay as they are.
///
/// # Errors
/// `Refused` where this agent cannot have one in memory.
pub(crate) fn make(volumes: &[PlannedVolume]) -> Result<(), RuntimeError> {
    volumes.iter().try_for_each(make_one)
}

fn make_one(volume: &PlannedVolume) -> Result<(), RuntimeError> {
    let mode = if volume.written { FOR_ALL } else { TO_READ };
    have_dir(&volume.path, mode).map_err(|e| broken(&volume.path, &e))?;
    if let Some(bytes) = volume.memory {
        have_memory(&volume.path, bytes)?;
    }
    for dir in &volume.below {
        let inner = dir.strip_prefix(&volume.path).unwrap_or(dir);
        check_below(&volume.path, inner)?;
        let made = dir
            .ancestors()
            .take_while(|a| *a != volume.path)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .try_for_each(|dir| have_dir(dir, FOR_ALL));
        made.map_err(|e| broken(dir, &e))?;
    }
    Ok(())
}

/// A new directory with this mode, whatever the umask; one that is there stays as it is.
fn have_dir(dir: &Path, mode: u32) -> io::Result<()> {
    if let Some(parent) = dir.parent() {
        std::fs::create_dir_all(parent)?;
    }
    match std::fs::create_dir(dir) {
        Ok(()) => std::fs::set_permissions(dir, std::fs::Permissions::from_mode(mode)),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(e),
    }
}

fn have_memory(dir: &Path, bytes: Option<u64>) -> Result<(), RuntimeError> {
    if is_mounted(dir).map_err(|e| broken(dir, &e))? {
        return Ok(());
    }
    let size = bytes.map(|b| format!(",size={b}")).unwrap_or_default();
    let options = format!("mode=0777{size}");
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    match mount(
        Some("plenum-volume"),
        dir,
        Some("tmpfs"),
        flags,
        Some(options.as_str()),
    ) {
        Ok(()) => Ok(()),
        Err(Errno::EPERM | Errno::EACCES) => {
            Err(refused("a volume in memory: only root can mount one".to_owned()))
        }
        Err(e) => Err(broken(dir, &e.into())),
    }
}

/// Whether a container would see a part of a volume through a link that another one left there.
///
/// # Errors
/// `Refused`, naming the path.
pub(crate) fn check(planned: &PlannedContainer) -> Result<(), RuntimeError> {
    planned
        .below
        .iter()
        .try_for_each(|(volume, sub)| check_below(volume, sub))
}

/// Refuses a path below a volume that leads through a link.
fn check_below(volume: &Path, sub: &Path) -> Result<(), RuntimeError> {
    let mut path = volume.to_owned();
    for part in sub.components() {
        path.push(part);
        match std::fs::symlink_metadata(&path) {
            Ok(found) if found.is_symlink() => {
                let why = format!("{} is a link: a part of a volume is no link", sub.display());
                return Err(refused(why));
            }
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(broken(&path, &e)),
        }
    }
    Ok(())
}

/// Removes these volumes with all that is in them, in order.
pub(crate) fn remove(paths: &[std::path::PathBuf]) -> io::Result<()> {
    paths.iter().try_for_each(|path| remove_one(path))
}

fn remove_one(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
        Ok(_) => {}
    }
    // Its memory is free once no process holds it any more.
    while is_mounted(path)? {
        umount2(path, MntFlags::MNT_DETACH)?;
    }
    match std::fs::remove_dir_all(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Removes the volumes under `all` of tasks that are none of these. Says in the log what it could not remove.
pub(crate) fn sweep(all: &Path, tasks: &BTreeSet<String>) {
    let Ok(entries) = std::fs::read_dir(all) else {
        return;
    };
    for entry in entries.flatten() {
        if tasks.contains(entry.file_name().to_string_lossy().as_ref()) {
            continue;
        }
        let inner = std::fs::read_dir(entry.path()).into_iter().flatten().flatten();
        let removed = inner
            .map(|volume| volume.path())
            .chain([entry.path()])
            .try_for_each(|path| remove_one(&path));
        if let Err(e) = removed {
            tracing::warn!(path = %entry.path().display(), error = %e, "volumes of no task stay");
        }
    }
}

fn refused(why: String) -> RuntimeError {
    RuntimeError::Refused {
        reason: ExitReason::Setup,
        why,
    }
}

fn broken(path: &Path, error: &io::Error) -> RuntimeError {
    RuntimeError::Failed {
        runtime: "agent",
        op: "make volumes",
        why: format!("{}: {error}", path.display()),
    }
}
