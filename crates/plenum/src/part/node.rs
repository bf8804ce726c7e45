//! One agent with the runtimes of this machine.

use crate::catalog;
use crate::config::AgentSection;
use crate::failure::Failure;
use crate::layout;
use plenum_agent::{AgentConfig, AgentHandle};
use plenum_contract::dispatcher::Dispatcher;
use plenum_contract::runtime::Runtime;
use plenum_model::code;
use std::path::Path;
use std::sync::Arc;

/// A running agent.
pub(crate) struct NodePart {
    handle: AgentHandle,
}

impl NodePart {
    /// Takes back what runs, and joins the pool.
    ///
    /// # Errors
    /// The first that did not work, as users read it.
    pub(crate) async fn start(
        config: AgentConfig,
        dir: &Path,
        section: &AgentSection,
        dispatcher: Arc<dyn Dispatcher>,
    ) -> Result<Self, Failure> {
        let name = config.node.to_string();
        let runtimes = runtimes_of(dir, &name, section).await?;
        let handle = plenum_agent::start(config, runtimes, dispatcher).await?;
        Ok(Self { handle })
    }

    /// The runtimes that answer.
    #[must_use]
    pub(crate) fn runtimes(&self) -> Vec<String> {
        self.handle.facts().runtimes.into_keys().collect()
    }

    /// What it says of its node.
    #[must_use]
    pub(crate) fn facts(&self) -> plenum_model::node::NodeFacts {
        self.handle.facts()
    }

    /// Leaves the pool. Tasks run on.
    pub(crate) async fn stop(self) {
        self.handle.stop().await;
    }
}

/// The runtimes of the agent `name`, at least one.
async fn runtimes_of(
    dir: &Path,
    name: &str,
    section: &AgentSection,
) -> Result<Vec<Arc<dyn Runtime>>, Failure> {
    catalog::check_runtimes(&section.runtimes)?;
    let agent_dir = layout::agent(dir, name);
    std::fs::create_dir_all(&agent_dir).map_err(|e| Failure::new(code::INTERNAL, &e))?;
    let owner = layout::owner(&agent_dir, name);
    let runtimes = catalog::runtimes(&agent_dir, &owner, &section.runtimes, &section.docker_host).await;
    if runtimes.is_empty() {
        let log = "PLENUM_LOG=info shows why each was left out";
        return Err(Failure::say(code::UNAVAILABLE, "no runtime works on this machine").hint(log));
    }
    Ok(runtimes)
}
