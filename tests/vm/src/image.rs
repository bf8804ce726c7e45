//! What machines start from: a kernel, its modules, a busybox, and programs with the libraries they need.

use crate::archive::Archive;
use std::ffi::OsStr;
use std::io::{Error, Result};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Modules of the kernel that a machine needs, each after those that it stands on. What is not listed is built in.
const MODULES: [&str; 9] = [
    "virtio_ring",
    "virtio",
    "virtio_pci_legacy_dev",
    "virtio_pci_modern_dev",
    "virtio_pci",
    "virtio_blk",
    "failover",
    "net_failover",
    "virtio_net",
];

/// What the first process does: it makes the machine ready and becomes the command. Nothing is written to the disk but
/// what the command has synced, for as long as the machine lives.
const INIT: &str = r"#!/bin/busybox sh
bb=/bin/busybox
$bb mount -t devtmpfs dev /dev
$bb mount -t proc proc /proc
for module in $($bb cat /modules/order); do $bb insmod /modules/$module.ko; done
$bb mount -t ext4 -o ro /dev/vda /system
$bb mount -t ext4 -o commit=3600 /dev/vdb /system/data
echo 0 >/proc/sys/vm/dirty_writeback_centisecs
$bb mount -t devtmpfs dev /system/dev
$bb mount -t proc proc /system/proc
$bb mount -t sysfs sys /system/sys
$bb mount -t cgroup2 cgroup /system/sys/fs/cgroup
$bb mount -t tmpfs tmp /system/tmp
$bb ip link set lo up
$bb ip addr add 10.0.2.15/24 dev eth0
$bb ip link set eth0 up
exec $bb chroot /system ";

/// A kernel, and a system that runs one command.
pub struct Image {
    dir: TempDir,
    kernel: PathBuf,
}

impl Image {
    /// Makes the image of a machine that runs `command`, whose programs are copied from `programs` into its root
    /// directory. `kernel` is the directory into which Debian's package of its cloud kernel was unpacked. In the machine
    /// its disk is at `/data`; its address is 10.0.2.15.
    ///
    /// # Errors
    /// When something of it is missing or cannot be written.
    pub fn new(kernel: &Path, programs: &[&Path], command: &str) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("plenum-vm-").tempdir()?;
        let modules = kernel.join("lib/modules");
        let boot = find(&kernel.join("boot"), |name| name.starts_with("vmlinuz-"));
        let image = Self {
            kernel: boot.ok_or_else(|| missing(kernel, "a kernel"))?,
            dir,
        };
        std::fs::write(image.initrd(), initrd(&modules, command)?)?;
        image.make_system(programs)?;
        Ok(image)
    }

    pub(crate) fn kernel(&self) -> &Path {
        &self.kernel
    }

    pub(crate) fn initrd(&self) -> PathBuf {
        self.dir.path().join("initrd")
    }

    /// The disk with the programs.
    pub(crate) fn system(&self) -> PathBuf {
        self.dir.path().join("system")
    }

    fn make_system(&self, programs: &[&Path]) -> Result<()> {
        let root = self.dir.path().join("root");
        for name in ["data", "dev", "proc", "sys", "tmp"] {
            std::fs::create_dir_all(root.join(name))?;
        }
        for program in programs {
            let name = program.file_name().ok_or_else(|| missing(program, "a program"))?;
            // What is for debuggers is most of it, and would have to be copied and read.
            let to = root.join(name);
            run("strip", [OsStr::new("-o"), to.as_os_str(), program.as_os_str()])?;
            for library in libraries(program)? {
                let to = root.join(library.strip_prefix("/").unwrap_or(&library));
                std::fs::create_dir_all(to.parent().unwrap_or(&root))?;
                std::fs::copy(&library, to)?;
            }
        }
        let size = format!("{}k", size(&root)? / 1024 * 5 / 4 + 8192);
        let args = ["-q", "-t", "ext4", "-O", "^has_journal", "-d"].map(OsStr::new);
        let (root, system) = (root.as_os_str(), self.system());
        run(
            "mke2fs",
            args.into_iter()
                .chain([root, system.as_os_str(), OsStr::new(&size)]),
        )
    }
}

fn initrd(modules: &Path, command: &str) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    for name in ["bin", "dev", "proc", "modules", "system"] {
        archive.directory(name);
    }
    archive.device("dev/console", (5, 1));
    archive.file("bin/busybox", &std::fs::read("/bin/busybox")?);
    for name in MODULES {
        let file = format!("{name}.ko");
        let found = find_below(modules, &file).ok_or_else(|| missing(modules, &file))?;
        archive.file(&format!("modules/{file}"), &std::fs::read(found)?);
    }
    archive.file("modules/order", MODULES.join(" ").as_bytes());
    archive.file("init", format!("{INIT}{command}\n").as_bytes());
    Ok(archive.finish())
}

/// The libraries that a program is linked with.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let out = Command::new("ldd").arg(program).output()?;
    let text = String::from_utf8_lossy(&out.stdout);
    let words = text.split_whitespace().filter(|word| word.starts_with('/'));
    Ok(words.map(PathBuf::from).collect())
}

/// Runs a command to its end.
pub(crate) fn run<A: AsRef<OsStr>>(program: &str, args: impl IntoIterator<Item = A>) -> Result<()> {
    // Where only root's programs are, others may not look by default.
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let out = Command::new(program).env("PATH", path).args(args).output();
    let out = out.map_err(|error| Error::other(format!("{program}: {error}")))?;
    if out.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&out.stderr);
    Err(Error::other(format!("{program}: {}: {said}", out.status)))
}

fn missing(place: &Path, what: &str) -> Error {
    Error::other(format!("{what} is missing in {}", place.display()))
}

fn find(dir: &Path, fits: impl Fn(&str) -> bool) -> Option<PathBuf> {
    let entries = std::fs::read_dir(dir).ok()?.flatten();
    let mut paths = entries.map(|entry| entry.path());
    paths.find(|path| path.file_name().and_then(OsStr::to_str).is_some_and(&fits))
}

fn find_below(dir: &Path, name: &str) -> Option<PathBuf> {
    if let Some(found) = find(dir, |file| file == name) {
        return Some(found);
    }
    let entries = std::fs::read_dir(dir).ok()?.flatten();
    let mut below = entries.map(|entry| entry.path()).filter(|path| path.is_dir());
    below.find_map(|dir| find_below(&dir, name))
}

/// Bytes of all files below a directory.
fn size(dir: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        sum += match entry.file_type()?.is_dir() {
            true => size(&entry.path())?,
            false => entry.metadata()?.len(),
        };
    }
    Ok(sum)
}
