//! A disk with a cache. What was written is durable once it was flushed; until then a cut of the power may take all of
//! a write, the end of it or nothing, whatever came after it: a disk writes in the order it likes.

use crate::image::run;
use crate::nbd;
use parking_lot::Mutex;
use std::ffi::OsStr;
use std::io::Result;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use tempfile::TempDir;

/// What is lost and kept in one piece.
const SECTOR: usize = 512;

/// A disk that outlives its machine.
pub struct Disk {
    platter: Arc<Mutex<Platter>>,
    connections: Connections,
    dir: TempDir,
}

/// The connections of its machines, ended ones included.
pub(crate) type Connections = Arc<Mutex<Vec<JoinHandle<()>>>>;

/// What a disk holds.
pub(crate) struct Platter {
    /// As the machine sees it.
    now: Vec<u8>,
    /// As it is after a cut, but for what is in the cache.
    durable: Vec<u8>,
    /// Where was written since the last flush, and how much.
    cache: Vec<(usize, usize)>,
    /// It says that it has flushed, and has not.
    lies: bool,
}

impl Disk {
    /// An empty ext4 of so many MiB.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(mib: usize) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("plenum-disk-").tempdir()?;
        let file = dir.path().join("empty");
        let args = ["-q", "-t", "ext4"].map(OsStr::new);
        let size = format!("{mib}m");
        run(
            "mke2fs",
            args.into_iter().chain([file.as_os_str(), OsStr::new(&size)]),
        )?;
        let durable = std::fs::read(&file)?;
        std::fs::remove_file(file)?;
        let platter = Arc::new(Mutex::new(Platter {
            now: durable.clone(),
            durable,
            cache: Vec::new(),
            lies: false,
        }));
        let listener = UnixListener::bind(dir.path().join("socket"))?;
        let connections = Connections::default();
        let (served, kept) = (Arc::clone(&platter), Arc::clone(&connections));
        std::thread::spawn(move || nbd::serve(&listener, &served, &kept));
        Ok(Self {
            platter,
            connections,
            dir,
        })
    }

    /// From now on it says that it has flushed what is in its cache, and has not.
    pub fn lie(&self) {
        self.platter.lock().lies = true;
    }

    /// The power is gone. What of the cache is kept is chosen from the seed.
    pub(crate) fn cut(&self, seed: u64) {
        // What its machine has sent arrives before the power is gone, not after.
        for connection in std::mem::take(&mut *self.connections.lock()) {
            // One that panicked has ended as well.
            let _ = connection.join();
        }
        self.platter.lock().cut(seed);
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    /// The directory of its files; the console of its machine is written there, too.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }
}

impl Platter {
    pub(crate) fn size(&self) -> usize {
        self.now.len()
    }

    pub(crate) fn read(&self, at: usize, length: usize) -> Option<&[u8]> {
        self.now.get(at..at.checked_add(length)?)
    }

    pub(crate) fn write(&mut self, at: usize, bytes: &[u8]) -> Option<()> {
        let place = self.now.get_mut(at..at.checked_add(bytes.len())?)?;
        place.copy_from_slice(bytes);
        self.cache.push((at, bytes.len()));
        Some(())
    }

    pub(crate) fn flush(&mut self) {
        if self.lies {
            return;
        }
        for (at, length) in self.cache.drain(..) {
            self.durable[at..at + length].copy_from_slice(&self.now[at..at + length]);
        }
    }

    fn cut(&mut self, seed: u64) {
        let mut chance = seed;
        for (at, length) in std::mem::take(&mut self.cache) {
            // Knuth's multiplier; the high bits are the good ones.
            chance = chance
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let sectors = length.div_ceil(SECTOR);
            let part = usize::try_from(chance >> 33).unwrap_or(0) % (sectors + 1);
            let kept = match chance >> 62 {
                0 | 1 => 0,
                2 => length,
                _ => length.min(part * SECTOR),
            };
            self.durable[at..at + kept].copy_from_slice(&self.now[at..at + kept]);
        }
        self.now.clone_from(&self.durable);
    }
}
