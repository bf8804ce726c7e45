//! A real dockerd of its own for each node: network namespace, data, containerd and socket. Both swarms run
//! their containers in it.

use super::net::Net;
use super::process::{Process, Start, run};
use super::{API, image};
use crate::eventually::eventually;
use crate::http::Api;
use crate::report::Failed;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long a daemon without containers may take to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// One dockerd; it, its containers and its membership of a swarm are gone when this is dropped.
pub(super) struct Engine {
    process: Process,
    socket: PathBuf,
    pub(super) api: Api,
}

impl Engine {
    /// Starts that of `node`, and waits until it answers. `run` is a short path for sockets, `data` one on disk.
    pub(super) async fn start(net: &Net, node: u8, short: &Path, data: &Path) -> Result<Self, Failed> {
        let own = |dir: &Path| dir.join(format!("engine-{node}"));
        let socket = short.join(format!("engine-{node}.sock"));
        let args = vec![
            "--host".to_owned(),
            host(&socket),
            "--data-root".to_owned(),
            own(data).display().to_string(),
            "--exec-root".to_owned(),
            own(short).display().to_string(),
            "--pidfile".to_owned(),
            short.join(format!("engine-{node}.pid")).display().to_string(),
        ];
        let start = Start {
            program: Path::new("dockerd"),
            args,
            log: short.join(format!("engine-{node}.log")),
            patience: PATIENCE,
        };
        let mut engine = Self {
            process: Process::start(net, node, start)?,
            api: Api::on_socket(&socket, API)?,
            socket,
        };
        let api = engine.api.clone();
        eventually("dockerd answers", || {
            let (ended, api) = (engine.process.check(), api.clone());
            async move {
                ended?;
                Ok(api.get("/info").await.is_ok())
            }
        })
        .await?;
        Ok(engine)
    }

    /// Where it is, as clients are told.
    pub(super) fn host(&self) -> String {
        host(&self.socket)
    }

    /// Takes in an image.
    pub(super) fn load(&self, image: &image::Image) -> Result<(), Failed> {
        let file = image.archive.display().to_string();
        run(
            "docker",
            &["--host", &self.host(), "load", "--quiet", "--input", &file],
        )
    }

    /// Ends every container, the swarm first, or it would make new ones.
    fn clear(&self) {
        let docker = |args: &[&str]| {
            Command::new("docker")
                .args(["--host", &self.host()])
                .args(args)
                .output()
        };
        let _ = docker(&["swarm", "leave", "--force"]);
        let Ok(listed) = docker(&["ps", "--all", "--quiet"]) else {
            return;
        };
        let ids = String::from_utf8_lossy(&listed.stdout).into_owned();
        let mut args = vec!["rm", "--force", "--volumes"];
        args.extend(ids.split_whitespace());
        if args.len() > 3 {
            let _ = docker(&args);
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.clear();
    }
}

fn host(socket: &Path) -> String {
    format!("unix://{}", socket.display())
}
