//! A runtime with a directory and cgroups of its own, of which nothing is left when the test is over.

use bytes::Bytes;
use futures::{Stream, StreamExt};
use plenum_contract::runtime::{ContainerKey, ContainerPlan, Runtime, RuntimeIo};
use plenum_contract::streams::{LogQuery, Output, StreamInput, StreamOutput};
use plenum_model::ids::{Incarnation, TaskId};
use plenum_model::spec::{Caps, Confinement, LogLimits, Network};
use plenum_model::task::Exit;
use runtime_process::{ProcessRuntime, Settings};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub(crate) struct World {
    root: tempfile::TempDir,
    pub(crate) cgroup: PathBuf,
    pub(crate) runtime: ProcessRuntime,
}

impl World {
    pub(crate) async fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let cgroup = PathBuf::from(format!("plenum-test-{}/node-{number}", std::process::id()));
        let root = tempfile::tempdir().unwrap();
        let runtime = open(root.path(), &cgroup).await;
        Self {
            root,
            cgroup,
            runtime,
        }
    }

    /// As an agent that starts again.
    pub(crate) async fn again(&self) -> ProcessRuntime {
        open(self.root.path(), &self.cgroup).await
    }

    pub(crate) fn path(&self) -> &Path {
        self.root.path()
    }

    pub(crate) fn plan(&self, script: &str) -> ContainerPlan {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let [a, b, c, d] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let mut id = [0; 16];
        id[..4].copy_from_slice(&[a, b, c, d]);
        let task = TaskId(id);
        let sandbox = self.root.path().join("sandboxes").join(task.to_string());
        std::fs::create_dir_all(&sandbox).unwrap();
        ContainerPlan {
            key: ContainerKey {
                task,
                container: "main".into(),
                incarnation: Incarnation(0),
            },
            image: None,
            entrypoint: Some(vec!["/bin/sh".into(), "-c".into()]),
            args: Some(vec![script.into()]),
            env: Vec::new(),
            workdir: None,
            user: None,
            hostname: None,
            tty: false,
            stdin: false,
            caps: Caps::default(),
            mounts: Vec::new(),
            network: Network::Host,
            ports: Vec::new(),
            stop_signal: None,
            logs: LogLimits::default(),
            privileged: false,
            confinement: Confinement::default(),
            labels: BTreeMap::new(),
            sandbox,
            among: None,
        }
    }

    pub(crate) async fn start(&self, plan: &ContainerPlan) {
        self.runtime.prepare(plan).await.unwrap();
        self.runtime.start(&plan.key).await.unwrap();
    }

    pub(crate) async fn run(&self, plan: &ContainerPlan) -> Exit {
        self.start(plan).await;
        self.runtime.wait(&plan.key).await.unwrap()
    }

    pub(crate) async fn output(&self, key: &ContainerKey) -> String {
        text(self.runtime.logs(key, LogQuery::default()).await.unwrap())
            .await
            .0
    }

    pub(crate) async fn until_output(&self, key: &ContainerKey, part: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let output = self.output(key).await;
            if output.contains(part) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "waited in vain for {part:?} in {output:?}"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Every cgroup directory with this runtime's name.
    pub(crate) fn cgroups(&self) -> Vec<PathBuf> {
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
        let mounts = mounts
            .lines()
            .map(|line| line.split(' ').nth(1).unwrap().to_owned());
        let own = mounts.map(|mount| Path::new(&mount).join(&self.cgroup));
        own.filter(|dir| dir.starts_with("/sys/fs/cgroup") && dir.exists())
            .collect()
    }

    /// Ends and removes all there is, and sees that nothing is left.
    pub(crate) async fn finish(self) {
        for found in self.runtime.recover().await.unwrap() {
            self.runtime.signal(&found.key, "KILL").await.unwrap();
            self.runtime.remove(&found.key).await.unwrap();
        }
        self.runtime.recover().await.unwrap();
        assert_eq!(self.cgroups(), Vec::<PathBuf>::new());
        assert_eq!(
            std::fs::read_dir(self.root.path().join("runtime/containers"))
                .unwrap()
                .count(),
            0
        );
    }
}

async fn open(root: &Path, cgroup: &Path) -> ProcessRuntime {
    let settings = Settings {
        dir: root.join("runtime"),
        cgroup: cgroup.to_owned(),
    };
    ProcessRuntime::open(settings).await.unwrap()
}

pub(crate) fn nothing() -> futures::stream::BoxStream<'static, StreamInput> {
    futures::stream::pending().boxed()
}

pub(crate) fn typed(
    pieces: impl IntoIterator<Item = StreamInput> + Send + 'static,
) -> futures::stream::BoxStream<'static, StreamInput>
where
    <Vec<StreamInput> as IntoIterator>::IntoIter: Send,
{
    let pieces: Vec<_> = pieces.into_iter().collect();
    futures::stream::iter(pieces)
        .chain(futures::stream::pending())
        .boxed()
}

pub(crate) fn data(text: &str) -> StreamInput {
    StreamInput::Data(Bytes::copy_from_slice(text.as_bytes()))
}

/// Everything up to the end, all streams in one, and the exit code.
pub(crate) async fn text(mut output: StreamOutput) -> (String, Option<i32>) {
    let (mut bytes, mut code) = (Vec::new(), None);
    while let Some(piece) = within(output.next()).await {
        take(piece.unwrap(), &mut bytes, &mut code);
    }
    (String::from_utf8(bytes).unwrap(), code)
}

/// Reads on until `part` was there.
pub(crate) async fn text_until(output: &mut (impl Stream<Item = Item> + Unpin), part: &str) -> String {
    let (mut bytes, mut code) = (Vec::new(), None);
    while !String::from_utf8_lossy(&bytes).contains(part) {
        let piece = within(output.next()).await;
        let piece = piece.unwrap_or_else(|| panic!("no {part:?} in {:?}", String::from_utf8_lossy(&bytes)));
        take(piece.unwrap(), &mut bytes, &mut code);
    }
    String::from_utf8(bytes).unwrap()
}

type Item = Result<Output, plenum_contract::streams::StreamError>;

fn take(piece: Output, bytes: &mut Vec<u8>, code: &mut Option<i32>) {
    match piece {
        Output::Log(line) => bytes.extend_from_slice(&line.bytes),
        Output::Stdout(part) | Output::Stderr(part) => bytes.extend_from_slice(&part),
        Output::Exit { code: ended } => *code = Some(ended),
        Output::Stats(_) | Output::Image(_) | Output::Processes(_) | Output::Health(_) => {
            panic!("nobody asked for figures")
        }
    }
}

pub(crate) async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what).await.unwrap()
}

/// Whether this test may go on; it says so if not.
pub(crate) fn is_root(test: &str) -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        eprintln!("{test} needs root: skipped");
    }
    root
}
