//! A service as users write it, field by field as Docker names them. What is absent stays absent, so that it is
//! given back as it was sent; what is read and never kept are only fields that nobody knows.

use crate::go_json::Names;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::LazyLock;

macro_rules! spec {
    ($($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident $wire:literal: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
            #[serde(default)]
            pub struct $name {
                $($(#[$fdoc])* #[serde(rename = $wire, skip_serializing_if = "Option::is_none")] pub $field: Option<$type>,)*
            }
        )*
        const FIELDS: &[&str] = &[$($($wire,)*)*];
    };
}

/// Labels, options.
pub type Pairs = BTreeMap<String, String>;

spec! {
    /// What `services/create` takes.
    ServiceSpec {
        /// Unique.
        name "Name": String,
        /// Of the service.
        labels "Labels": Pairs,
        /// What each task runs.
        task "TaskTemplate": TaskTemplate,
        /// How many.
        mode "Mode": Mode,
        /// How an update goes.
        update "UpdateConfig": UpdateConfig,
        /// How a rollback goes.
        rollback "RollbackConfig": UpdateConfig,
        /// Networks of the service (older place).
        networks "Networks": Vec<Value>,
        /// What is published.
        endpoint "EndpointSpec": EndpointSpec,
    }
    /// What each task runs.
    TaskTemplate {
        /// The container.
        container "ContainerSpec": ContainerSpec,
        /// A plugin in place of a container.
        plugin "PluginSpec": Value,
        /// The container of somewhere else.
        attachment "NetworkAttachmentSpec": Value,
        /// Reservations and limits.
        resources "Resources": Resources,
        /// When an ended task is replaced.
        restart "RestartPolicy": RestartPolicy,
        /// Where.
        placement "Placement": Placement,
        /// Networks.
        networks "Networks": Vec<Value>,
        /// Where logs go.
        log_driver "LogDriver": LogDriver,
        /// Raised to replace tasks that nothing else has changed of.
        force "ForceUpdate": u64,
        /// `container`.
        runtime "Runtime": String,
    }
    /// The container.
    ContainerSpec {
        /// Name with tag or digest.
        image "Image": String,
        /// Of the container.
        labels "Labels": Pairs,
        /// The entry point.
        command "Command": Vec<String>,
        /// Its arguments.
        args "Args": Vec<String>,
        /// May have templates.
        hostname "Hostname": String,
        /// `NAME=value`.
        env "Env": Vec<String>,
        /// Working directory.
        dir "Dir": String,
        /// User, optionally with group.
        user "User": String,
        /// Further groups.
        groups "Groups": Vec<String>,
        /// Security options.
        privileges "Privileges": Value,
        /// A small init as first process.
        init "Init": bool,
        /// Name or number.
        stop_signal "StopSignal": String,
        /// A terminal.
        tty "TTY": bool,
        /// Standard input stays open.
        stdin "OpenStdin": bool,
        /// The root file system cannot be written.
        read_only "ReadOnly": bool,
        /// Mounts.
        mounts "Mounts": Vec<Mount>,
        /// Nanoseconds.
        stop_grace "StopGracePeriod": i64,
        /// A check.
        health "Healthcheck": Healthcheck,
        /// Lines of `/etc/hosts`.
        hosts "Hosts": Vec<String>,
        /// Name servers.
        dns "DNSConfig": DnsConfig,
        /// Secrets.
        secrets "Secrets": Vec<SecretReference>,
        /// Configs.
        configs "Configs": Vec<ConfigReference>,
        /// Windows only.
        isolation "Isolation": String,
        /// Kernel settings.
        sysctls "Sysctls": Pairs,
        /// Capabilities added.
        cap_add "CapabilityAdd": Vec<String>,
        /// Capabilities dropped.
        cap_drop "CapabilityDrop": Vec<String>,
        /// Limits of the shell's kind.
        ulimits "Ulimits": Vec<Value>,
        /// For the kernel's killer.
        oom_score "OomScoreAdj": i64,
    }
    /// A mount.
    Mount {
        /// `bind`, `volume`, `tmpfs`.
        kind "Type": String,
        /// Path or name.
        source "Source": String,
        /// Where inside.
        target "Target": String,
        /// Cannot be written.
        read_only "ReadOnly": bool,
        /// macOS only.
        consistency "Consistency": String,
        /// Of a bind.
        bind "BindOptions": BindOptions,
        /// Of a volume.
        volume "VolumeOptions": VolumeOptions,
        /// Of a tmpfs.
        tmpfs "TmpfsOptions": TmpfsOptions,
    }
    /// Of a bind.
    BindOptions {
        /// `rprivate` and others.
        propagation "Propagation": String,
        /// Without what is mounted below.
        non_recursive "NonRecursive": bool,
        /// The directory is made.
        create "CreateMountpoint": bool,
        /// What is below can be written.
        read_only_non_recursive "ReadOnlyNonRecursive": bool,
        /// Or it fails.
        read_only_force_recursive "ReadOnlyForceRecursive": bool,
    }
    /// Of a volume.
    VolumeOptions {
        /// The image's files are not copied into it.
        no_copy "NoCopy": bool,
        /// Of the volume.
        labels "Labels": Pairs,
        /// A directory of it.
        subpath "Subpath": String,
        /// Who provides it.
        driver "DriverConfig": LogDriver,
    }
    /// Of a tmpfs.
    TmpfsOptions {
        /// The most bytes.
        size "SizeBytes": i64,
        /// Permission bits.
        mode "Mode": u32,
    }
    /// A check.
    Healthcheck {
        /// `NONE`, `CMD` and words, `CMD-SHELL` and a line.
        test "Test": Vec<String>,
        /// Nanoseconds.
        interval "Interval": i64,
        /// Nanoseconds.
        timeout "Timeout": i64,
        /// Nanoseconds.
        start_period "StartPeriod": i64,
        /// Nanoseconds.
        start_interval "StartInterval": i64,
        /// Failures in a row.
        retries "Retries": i64,
    }
    /// Name servers.
    DnsConfig {
        /// Addresses.
        servers "Nameservers": Vec<String>,
        /// Domains.
        search "Search": Vec<String>,
        /// Options.
        options "Options": Vec<String>,
    }
    /// A secret in a container.
    SecretReference {
        /// Where and how.
        file "File": FileTarget,
        /// Its id.
        id "SecretID": String,
        /// Its name.
        name "SecretName": String,
    }
    /// A config in a container.
    ConfigReference {
        /// Where and how.
        file "File": FileTarget,
        /// For credential specs.
        runtime "Runtime": Value,
        /// Its id.
        id "ConfigID": String,
        /// Its name.
        name "ConfigName": String,
    }
    /// Where a file appears.
    FileTarget {
        /// File name or absolute path.
        name "Name": String,
        /// Owner.
        uid "UID": String,
        /// Group.
        gid "GID": String,
        /// Permission bits.
        mode "Mode": u32,
    }
    /// Reservations and limits.
    Resources {
        /// Enforced on the node.
        limits "Limits": Amounts,
        /// Held for each task.
        reservations "Reservations": Amounts,
    }
    /// How much.
    Amounts {
        /// Billionths of a core.
        nano_cpus "NanoCPUs": i64,
        /// Bytes.
        memory "MemoryBytes": i64,
        /// Processes.
        pids "Pids": i64,
        /// Anything else.
        generic "GenericResources": Vec<Value>,
    }
    /// When an ended task is replaced.
    RestartPolicy {
        /// `none`, `on-failure`, `any`.
        condition "Condition": String,
        /// Nanoseconds.
        delay "Delay": i64,
        /// 0: without bound.
        max_attempts "MaxAttempts": u64,
        /// Nanoseconds in which attempts count; 0: all.
        window "Window": i64,
    }
    /// Where.
    Placement {
        /// `key==value`, `key!=value`.
        constraints "Constraints": Vec<String>,
        /// Spread.
        preferences "Preferences": Vec<Preference>,
        /// 0: without bound.
        max_replicas "MaxReplicas": u64,
        /// What the image is built for.
        platforms "Platforms": Vec<Platform>,
    }
    /// A wish.
    Preference {
        /// The only kind.
        spread "Spread": Spread,
    }
    /// Even distribution.
    Spread {
        /// `node.labels.X`, `engine.labels.X`.
        descriptor "SpreadDescriptor": String,
    }
    /// What an image is built for.
    Platform {
        /// `amd64`, `x86_64`.
        arch "Architecture": String,
        /// `linux`.
        os "OS": String,
    }
    /// A driver with options.
    LogDriver {
        /// Its name.
        name "Name": String,
        /// Its options.
        options "Options": Pairs,
    }
    /// How many.
    Mode {
        /// So many.
        replicated "Replicated": Replicated,
        /// One per node.
        global "Global": Empty,
        /// Until so many are complete.
        replicated_job "ReplicatedJob": Value,
        /// Once per node.
        global_job "GlobalJob": Value,
    }
    /// So many.
    Replicated {
        /// How many; none: 1.
        replicas "Replicas": u64,
    }
    /// Nothing to say.
    Empty {}
    /// How an update goes.
    UpdateConfig {
        /// Tasks at once; 0: all.
        parallelism "Parallelism": u64,
        /// Nanoseconds.
        delay "Delay": i64,
        /// `pause`, `continue`, `rollback`.
        failure_action "FailureAction": String,
        /// Nanoseconds.
        monitor "Monitor": i64,
        /// 0 to 1.
        max_failure_ratio "MaxFailureRatio": f64,
        /// `stop-first`, `start-first`.
        order "Order": String,
    }
    /// What is published.
    EndpointSpec {
        /// `vip`, `dnsrr`.
        mode "Mode": String,
        /// Ports.
        ports "Ports": Vec<Port>,
    }
    /// A port.
    Port {
        /// Of the user's own.
        name "Name": String,
        /// `tcp`, `udp`.
        protocol "Protocol": String,
        /// Inside.
        target "TargetPort": u16,
        /// Outside; 0: any.
        published "PublishedPort": u16,
        /// `ingress`, `host`.
        mode "PublishMode": String,
    }
}

/// How the fields of a service are written.
pub static NAMES: LazyLock<Names> = LazyLock::new(|| Names::new(FIELDS, &["Labels", "Options", "Sysctls"]));

/// Which of the served modes a service has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copies {
    /// So many.
    Replicated(u32),
    /// One per node.
    Global,
}

/// What a swarm waits from the stop signal to the kill, in nanoseconds.
pub const STOP_GRACE: i64 = 10_000_000_000;

impl TaskTemplate {
    /// With what it does not say filled in.
    #[must_use]
    pub fn with_defaults(&self) -> Self {
        let mut task = self.clone();
        task.resources.get_or_insert_default();
        task.placement.get_or_insert_default();
        let restart = task.restart.get_or_insert_default();
        restart.condition.get_or_insert_with(|| "any".to_owned());
        restart.delay.get_or_insert(5_000_000_000);
        restart.max_attempts.get_or_insert(0);
        let container = task.container.get_or_insert_default();
        container.stop_grace.get_or_insert(STOP_GRACE);
        container.dns.get_or_insert_default();
        task
    }
}

impl ServiceSpec {
    /// How many.
    #[must_use]
    pub fn copies(&self) -> Copies {
        match &self.mode {
            Some(Mode { global: Some(_), .. }) => Copies::Global,
            Some(Mode {
                replicated: Some(Replicated {
                    replicas: Some(n), ..
                }),
                ..
            }) => Copies::Replicated(u32::try_from(*n).unwrap_or(u32::MAX)),
            Some(_) | None => Copies::Replicated(1),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    /// The container, if it has one.
    #[must_use]
    pub fn container(&self) -> Option<&ContainerSpec> {
        self.task.as_ref()?.container.as_ref()
    }

    /// Published ports.
    #[must_use]
    pub fn ports(&self) -> &[Port] {
        self.endpoint
            .as_ref()
            .and_then(|e| e.ports.as_deref())
            .unwrap_or_default()
    }
}
