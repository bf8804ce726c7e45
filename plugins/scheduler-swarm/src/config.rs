//! The plugin's section of the configuration.

use plenum_model::ids::TenantPath;
use serde::{Deserialize, Serialize};

/// Every key has a default; unknown keys are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SwarmConfig {
    /// Loopback address and port of the door; port 0 takes any free one.
    pub listen: String,
    /// An address that others can reach, in place of `listen`: whoever reaches it may start processes.
    pub insecure_listen: String,
    /// Path of a unix socket, for its owner only; empty: none.
    pub socket: String,
    /// Names, beside `localhost` and the loopback addresses, under which the TCP door answers.
    pub allowed_hosts: Vec<String>,
    /// Who is charged for what belongs to no stack.
    pub tenant: TenantPath,
    /// Whether a stack is a tenant of its own name.
    pub stack_is_tenant: bool,
    /// How long a node may be silent before its tasks are replaced: what a swarm takes.
    pub node_timeout_seconds: u64,
    /// How many tasks a slot keeps in the history, the live one included; what `docker swarm update` sets wins.
    pub task_history_limit: u32,
    /// Host and port of the broker, as agents on other machines reach it: `docker swarm join-token` shows it.
    /// Empty: where this plugin itself finds the broker.
    pub broker_address: String,
}

impl Default for SwarmConfig {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:2375".to_owned(),
            insecure_listen: String::new(),
            socket: String::new(),
            allowed_hosts: Vec::new(),
            tenant: TenantPath::new("default").expect("a constant that keeps the rules of names"),
            stack_is_tenant: true,
            node_timeout_seconds: 15,
            task_history_limit: 5,
            broker_address: String::new(),
        }
    }
}

impl SwarmConfig {
    /// How long a node may be silent, in milliseconds.
    #[must_use]
    pub fn node_timeout_ms(&self) -> u64 {
        self.node_timeout_seconds.saturating_mul(1000)
    }

    /// Who is charged for something with these labels.
    #[must_use]
    pub fn tenant_of<'a>(&self, mut label: impl FnMut(&str) -> Option<&'a str>) -> TenantPath {
        label("com.docker.stack.namespace")
            .filter(|_| self.stack_is_tenant)
            .and_then(|stack| TenantPath::new(stack).ok())
            .unwrap_or_else(|| self.tenant.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_a_default_and_no_other_is_taken() {
        let default = serde_json::to_value(SwarmConfig::default()).unwrap();
        assert_eq!(
            serde_json::from_value::<SwarmConfig>(default).unwrap(),
            serde_json::from_str::<SwarmConfig>("{}").unwrap()
        );
        assert!(serde_json::from_str::<SwarmConfig>(r#"{"liste":"x"}"#).is_err());
    }

    #[test]
    fn a_stack_pays_for_itself() {
        let config = SwarmConfig::default();
        assert_eq!(config.tenant_of(|_| Some("shop")).as_str(), "shop");
        assert_eq!(config.tenant_of(|_| None).as_str(), "default");
    }
}
