//! Which names a request may hold: those served, those that only answers have (clients send back what they
//! were given), and those that Marathon knows and this version does not serve.

use crate::json::Json;

/// What becomes of a name that nobody knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownFields {
    /// 422 with the path and the nearest known name, so that a typing error is not lost.
    #[default]
    Refuse,
    /// Ignored, as Marathon does.
    Ignore,
}

/// The value at which a field that is not served says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Default {
    /// Only `null`.
    Absent,
    /// `[]`.
    Empty,
    /// `{}`.
    EmptyMap,
    /// `false`.
    False,
    /// `0`.
    Zero,
    /// Anything: historic fields that Marathon itself reads and drops.
    Any,
}

impl Default {
    /// Whether `value` is this default; `null` always is.
    #[must_use]
    pub fn is(self, value: &Json) -> bool {
        match (self, value) {
            (_, Json::Null) | (Self::Any, _) => true,
            (Self::Empty, Json::List(items)) => items.is_empty(),
            (Self::EmptyMap, Json::Object(entries)) => entries.is_empty(),
            (Self::False, Json::Bool(b)) => !b,
            (Self::Zero, Json::Number(n)) => n.as_f64() == Some(0.0),
            (Self::Absent | Self::Empty | Self::EmptyMap | Self::False | Self::Zero, _) => false,
        }
    }
}

/// The names of one kind of object.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Read.
    pub served: &'static [&'static str],
    /// Ignored: only answers carry them.
    pub output: &'static [&'static str],
    /// Refused with their path, unless they stand at their default.
    pub unserved: &'static [(&'static str, Default)],
}

/// The name that was probably meant.
#[must_use]
pub fn nearest(given: &str, shape: &Shape) -> Option<&'static str> {
    let known = shape
        .served
        .iter()
        .copied()
        .chain(shape.unserved.iter().map(|(name, _)| *name));
    plenum_sdk::door::nearest::nearest(given, known)
}

/// An app.
pub const APP: Shape = Shape {
    served: &[
        "id",
        "cmd",
        "args",
        "user",
        "env",
        "instances",
        "cpus",
        "mem",
        "disk",
        "executor",
        "portDefinitions",
        "ports",
        "requirePorts",
        "backoffSeconds",
        "backoffFactor",
        "maxLaunchDelaySeconds",
        "container",
        "networks",
        "taskKillGracePeriodSeconds",
        "upgradeStrategy",
        "labels",
        "dependencies",
        "acceptedResourceRoles",
        "killSelection",
        "unreachableStrategy",
        "version",
        "constraints",
        "healthChecks",
        "readinessChecks",
    ],
    output: &[
        "versionInfo",
        "deployments",
        "tasks",
        "tasksStaged",
        "tasksRunning",
        "tasksHealthy",
        "tasksUnhealthy",
        "lastTaskFailure",
        "taskStats",
        "readinessCheckResults",
    ],
    unserved: &[
        ("executorResources", Default::Absent),
        ("fetch", Default::Empty),
        ("uris", Default::Empty),
        ("storeUrls", Default::Empty),
        ("gpus", Default::Zero),
        ("check", Default::Absent),
        ("residency", Default::Absent),
        ("secrets", Default::EmptyMap),
        ("ipAddress", Default::Absent),
        ("tty", Default::False),
        ("taskRateLimit", Default::Any),
        ("role", Default::Absent),
        ("resourceLimits", Default::Absent),
    ],
};

/// A group, or a change to one.
pub const GROUP: Shape = Shape {
    served: &["id", "apps", "groups", "dependencies", "scaleBy", "version"],
    output: &[],
    unserved: &[("pods", Default::Empty), ("enforceRole", Default::Absent)],
};

/// An element of `healthChecks`.
pub const HEALTH_CHECK: Shape = Shape {
    served: &[
        "command",
        "gracePeriodSeconds",
        "intervalSeconds",
        "maxConsecutiveFailures",
        "path",
        "port",
        "portIndex",
        "protocol",
        "ipProtocol",
        "timeoutSeconds",
        "delaySeconds",
    ],
    output: &[],
    unserved: &[("ignoreHttp1xx", Default::False)],
};

/// `command` of a health check.
pub const COMMAND: Shape = Shape {
    served: &["value"],
    output: &[],
    unserved: &[],
};

/// An element of `readinessChecks`.
pub const READINESS_CHECK: Shape = Shape {
    served: &[
        "name",
        "protocol",
        "path",
        "portName",
        "intervalSeconds",
        "timeoutSeconds",
        "httpStatusCodesForReady",
    ],
    output: &[],
    unserved: &[("preserveLastResponse", Default::False)],
};

/// `upgradeStrategy`.
pub const UPGRADE_STRATEGY: Shape = Shape {
    served: &["maximumOverCapacity", "minimumHealthCapacity"],
    output: &[],
    unserved: &[],
};

/// `unreachableStrategy`, where it is an object.
pub const UNREACHABLE: Shape = Shape {
    served: &["inactiveAfterSeconds", "expungeAfterSeconds"],
    output: &[],
    unserved: &[],
};

/// An element of `portDefinitions`.
pub const PORT_DEFINITION: Shape = Shape {
    served: &["port", "protocol", "name", "labels"],
    output: &[],
    unserved: &[],
};

/// An element of `container.portMappings`.
pub const PORT_MAPPING: Shape = Shape {
    served: &[
        "containerPort",
        "hostPort",
        "servicePort",
        "protocol",
        "name",
        "labels",
    ],
    output: &[],
    unserved: &[("networkNames", Default::Empty)],
};

/// An element of `networks`.
pub const NETWORK: Shape = Shape {
    served: &["mode", "name"],
    output: &[],
    unserved: &[("labels", Default::EmptyMap)],
};

/// `container`.
pub const CONTAINER: Shape = Shape {
    served: &["type", "docker", "volumes", "portMappings"],
    output: &[],
    unserved: &[("appc", Default::Absent), ("linuxInfo", Default::Absent)],
};

/// `container.docker`.
pub const DOCKER: Shape = Shape {
    served: &["image", "forcePullImage", "privileged", "network", "portMappings"],
    output: &[],
    unserved: &[
        ("parameters", Default::Empty),
        ("credential", Default::Absent),
        ("pullConfig", Default::Absent),
    ],
};

/// An element of `container.volumes` that is a directory of the node.
pub const VOLUME: Shape = Shape {
    served: &["containerPath", "hostPath", "mode"],
    output: &[],
    unserved: &[
        ("external", Default::Absent),
        ("persistent", Default::Absent),
        ("secret", Default::Absent),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_answered_with_the_name_that_was_meant() {
        for (slip, meant) in [
            ("cpu", "cpus"),
            ("instance", "instances"),
            ("instnces", "instances"),
            ("Env", "env"),
            ("healthcheck", "healthChecks"),
            ("backoffSecond", "backoffSeconds"),
        ] {
            assert_eq!(nearest(slip, &APP), Some(meant), "{slip}");
        }
        assert_eq!(nearest("zzz", &APP), None);
    }

    #[test]
    fn a_default_says_nothing_and_null_always_does() {
        let json = |text: &str| Json::parse(text.as_bytes()).unwrap();
        for (default, yes, no) in [
            (Default::Empty, "[]", "[1]"),
            (Default::EmptyMap, "{}", r#"{"a":1}"#),
            (Default::Zero, "0.0", "1"),
            (Default::False, "false", "true"),
            (Default::Absent, "null", "false"),
        ] {
            assert!(default.is(&json(yes)) && default.is(&json("null")), "{default:?}");
            assert!(!default.is(&json(no)), "{default:?}");
        }
    }
}
