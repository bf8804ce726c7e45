//! A machine that runs.

use crate::{Disk, Image};
use std::io::{Error, Result};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// One emulated processor (the host's own would need rights that a container seldom has), and nothing that is not asked
/// for. It ends instead of starting again.
const EMULATED: &str = "-accel tcg -cpu max -smp 1 -nodefaults -display none -no-reboot";
/// Memory of a machine, in MiB: what a broker with some thousand tasks and its kernel need, twice.
const MEMORY: u32 = 384;

/// A machine under power. Dropped, it is switched off, and its disk keeps what is in its cache.
pub struct Machine<'a> {
    qemu: Child,
    port: u16,
    disk: &'a Disk,
    console: PathBuf,
}

impl<'a> Machine<'a> {
    /// Puts a machine under power, whose port `inner_port` can be reached from this one. It takes some seconds until its
    /// command runs: ask at [`Machine::address`] until there is an answer.
    ///
    /// # Errors
    /// When QEMU cannot be started.
    pub fn boot(image: &Image, disk: &'a Disk, inner_port: u16) -> Result<Self> {
        // Free now; that somebody takes it before QEMU does is noticed, since QEMU then ends.
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let console = disk.dir().join("console");
        let drive = |rest: String| ["-drive".to_owned(), format!("{rest},format=raw,if=virtio")];
        let forward = format!("user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{port}-10.0.2.15:{inner_port}");
        let qemu = Command::new("qemu-system-x86_64")
            .args(EMULATED.split(' '))
            .args([
                "-m",
                &MEMORY.to_string(),
                "-append",
                "console=ttyS0 panic=-1 quiet",
            ])
            .arg("-kernel")
            .arg(image.kernel())
            .arg("-initrd")
            .arg(image.initrd())
            .args(drive(format!("file={},readonly=on", image.system().display())))
            .args(drive(format!(
                "file=nbd+unix:///?socket={}",
                disk.socket().display()
            )))
            .args(["-netdev", &forward, "-device", "virtio-net-pci,netdev=net"])
            .args(["-serial", &format!("file:{}", console.display())])
            .stdin(Stdio::null())
            .stderr(std::fs::File::create(disk.dir().join("qemu"))?)
            .spawn()
            .map_err(|error| Error::other(format!("qemu-system-x86_64 (see .ci/setup): {error}")))?;
        Ok(Self {
            qemu,
            port,
            disk,
            console,
        })
    }

    /// Where its inner port is reached.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Whether it still runs: the kernel ends with its command, and QEMU with the kernel.
    ///
    /// # Errors
    /// When that cannot be asked.
    pub fn runs(&mut self) -> Result<bool> {
        Ok(self.qemu.try_wait()?.is_none())
    }

    /// What it and QEMU have said so far.
    #[must_use]
    pub fn console(&self) -> String {
        let read = |path: &PathBuf| {
            let bytes = std::fs::read(path).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        read(&self.console) + &read(&self.disk.dir().join("qemu"))
    }

    /// Cuts its power. What of the cache of its disk is kept is chosen from the seed.
    ///
    /// # Errors
    /// When it cannot be cut.
    pub fn cut(mut self, seed: u64) -> Result<()> {
        self.off()?;
        self.disk.cut(seed);
        Ok(())
    }

    fn off(&mut self) -> Result<()> {
        self.qemu.kill()?;
        self.qemu.wait().map(drop)
    }
}

impl Drop for Machine<'_> {
    fn drop(&mut self) {
        // It may be off already.
        let _ = self.off();
    }
}
