//! A pool whose every part is a process of its own that a test may kill: broker, agents, API server and
//! adapter.

use super::parts::{Part, endpoint};
use super::plenum;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The pool.
pub(crate) struct Pool {
    /// In the order in which they were started, by name.
    pub(crate) parts: Vec<(String, Part)>,
    pub(crate) kubeconfig: PathBuf,
    /// Where the API server is.
    pub(crate) url: String,
    data: tempfile::TempDir,
}

fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

impl Pool {
    /// With an agent on each of these addresses, which no other test may have.
    pub(crate) async fn start(agents: &[&str]) -> Self {
        let data = tempfile::Builder::new()
            .prefix("plenum-parts-")
            .tempdir()
            .unwrap();
        let mut pool = Self {
            parts: Vec::new(),
            kubeconfig: PathBuf::new(),
            url: String::new(),
            data,
        };
        let (broker, api) = (free_address(), free_address());
        let of = format!("http://{broker}");
        pool.add("broker", &["broker", "--listen", &broker]);
        for (i, address) in agents.iter().enumerate() {
            let name = format!("agent-{}", i + 1);
            pool.add(
                &name,
                &["agent", "--broker", &of, "--name", &name, "--address", address],
            );
        }
        let scheduler = format!("scheduler kubernetes --broker {of}");
        let own = format!("--listen {api}");
        let first = "--set kubernetes.parts=apiserver";
        let second = format!("--set kubernetes.parts=adapter --set kubernetes.api_server=http://{api}");
        pool.add("apiserver", &words(&[&scheduler, &own, first]));
        pool.add("adapter", &words(&[&scheduler, &second]));
        let of_server = pool.data.path().join("apiserver");
        pool.url = endpoint(&of_server, "kubernetes").await;
        pool.kubeconfig = of_server.join("kubeconfig");
        pool
    }

    fn add(&mut self, name: &str, line: &[&str]) {
        let path = |name: String| text(&self.data.path().join(name));
        let (own, log) = (path(name.to_owned()), path(format!("{name}.log")));
        let line = [line, &["--data", &own]].concat();
        self.parts
            .push((name.to_owned(), Part::start(&[], &line, Path::new(&log))));
    }
}

fn words<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    lines.iter().flat_map(|line| line.split(' ')).collect()
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

impl Drop for Pool {
    fn drop(&mut self) {
        let names: Vec<String> = self.parts.drain(..).map(|(name, _)| name).collect();
        for name in names {
            let _ = Command::new(plenum())
                .args(["down", "--data"])
                .arg(self.data.path().join(name))
                .output();
        }
    }
}
