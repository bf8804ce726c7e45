//! An app as answers and events show it.

use crate::answer::checks::{HealthCheckAnswer, ReadinessCheckAnswer};
use crate::app::{
    App, Engine, KillSelection, NetworkMode, PortDefinition, PortMapping, Protocol, Unreachable, VersionInfo,
    VolumeMode,
};
use crate::constraints::Constraint;
use crate::json::number;
use crate::path::AppId;
use crate::stamp::Stamp;
use serde::{Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};

/// An app, without what is embedded on request.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AppAnswer {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted_resource_roles: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    args: Vec<String>,
    #[serde(serialize_with = "number")]
    backoff_factor: f64,
    backoff_seconds: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    cmd: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<ContainerAnswer>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    constraints: Vec<Vec<String>>,
    #[serde(serialize_with = "number")]
    cpus: f64,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    dependencies: BTreeSet<AppId>,
    #[serde(serialize_with = "number")]
    disk: f64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    env: BTreeMap<String, String>,
    executor: String,
    gpus: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    health_checks: Vec<HealthCheckAnswer>,
    instances: u32,
    labels: BTreeMap<String, String>,
    max_launch_delay_seconds: u32,
    #[serde(serialize_with = "number")]
    mem: f64,
    networks: [NetworkAnswer; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    port_definitions: Option<Vec<PortDefinitionAnswer>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    readiness_checks: Vec<ReadinessCheckAnswer>,
    require_ports: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_kill_grace_period_seconds: Option<u32>,
    upgrade_strategy: UpgradeAnswer,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    version: Stamp,
    version_info: VersionInfo,
    kill_selection: KillSelection,
    unreachable_strategy: UnreachableAnswer,
}

impl AppAnswer {
    /// The answer for `app`.
    #[must_use]
    pub fn of(app: &App) -> Self {
        let c = app.config.clone();
        Self {
            id: app.id.to_string(),
            accepted_resource_roles: c.accepted_resource_roles,
            args: c.args,
            backoff_factor: c.backoff.factor,
            backoff_seconds: c.backoff.seconds,
            cmd: c.cmd,
            container: c.container.map(|container| ContainerAnswer {
                engine: container.engine,
                docker: container.docker.map(|d| DockerAnswer {
                    force_pull_image: d.force_pull_image,
                    image: d.image,
                    parameters: [],
                    privileged: d.privileged,
                }),
                volumes: container
                    .volumes
                    .into_iter()
                    .map(|v| VolumeAnswer {
                        container_path: v.container_path,
                        host_path: v.host_path,
                        mode: v.mode,
                    })
                    .collect(),
                port_mappings: container
                    .port_mappings
                    .map(|ports| ports.into_iter().map(Into::into).collect()),
            }),
            constraints: c.constraints.iter().map(Constraint::words).collect(),
            cpus: c.cpus,
            dependencies: c.dependencies,
            disk: c.disk,
            env: c.env,
            executor: c.executor,
            gpus: 0,
            health_checks: c.health_checks.into_iter().map(Into::into).collect(),
            instances: app.instances,
            labels: c.labels,
            max_launch_delay_seconds: c.backoff.max_seconds,
            mem: c.mem,
            networks: [NetworkAnswer { mode: c.network }],
            port_definitions: c
                .port_definitions
                .map(|ports| ports.into_iter().map(Into::into).collect()),
            readiness_checks: c.readiness_checks.into_iter().map(Into::into).collect(),
            require_ports: c.require_ports,
            task_kill_grace_period_seconds: c.kill_grace_seconds,
            upgrade_strategy: UpgradeAnswer {
                maximum_over_capacity: c.upgrade.maximum_over_capacity,
                minimum_health_capacity: c.upgrade.minimum_health_capacity,
            },
            user: c.user,
            version: app.version,
            version_info: app.version_info,
            kill_selection: c.kill_selection,
            unreachable_strategy: UnreachableAnswer(c.unreachable),
        }
    }
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct ContainerAnswer {
    #[serde(rename = "type")]
    engine: Engine,
    #[serde(skip_serializing_if = "Option::is_none")]
    docker: Option<DockerAnswer>,
    volumes: Vec<VolumeAnswer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port_mappings: Option<Vec<PortMappingAnswer>>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct DockerAnswer {
    force_pull_image: bool,
    image: String,
    parameters: [(); 0],
    privileged: bool,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct VolumeAnswer {
    container_path: String,
    host_path: String,
    mode: VolumeMode,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct NetworkAnswer {
    mode: NetworkMode,
}

#[derive(Debug, Clone, Serialize)]
struct PortDefinitionAnswer {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    port: u16,
    protocol: Protocol,
}

impl From<PortDefinition> for PortDefinitionAnswer {
    fn from(p: PortDefinition) -> Self {
        Self {
            labels: p.labels,
            name: p.name,
            port: p.port,
            protocol: p.protocol,
        }
    }
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct PortMappingAnswer {
    container_port: u16,
    host_port: u16,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    protocol: Protocol,
    service_port: u16,
}

impl From<PortMapping> for PortMappingAnswer {
    fn from(p: PortMapping) -> Self {
        Self {
            container_port: p.container_port,
            host_port: p.host_port,
            labels: p.labels,
            name: p.name,
            protocol: p.protocol,
            service_port: p.service_port,
        }
    }
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
struct UpgradeAnswer {
    #[serde(serialize_with = "number")]
    maximum_over_capacity: f64,
    #[serde(serialize_with = "number")]
    minimum_health_capacity: f64,
}

#[derive(Debug, Clone, Copy)]
struct UnreachableAnswer(Unreachable);

impl Serialize for UnreachableAnswer {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct After {
            inactive_after_seconds: u32,
            expunge_after_seconds: u32,
        }
        match self.0 {
            Unreachable::Disabled => s.serialize_str("disabled"),
            Unreachable::After {
                inactive_seconds,
                expunge_seconds,
            } => After {
                inactive_after_seconds: inactive_seconds,
                expunge_after_seconds: expunge_seconds,
            }
            .serialize(s),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::app_at;

    #[test]
    fn an_answer_has_no_null_and_no_empty_option() {
        let app = app_at(r#"{"id":"a","cmd":"sleep 1","cpus":0.1}"#, 0);
        assert_eq!(
            serde_json::to_string(&AppAnswer::of(&app)).unwrap(),
            concat!(
                r#"{"id":"/a","backoffFactor":1.15,"backoffSeconds":1,"cmd":"sleep 1","cpus":0.1,"disk":0,"#,
                r#""executor":"","gpus":0,"instances":1,"labels":{},"maxLaunchDelaySeconds":300,"mem":128,"#,
                r#""networks":[{"mode":"host"}],"portDefinitions":[{"name":"default","port":0,"protocol":"tcp"}],"#,
                r#""requirePorts":false,"upgradeStrategy":{"maximumOverCapacity":1,"minimumHealthCapacity":1},"#,
                r#""version":"1970-01-01T00:00:00.000Z","versionInfo":{"lastScalingAt":"1970-01-01T00:00:00.000Z","#,
                r#""lastConfigChangeAt":"1970-01-01T00:00:00.000Z"},"killSelection":"YOUNGEST_FIRST","#,
                r#""unreachableStrategy":{"inactiveAfterSeconds":0,"expungeAfterSeconds":0}}"#,
            )
        );
    }

    #[test]
    fn a_bridged_container_shows_its_ports_and_no_port_definitions() {
        let app = app_at(
            r#"{"id":"a","container":{"docker":{"image":"nginx","network":"BRIDGE","portMappings":[{"containerPort":80}]},
                "volumes":[{"containerPath":"/c","hostPath":"/h","mode":"RO"}]}}"#,
            0,
        );
        let json = serde_json::to_value(AppAnswer::of(&app)).unwrap();
        assert_eq!(
            json["container"],
            serde_json::json!({
                "type": "DOCKER",
                "docker": {"image": "nginx", "forcePullImage": false, "parameters": [], "privileged": false},
                "volumes": [{"containerPath": "/c", "hostPath": "/h", "mode": "RO"}],
                "portMappings": [{"containerPort": 80, "hostPort": 0, "protocol": "tcp", "servicePort": 0}],
            })
        );
        assert!(json.get("portDefinitions").is_none());
        assert_eq!(
            json["networks"],
            serde_json::json!([{"mode": "container/bridge"}])
        );
    }
}
