//! Finding and running the container's program, and saying clearly why it cannot be.

use nix::errno::Errno;
use nix::unistd::execve;
use plenum_shim::state::{Stage, StartFailure};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ffi::CString;
use std::path::{Path, PathBuf};

/// Where programs are searched when the environment has no `PATH`, as the shell does it.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Becomes the program. Returns only if it cannot.
pub(crate) fn run(argv: &[String], env: &BTreeMap<String, String>) -> Result<Infallible, StartFailure> {
    let name = argv.first().map(String::as_str).unwrap_or_default();
    let text = |text: String| {
        CString::new(text).map_err(|_| failure(None, format!("a zero byte stands in an argument of {name}")))
    };
    let arguments = argv.iter().cloned().map(text).collect::<Result<Vec<_>, _>>()?;
    let environment = env
        .iter()
        .map(|(key, value)| text(format!("{key}={value}")))
        .collect::<Result<Vec<_>, _>>()?;
    let path = env.get("PATH").map_or(DEFAULT_PATH, String::as_str);
    let mut worst = Errno::ENOENT;
    for candidate in candidates(name, path) {
        let program = text(candidate.to_string_lossy().into_owned())?;
        let Err(error) = execve(&program, &arguments, &environment);
        if error == Errno::ENOENT && candidate.exists() {
            let why = format!("cannot run {}: its interpreter is not there", candidate.display());
            return Err(failure(Some(error), why));
        }
        // As in a shell: go on searching, but remember that there was one that may not be run.
        if !matches!(error, Errno::ENOENT | Errno::ENOTDIR) {
            worst = error;
        }
        if !matches!(error, Errno::ENOENT | Errno::ENOTDIR | Errno::EACCES) {
            break;
        }
    }
    Err(failure(
        Some(worst),
        match worst {
            Errno::ENOENT => format!("command not found: {name}"),
            Errno::EACCES => format!("permission denied: {name}"),
            Errno::ENOEXEC => format!("cannot run {name}: not an executable format"),
            other => format!("cannot run {name}: {}", other.desc()),
        },
    ))
}

fn failure(errno: Option<Errno>, message: String) -> StartFailure {
    StartFailure {
        stage: Stage::Exec,
        errno: errno.map(|errno| errno as i32),
        message,
    }
}

fn candidates(name: &str, path: &str) -> Vec<PathBuf> {
    if name.contains('/') {
        return vec![name.into()];
    }
    path.split(':')
        .map(|dir| Path::new(if dir.is_empty() { "." } else { dir }).join(name))
        .collect()
}
