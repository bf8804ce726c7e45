//! The plugin's section of the configuration.

use crate::lower::{CpuCap, TenantRule};
use crate::request::names::UnknownFields;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// The orchestrator this plugin speaks.
pub const KIND: &str = "marathon";

/// Every key has a default; unknown keys are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MarathonConfig {
    /// Loopback address and port of the door; port 0 takes any free one.
    pub listen: String,
    /// An address that others can reach, in place of `listen`: whoever reaches it may start processes.
    pub insecure_listen: String,
    /// Names, beside `localhost` and the loopback addresses, under which the door answers.
    pub allowed_hosts: Vec<String>,
    /// What becomes of request fields that nobody knows.
    pub unknown_fields: UnknownFields,
    /// Who is charged for an app.
    pub tenant: TenantRule,
    /// Whether a task may use more cpu than it asked for while nobody else wants it.
    pub cpu_cap: CpuCap,
    /// The lowest service port that is given out.
    pub local_port_min: u16,
    /// The first port above the range of service ports.
    pub local_port_max: u16,
    /// How long a node may be silent before its tasks are replaced; an app's own `expungeAfterSeconds` come on
    /// top. The default is what DC/OS takes: 20 pings, 15 s apart.
    pub node_timeout_seconds: u64,
    /// How many deployments may be under way at once.
    pub max_running_deployments: usize,
    /// How many versions of an app are kept, and how many of the tree of groups.
    pub max_versions: usize,
}

impl Default for MarathonConfig {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            insecure_listen: String::new(),
            allowed_hosts: Vec::new(),
            unknown_fields: UnknownFields::Refuse,
            tenant: TenantRule::TopLevelGroup,
            cpu_cap: CpuCap::Share,
            local_port_min: 10_000,
            local_port_max: 20_000,
            node_timeout_seconds: 300,
            max_running_deployments: 100,
            max_versions: 50,
        }
    }
}

/// A key whose value is not acceptable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}`: {why}")]
pub struct BadConfig {
    /// Which key.
    pub key: &'static str,
    /// What is wrong.
    pub why: String,
}

impl MarathonConfig {
    /// The range of service ports.
    #[must_use]
    pub fn service_ports(&self) -> Range<u16> {
        self.local_port_min..self.local_port_max
    }

    /// How long a node may be silent, in milliseconds.
    #[must_use]
    pub fn node_timeout_ms(&self) -> u64 {
        self.node_timeout_seconds.saturating_mul(1000)
    }

    /// Checks what types cannot.
    ///
    /// # Errors
    /// The first key that is wrong.
    pub fn validate(&self) -> Result<(), BadConfig> {
        let check = |holds: bool, key, why: &str| {
            if holds {
                Ok(())
            } else {
                Err(BadConfig {
                    key,
                    why: why.to_owned(),
                })
            }
        };
        check(self.local_port_min > 0, "local_port_min", "must be at least 1")?;
        check(
            self.local_port_min < self.local_port_max,
            "local_port_max",
            "must be above local_port_min",
        )?;
        check(
            self.max_running_deployments > 0,
            "max_running_deployments",
            "must be at least 1",
        )?;
        check(self.max_versions > 0, "max_versions", "must be at least 1")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_a_default_and_no_other_is_taken() {
        let default = serde_json::to_value(MarathonConfig::default()).unwrap();
        assert_eq!(
            serde_json::from_value::<MarathonConfig>(default).unwrap(),
            serde_json::from_str::<MarathonConfig>("{}").unwrap()
        );
        assert!(serde_json::from_str::<MarathonConfig>(r#"{"liste":"x"}"#).is_err());
        let bad = MarathonConfig {
            local_port_max: 10,
            ..MarathonConfig::default()
        };
        assert_eq!(bad.validate().unwrap_err().key, "local_port_max");
    }
}
