//! Where mounts appear and what must be there for it.

use plenum_model::spec::{Mount, MountSource};
use plenum_shim::config;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Permissions of the root of a temporary file system: as of `/tmp`.
const TMP_MODE: u32 = 0o1777;

/// Turns mounts into the shim's, and makes the places in the sandbox where they appear. Elsewhere on the
/// machine nothing is made: a place that is not there is refused.
pub(crate) fn prepare(mounts: &[Mount], sandbox: &Path) -> Result<Vec<config::Mount>, String> {
    mounts.iter().map(|mount| prepare_one(mount, sandbox)).collect()
}

fn prepare_one(mount: &Mount, sandbox: &Path) -> Result<config::Mount, String> {
    let target = place(&mount.target, sandbox)?;
    let kind = match &mount.source {
        MountSource::Host(path) => {
            let source = place(path, sandbox)?;
            if !source.exists() {
                return Err(format!("mount source {path} does not exist on this node"));
            }
            make_place(&target, &mount.target, sandbox, source.is_dir())?;
            config::MountKind::Bind {
                source,
                read_only: mount.read_only,
            }
        }
        MountSource::Tmpfs(size_bytes) => {
            if mount.read_only {
                return Err(format!(
                    "temporary file system at {} cannot be read-only",
                    mount.target
                ));
            }
            make_place(&target, &mount.target, sandbox, true)?;
            config::MountKind::Tmpfs {
                size_bytes: *size_bytes,
                mode: TMP_MODE,
            }
        }
        MountSource::Volume(name) => {
            return Err(format!(
                "volume {name}: named volumes are not supported by runtime process"
            ));
        }
    };
    Ok(config::Mount { target, kind })
}

/// A relative path is one in the sandbox, and must stay there.
fn place(path: &str, sandbox: &Path) -> Result<PathBuf, String> {
    let given = Path::new(path);
    if given.components().any(|part| part == Component::ParentDir) {
        return Err(format!("mount path {path} must not contain `..`"));
    }
    if path.is_empty() {
        return Err("a mount path is empty".to_owned());
    }
    Ok(sandbox.join(given))
}

fn make_place(target: &Path, shown: &str, sandbox: &Path, directory: bool) -> Result<(), String> {
    if target.exists() {
        return Ok(());
    }
    if !target.starts_with(sandbox) {
        return Err(format!("mount target {shown} does not exist on this node"));
    }
    let made = if directory {
        fs::create_dir_all(target)
    } else {
        target
            .parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| fs::write(target, ""))
    };
    made.map_err(|error| format!("cannot make mount target {shown}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(target: &str, source: MountSource) -> Mount {
        Mount {
            target: target.into(),
            source,
            read_only: false,
        }
    }

    #[test]
    fn places_are_made_in_the_sandbox_only() {
        let dir = tempfile::tempdir().unwrap();
        let wanted = [
            mount("data/deep", MountSource::Host("/usr".into())),
            mount("config/file", MountSource::Host("/etc/passwd".into())),
            mount("scratch", MountSource::Tmpfs(Some(5))),
        ];
        let made = prepare(&wanted, dir.path()).unwrap();
        assert_eq!(made[0].target, dir.path().join("data/deep"));
        assert!(dir.path().join("data/deep").is_dir() && dir.path().join("config/file").is_file());
        for (wrong, why) in [
            (
                mount("/no/such/place", MountSource::Host("/usr".into())),
                "target /no/such/place does not exist",
            ),
            (
                mount("a", MountSource::Host("/no/such".into())),
                "source /no/such does not exist",
            ),
            (mount("../a", MountSource::Host("/usr".into())), "`..`"),
            (mount("", MountSource::Host("/usr".into())), "empty"),
            (mount("a", MountSource::Volume("v".into())), "volume v"),
        ] {
            let said = prepare(&[wrong], dir.path()).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
    }
}
