//! A container in a directory of its own that is killed when the test is over, however it ends.

use plenum_shim::binary;
use plenum_shim::client::{self, Recovered, ShimError};
use plenum_shim::config::Config;
use plenum_shim::logs::reader::LogReader;
use plenum_shim::logs::record::Stream;
use plenum_shim::state::{Exit, Outcome, Status};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

pub(crate) struct Container {
    root: tempfile::TempDir,
}

impl Container {
    pub(crate) fn new() -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.root.path().join("container")
    }

    pub(crate) fn launch(&self, config: &Config) -> Result<Status, ShimError> {
        client::launch(shim(), &self.dir(), config)
    }

    pub(crate) fn run(script: &str) -> Self {
        let container = Self::new();
        container.launch(&sh(script)).unwrap();
        container
    }

    pub(crate) fn wait(&self) -> Exit {
        client::wait(&self.dir()).unwrap()
    }

    pub(crate) fn output(&self, stream: Stream) -> String {
        output(&self.dir(), stream)
    }

    pub(crate) fn until_output(&self, part: &str) {
        until(&format!("{part:?} in the log"), || {
            self.output(Stream::Stdout).contains(part)
        });
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if client::kill(&self.dir()).is_ok() {
            let _ = client::wait(&self.dir());
        }
    }
}

/// The executable under test, installed once.
pub(crate) fn shim() -> &'static Path {
    static SHIM: OnceLock<PathBuf> = OnceLock::new();
    SHIM.get_or_init(|| {
        let dir = std::env::var_os("SHIM_TEST_INSTALL").unwrap_or_else(|| env!("CARGO_TARGET_TMPDIR").into());
        binary::install(Path::new(&dir)).unwrap()
    })
}

pub(crate) fn sh(script: &str) -> Config {
    let mut config = Config::new(vec!["sh".into(), "-c".into(), script.into()], "/".into());
    config
        .env
        .insert("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into());
    config
}

pub(crate) fn output(dir: &Path, stream: Stream) -> String {
    let batch = LogReader::new(dir).read(0, 64 << 20).unwrap();
    let mut bytes = Vec::new();
    batch
        .records
        .iter()
        .filter(|record| record.stream == stream)
        .for_each(|record| record.append_to(&mut bytes));
    String::from_utf8(bytes).unwrap()
}

pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn code(exit: &Exit) -> i32 {
    match exit.outcome {
        Outcome::Code { code } => code,
        ref other => panic!("no exit code but {other:?}"),
    }
}

pub(crate) fn ended(dir: &Path) -> Exit {
    match client::recover(dir).unwrap() {
        Recovered::Ended(exit) => exit,
        other => panic!("not ended but {other:?}"),
    }
}

/// Whether this test may go on; it says so if not.
pub(crate) fn is_root(test: &str) -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        eprintln!("{test} needs root: skipped");
    }
    root
}
