//! The image both sides run, made without a registry: a static busybox. Its id is the same in every engine.

use super::process::run;
use crate::report::Failed;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Debian's package busybox-static.
const BUSYBOX: &str = "/bin/busybox";

/// An image, saved.
pub(super) struct Image {
    /// `sha256:...`
    pub(super) id: String,
    /// As `docker save` writes it.
    pub(super) archive: PathBuf,
}

impl Image {
    /// Imports it into the engine at `host`, and saves it in `dir`.
    pub(super) fn make(host: &str, dir: &Path) -> Result<Self, Failed> {
        let root = dir.join("root");
        let bin = root.join("bin");
        std::fs::create_dir_all(&bin).map_err(Failed::in_("the image's root"))?;
        std::fs::copy(BUSYBOX, bin.join("busybox")).map_err(Failed::in_(BUSYBOX))?;
        std::os::unix::fs::symlink("busybox", bin.join("sleep")).map_err(Failed::in_("the image's root"))?;
        let layer = dir.join("root.tar").display().to_string();
        run(
            "tar",
            &["-c", "-f", &layer, "-C", &root.display().to_string(), "."],
        )?;
        let imported = Command::new("docker")
            .args(["--host", host, "import", "--change", "ENV PATH=/bin", &layer])
            .stdin(Stdio::null())
            .output()
            .map_err(Failed::in_("docker import"))?;
        let id = String::from_utf8_lossy(&imported.stdout).trim().to_owned();
        let archive = dir.join("image.tar");
        let file = archive.display().to_string();
        run("docker", &["--host", host, "save", "--output", &file, &id])?;
        Ok(Self { id, archive })
    }
}
