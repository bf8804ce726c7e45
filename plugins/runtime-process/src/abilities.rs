//! What this machine lets this runtime do, found out by doing it once.

use crate::cgroups::hierarchy::Controller;
use plenum_model::node::capability;
use plenum_shim::client;
use plenum_shim::config::{Config, Namespaces};
use plenum_shim::state::Outcome;
use std::collections::BTreeSet;
use std::path::Path;

/// All namespaces a container gets.
const NAMESPACES: Namespaces = Namespaces {
    pid: true,
    mount: true,
    uts: true,
};

/// What works here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Abilities {
    /// What every container gets; none where the machine forbids it.
    pub(crate) namespaces: Namespaces,
    /// Whether containers can run as another user.
    pub(crate) users: bool,
    /// What can be limited.
    pub(crate) controllers: BTreeSet<Controller>,
}

impl Abilities {
    /// Tries it out with the shim `binary`, in the empty directory `scratch`.
    pub(crate) fn probe(binary: &Path, scratch: &Path, controllers: BTreeSet<Controller>) -> Self {
        let users = nix::unistd::geteuid().is_root();
        let namespaces = if works(binary, scratch) {
            NAMESPACES
        } else {
            Namespaces::default()
        };
        Self {
            namespaces,
            users,
            controllers,
        }
    }

    /// Under the names of the model.
    pub(crate) fn capabilities(&self) -> BTreeSet<String> {
        let has = |controller| self.controllers.contains(&controller);
        [
            (capability::MEMORY_LIMIT, has(Controller::Memory)),
            (capability::CPU_LIMIT, has(Controller::Cpu)),
            (capability::PIDS_LIMIT, has(Controller::Pids)),
            (capability::PID_NAMESPACE, self.namespaces.pid),
            (capability::USER, self.users),
        ]
        .into_iter()
        .filter(|(_, there)| *there)
        .map(|(name, _)| name.to_owned())
        .collect()
    }
}

fn works(binary: &Path, scratch: &Path) -> bool {
    let mut config = Config::new(vec!["/bin/true".to_owned()], "/".into());
    config.namespaces = NAMESPACES;
    config.hostname = Some("probe".to_owned());
    let started = client::launch(binary, scratch, &config);
    let ended = started.and_then(|_| client::wait(scratch));
    match ended {
        Ok(exit) => exit.outcome == Outcome::Code { code: 0 },
        Err(error) => {
            tracing::info!(%error, "containers get no namespaces of their own here");
            false
        }
    }
}
