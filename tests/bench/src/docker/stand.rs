//! The stand: the engines, a real swarm that they form, and a Plenum whose agents use the same engines.

use super::engine::Engine;
use super::image::Image;
use super::net::Net;
use super::process::{Process, Start};
use super::{API, Arguments};
use crate::eventually::eventually;
use crate::house::data_dir;
use crate::http::Api;
use crate::report::Failed;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// The node on which the manager, and Plenum's broker and door, run.
const MANAGER: u8 = 1;

/// Where agents find the broker.
const BROKER_PORT: u16 = 7717;

/// How long a part of Plenum may take to end: its doors drain for 5 s.
const PATIENCE: Duration = Duration::from_secs(15);

/// Everything that is started for a run. Fields are dropped in this order, so that nothing loses what it stands
/// on: what asks the engines for containers, the engines, the network, the directories.
pub(super) struct Stand {
    plenum: Vec<Process>,
    /// Fresh after [`Stand::build`].
    engines: Vec<Engine>,
    net: Net,
    data: TempDir,
    short: TempDir,
}

/// The two that are compared, and what they run on.
pub(super) struct Sides {
    pub(super) plenum: Api,
    pub(super) swarm: Api,
    pub(super) engines: Vec<Api>,
    /// The image's id.
    pub(super) image: String,
}

impl Stand {
    /// The places, with nothing in them yet.
    pub(super) fn new(arguments: &Arguments) -> Result<Self, Failed> {
        let data = data_dir(&arguments.dir)?;
        // Apart from the data: paths of sockets have 107 characters at most.
        let short = TempDir::with_prefix("pb-").map_err(Failed::in_("a directory for sockets"))?;
        Ok(Self {
            plenum: Vec::new(),
            engines: Vec::new(),
            net: Net::new(arguments.nodes)?,
            data,
            short,
        })
    }

    /// Brings everything up; it may be given up at any time.
    pub(super) async fn build(&mut self, arguments: &Arguments) -> Result<Sides, Failed> {
        let data = std::path::absolute(self.data.path()).map_err(Failed::in_("the data directory"))?;
        for node in 1..=arguments.nodes {
            let engine = Engine::start(&self.net, node, self.short.path(), &data).await?;
            self.engines.push(engine);
        }
        let image = Image::make(&self.engines[0].host(), &data)?;
        self.engines.iter().try_for_each(|e| e.load(&image))?;
        let swarm = self.form_swarm().await?;
        let plenum = self.bring_up_plenum(&arguments.plenum()?, &data).await?;
        Ok(Sides {
            plenum,
            swarm,
            engines: self.engines.iter().map(|e| e.api.clone()).collect(),
            image: image.id,
        })
    }

    async fn form_swarm(&self) -> Result<Api, Failed> {
        let manager = self.engines[0].api.clone();
        let address = Net::address(MANAGER);
        let init = json!({"ListenAddr": "0.0.0.0:2377", "AdvertiseAddr": address});
        manager.post("/swarm/init", &init).await?;
        let token = manager.get("/swarm").await?["JoinTokens"]["Worker"].clone();
        for (node, engine) in (1_u8..).zip(&self.engines).skip(1) {
            let join = json!({
                "ListenAddr": "0.0.0.0:2377",
                "AdvertiseAddr": Net::address(node),
                "RemoteAddrs": [format!("{address}:2377")],
                "JoinToken": token,
            });
            engine.api.post("/swarm/join", &join).await?;
        }
        self.all_ready(&manager).await?;
        Ok(manager)
    }

    async fn bring_up_plenum(&mut self, program: &Path, data: &Path) -> Result<Api, Failed> {
        let broker = format!("{}:{BROKER_PORT}", Net::address(MANAGER));
        let socket = self.short.path().join("plenum.sock");
        let hosts: Vec<String> = self.engines.iter().map(Engine::host).collect();
        for (node, host) in (1_u8..).zip(hosts) {
            let dir = data.join(format!("plenum-{node}")).display().to_string();
            let mut args = if node == MANAGER {
                vec!["up".to_owned(), "--nodes".to_owned(), "1".to_owned()]
            } else {
                let name = format!(
                    "agent --name node-{node} --address {} --broker",
                    Net::address(node)
                );
                let mut words: Vec<String> = name.split(' ').map(str::to_owned).collect();
                words.push(format!("http://{broker}"));
                words
            };
            args.extend(["--data".to_owned(), dir]);
            let mut set = vec![
                "agent.runtimes=docker".to_owned(),
                format!("agent.docker_host={host}"),
            ];
            if node == MANAGER {
                set.extend([
                    format!("broker.insecure_listen={broker}"),
                    "up.schedulers=swarm".to_owned(),
                    "swarm.listen=127.0.0.1:0".to_owned(),
                    format!("swarm.socket={}", socket.display()),
                ]);
            }
            args.extend(set.into_iter().flat_map(|pair| ["--set".to_owned(), pair]));
            let start = Start {
                program,
                args,
                log: self.short.path().join(format!("plenum-{node}.log")),
                patience: PATIENCE,
            };
            self.plenum.push(Process::start(&self.net, node, start)?);
        }
        let api = Api::on_socket(&socket, API)?;
        let parts = &mut self.plenum;
        let probe = api.clone();
        eventually("Plenum answers", || {
            let (ended, probe) = (parts.iter_mut().try_for_each(Process::check), probe.clone());
            async move {
                ended?;
                Ok(probe.get("/info").await.is_ok())
            }
        })
        .await?;
        self.all_ready(&api).await?;
        Ok(api)
    }

    async fn all_ready(&self, api: &Api) -> Result<(), Failed> {
        let wanted = self.engines.len();
        eventually("all nodes are ready", || async move {
            let nodes = api.get("/nodes").await?;
            let nodes = nodes.as_array().map(Vec::as_slice).unwrap_or_default();
            Ok(nodes.iter().filter(|n| n["Status"]["State"] == "ready").count() == wanted)
        })
        .await
    }
}

/// The binary to measure, if none is named: the one built beside this.
pub(super) fn beside() -> Result<PathBuf, Failed> {
    let own = std::env::current_exe().map_err(Failed::in_("this program's path"))?;
    let path = own.with_file_name("plenum");
    if path.exists() {
        return Ok(path);
    }
    Err(Failed::Measured {
        what: path.display().to_string(),
        why: "not built: cargo build --release -p plenum".to_owned(),
    })
}
